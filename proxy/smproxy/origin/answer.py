"""Choosing codecs and writing the SDP answer (RFC 8829, RFC 9143). Sans-I/O.

One codec per kind is accepted, so that a track is what it says it is. Retransmission works without RTX: a NACKed packet
comes again as it was. transport-cc is not accepted, so that a browser's bandwidth estimate follows REMB; nor is any header
extension, since nothing would read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smproxy.origin.candidates import HostCandidate
from smproxy.origin.offer import InvalidOffer, Offer
from smproxy.origin.sdp import Format, Section, read_number
from smproxy.signaling.payloads import Kind

#: Codecs that are taken, in the order of preference where the client has none.
AUDIO_CODECS = ("OPUS", "G722", "PCMU", "PCMA")
VIDEO_CODECS = ("VP8", "H264")
#: Names as they are written; SDP compares them without case.
CODEC_NAMES = {"OPUS": "opus", "G722": "G722", "PCMU": "PCMU", "PCMA": "PCMA", "VP8": "VP8", "H264": "H264"}
_STATIC = {
    "0": Format(0, "PCMU", "PCMU/8000", 8000),
    "8": Format(8, "PCMA", "PCMA/8000", 8000),
    "9": Format(9, "G722", "G722/8000", 8000),
}
_FEEDBACK = ("goog-remb", "nack", "nack pli")


@dataclass(frozen=True, slots=True)
class AcceptedTrack:
    """A section that will bring media."""

    name: str
    kind: Kind
    format: Format
    ssrcs: tuple[int, ...]
    nack: bool
    remb: bool
    bandwidth: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is accepted of an offer; ``chosen`` maps the section's index to its format (``None`` for the data channel)."""

    offer: Offer
    chosen: dict[int, Format | None]
    tracks: tuple[AcceptedTrack, ...]
    data: Section | None
    dtls_role: str


def plan_answer(offer: Offer, *, video_encoding: str | None = None, audio_encoding: str | None = None) -> Plan:
    """Choose what to accept: the first audio, the first video and the first data channel section.

    ``video_encoding`` and ``audio_encoding`` are the client's wishes; one that is not offered or not known is not followed.

    Raises:
        InvalidOffer: a kind of media is offered, but no codec of it can be taken, or only without RTCP multiplexing.
    """
    chosen: dict[int, Format | None] = {}
    tracks: list[AcceptedTrack] = []
    data: Section | None = None
    for index, section in enumerate(offer.sections):
        if section.mid not in offer.bundle or (section.port == 0 and not section.bundle_only):
            continue
        if section.kind == "application" and data is None and "SCTP" in section.profile:
            data = section
            chosen[index] = None
        elif section.kind in ("audio", "video") and not any(offer.sections[i].kind == section.kind for i in chosen):
            wish = video_encoding if section.kind == "video" else audio_encoding
            picked = _pick(section, wish)
            if not section.rtcp_mux:
                raise InvalidOffer("The offer must multiplex RTCP with RTP (a=rtcp-mux).")
            if picked is None:
                names = ", ".join(CODEC_NAMES[name] for name in _codecs(section.kind))
                raise InvalidOffer(f"No common {section.kind} codec: this origin takes {names}.")
            chosen[index] = picked
            if section.sends:
                tracks.append(_track(section, picked))
    if not chosen:
        raise InvalidOffer("The offer has no section that can be accepted.")
    return Plan(offer, chosen, tuple(tracks), data, "server" if offer.setup == "active" else "client")


def _codecs(kind: str) -> tuple[str, ...]:
    return VIDEO_CODECS if kind == "video" else AUDIO_CODECS


def _pick(section: Section, wish: str | None) -> Format | None:
    known = _codecs(section.kind)
    usable: list[Format] = []
    for number in section.fmt:
        payload_type = read_number(number)
        found = section.formats.get(payload_type) if payload_type is not None else None
        found = found or (_STATIC.get(number) if section.kind == "audio" else None)
        if found is not None and found.codec in known:
            usable.append(found)
    if wish is not None and any(each.codec == wish.upper() for each in usable):
        usable = [each for each in usable if each.codec == wish.upper()]
    if section.kind == "audio":
        usable.sort(key=lambda each: known.index(each.codec))
    if not usable:
        return None
    codec = usable[0].codec
    # Non-interleaved packetization of H.264 is what browsers and recorders prefer (RFC 6184, 6.3).
    return next((each for each in usable if each.codec == codec and "packetization-mode=1" in each.fmtp), usable[0])


def _track(section: Section, picked: Format) -> AcceptedTrack:
    video = section.kind == "video"
    return AcceptedTrack(
        name="video_main" if video else "audio_main",
        kind=Kind.VIDEO if video else Kind.AUDIO,
        format=picked,
        ssrcs=tuple(section.ssrcs),
        nack="nack" in picked.feedback,
        remb="goog-remb" in picked.feedback,
        bandwidth=section.bandwidth,
    )


def write_answer(
    plan: Plan,
    *,
    ufrag: str,
    password: str,
    fingerprint: str,
    candidates: Sequence[HostCandidate],
    session_id: int,
) -> str:
    """Write the answer; ``fingerprint`` is that of our certificate, SHA-256, ``session_id`` any number below 2^63."""
    offer = plan.offer
    bundled = " ".join(offer.sections[index].mid for index in sorted(plan.chosen))
    lines = ["v=0", f"o=- {session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    if bundled.strip():
        lines.append(f"a=group:BUNDLE {bundled}")
    transport = [
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        f"a=fingerprint:sha-256 {fingerprint}",
        f"a=setup:{'passive' if plan.dtls_role == 'server' else 'active'}",
    ]
    reachable = [*(f"a=candidate:{each}" for each in candidates), "a=end-of-candidates"]
    default = candidates[0]
    connection = f"c=IN IP{6 if ':' in default.address else 4} {default.address}"
    for index, section in enumerate(offer.sections):
        if index in plan.chosen:
            lines += _accepted(section, plan.chosen[index], default.port, connection) + transport + reachable
        else:
            lines += _rejected(section) + transport
    return "\r\n".join(lines) + "\r\n"


def _accepted(section: Section, picked: Format | None, port: int, connection: str) -> list[str]:
    fmt = str(picked.payload_type) if picked else " ".join(section.fmt)
    lines = [f"m={section.kind} {port} {section.profile} {fmt}", connection]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    if picked is None:
        legacy = section.fmt[0].isdecimal()
        lines.append(f"a=sctpmap:{section.sctp_port} webrtc-datachannel 1024" if legacy else "a=sctp-port:5000")
        lines.append("a=max-message-size:262144")
        return lines
    lines += ["a=recvonly" if section.sends else "a=inactive", "a=rtcp-mux"]
    if section.reduced_size_rtcp:
        lines.append("a=rtcp-rsize")
    lines.append(f"a=rtpmap:{picked.payload_type} {picked.rtpmap}")
    lines += [f"a=rtcp-fb:{picked.payload_type} {each}" for each in _FEEDBACK if each in picked.feedback]
    if picked.fmtp:
        lines.append(f"a=fmtp:{picked.payload_type} {picked.fmtp}")
    return lines


def _rejected(section: Section) -> list[str]:
    """Write a refused section: port 0, and the least that strict parsers ask of it."""
    lines = [f"m={section.kind} 0 {section.profile} {section.fmt[0]}", "c=IN IP4 0.0.0.0", "a=inactive"]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    if section.kind in ("audio", "video"):
        lines.append("a=rtcp-mux")
        payload_type = read_number(section.fmt[0])
        if payload_type is not None and (known := section.formats.get(payload_type)):
            lines.append(f"a=rtpmap:{known.payload_type} {known.rtpmap}")
    return lines
