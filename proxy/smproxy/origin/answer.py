"""Choosing codecs and writing the SDP answer (RFC 8829, RFC 9143). Sans-I/O.

One codec per kind is accepted, so that a track is what it says it is. Retransmission works without RTX: a NACKed packet
comes again as it was. transport-cc is not accepted, so that a browser's bandwidth estimate follows REMB; nor is any header
extension, since nothing would read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smproxy.origin.candidates import HostCandidate
from smproxy.origin.offer import InvalidOffer, Offer, UnsupportedOffer
from smproxy.origin.payload_format import PayloadFormat, packetization_mode
from smproxy.origin.sdp_section import Section, read_number
from smproxy.signaling.payloads import Kind

#: Codecs that are taken, in the order of preference where the client has none.
AUDIO_CODECS = ("OPUS", "G722", "PCMU", "PCMA")
VIDEO_CODECS = ("VP8", "H264")
#: Names as they are written; SDP compares them without case.
CODEC_NAMES = {"OPUS": "opus", "G722": "G722", "PCMU": "PCMU", "PCMA": "PCMA", "VP8": "VP8", "H264": "H264"}
_FEEDBACK = ("goog-remb", "nack", "nack pli")


@dataclass(frozen=True, slots=True)
class AcceptedTrack:
    """A section that will bring media.

    ``simulcast`` are its sources when several of one picture are sent, the best last.
    """

    name: str
    kind: Kind
    format: PayloadFormat
    ssrcs: tuple[int, ...]
    simulcast: tuple[int, ...]
    nack: bool
    remb: bool
    bandwidth: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is accepted of an offer.

    ``chosen`` maps the index of a section that shares the transport to its format; ``None`` when no media comes in it: the
    data channel, or a section that is answered inactive.
    """

    offer: Offer
    chosen: dict[int, PayloadFormat | None]
    tracks: tuple[AcceptedTrack, ...]
    data: Section | None
    dtls_role: str


def plan_answer(offer: Offer, *, video_encoding: str | None = None, audio_encoding: str | None = None) -> Plan:
    """Choose what to accept of an offer.

    That is the first audio and the first video section that send, and the first data channel.

    ``video_encoding`` and ``audio_encoding`` are the client's wishes; one that is not offered or not known is not followed.

    Raises:
        InvalidOffer: media of a kind is sent, but no codec of it can be taken, or only without RTCP multiplexing.
    """
    chosen: dict[int, PayloadFormat | None] = {}
    tracks: list[AcceptedTrack] = []
    data: Section | None = None
    offered = [(index, each) for index, each in enumerate(offer.sections) if is_offered(each, offer)]
    for index, section in offered:
        if section.kind == "application":
            if data is None and "SCTP" in section.profile:
                data = section
                chosen[index] = None
        elif section.kind in ("audio", "video") and not section.sends:
            chosen[index] = None
    for kind, wish in (("audio", audio_encoding), ("video", video_encoding)):
        sending = [(index, each) for index, each in offered if each.kind == kind and each.sends]
        for index, section in sending:
            picked = pick_format(section, wish)
            if picked is not None:
                if not section.rtcp_mux:
                    raise InvalidOffer("The offer must multiplex RTCP with RTP (a=rtcp-mux).")
                chosen[index] = picked
                tracks.append(_track(section, picked))
                break
        else:
            if sending:
                names = ", ".join(CODEC_NAMES[name] for name in _codecs(kind))
                raise UnsupportedOffer(f"No common {kind} codec: this origin takes {names}.")
    if not chosen:
        raise InvalidOffer("The offer has no section that can be accepted.")
    return Plan(offer, chosen, tuple(tracks), data, "server" if offer.setup == "active" else "client")


def is_offered(section: Section, offer: Offer) -> bool:
    """Return whether a section can be accepted: it is bundled and not rejected."""
    return section.mid in offer.bundle and (section.port != 0 or section.bundle_only)


def _codecs(kind: str) -> tuple[str, ...]:
    return VIDEO_CODECS if kind == "video" else AUDIO_CODECS


def pick_format(section: Section, wish: str | None) -> PayloadFormat | None:
    """Pick one of the client's formats; ``None`` when none is known."""
    known = _codecs(section.kind)
    numbers = [read_number(each) for each in section.fmt]
    found = [section.formats[each] for each in numbers if each is not None and each in section.formats]
    usable = [each for each in found if each.codec in known]
    if wish is not None and any(each.codec == wish.upper() for each in usable):
        usable = [each for each in usable if each.codec == wish.upper()]
    if section.kind == "audio":
        usable.sort(key=lambda each: known.index(each.codec))
    if not usable:
        return None
    same = [each for each in usable if each.codec == usable[0].codec]
    if same[0].codec == "H264":
        # Non-interleaved packetization is what browsers and recorders prefer (RFC 6184, 6.3).
        same.sort(key=lambda each: packetization_mode(each) != "1")
    return same[0]


def _track(section: Section, picked: PayloadFormat) -> AcceptedTrack:
    video = section.kind == "video"
    return AcceptedTrack(
        name="video_main" if video else "audio_main",
        kind=Kind.VIDEO if video else Kind.AUDIO,
        format=picked,
        ssrcs=tuple(section.ssrcs),
        simulcast=tuple(section.simulcast_ssrcs),
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
    write_media: Callable[[Section, PayloadFormat], list[str]] | None = None,
) -> str:
    """Write the answer.

    ``fingerprint`` is that of our certificate, SHA-256, ``session_id`` any number below 2^63. ``write_media`` writes the
    attributes of a section with media; without one it is received.
    """
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
        picked = plan.chosen.get(index)
        if index not in plan.chosen:
            lines += _rejected(section) + transport
            continue
        lines += [f"m={section.kind} {default.port} {section.profile} {_fmt(section, picked)}", connection]
        if section.mid:
            lines.append(f"a=mid:{section.mid}")
        if section is plan.data:
            lines += _data(section)
        else:
            lines += _unused(section) if picked is None else (write_media or _receiving)(section, picked)
        lines += transport + reachable
    return "\r\n".join(lines) + "\r\n"


def _fmt(section: Section, picked: PayloadFormat | None) -> str:
    if picked is not None:
        return str(picked.payload_type)
    return " ".join(section.fmt) if section.kind == "application" else section.fmt[0]


def _data(section: Section) -> list[str]:
    legacy = section.fmt[0].isdecimal()
    port = f"a=sctpmap:{section.sctp_port} webrtc-datachannel 1024" if legacy else "a=sctp-port:5000"
    return [port, "a=max-message-size:262144"]


def _receiving(section: Section, picked: PayloadFormat) -> list[str]:
    lines = ["a=recvonly", "a=rtcp-mux", "a=rtcp-mux-only"]
    if section.reduced_size_rtcp:
        lines.append("a=rtcp-rsize")
    lines.append(f"a=rtpmap:{picked.payload_type} {picked.rtpmap}")
    lines += [f"a=rtcp-fb:{picked.payload_type} {each}" for each in _FEEDBACK if each in picked.feedback]
    if picked.fmtp:
        lines.append(f"a=fmtp:{picked.payload_type} {picked.fmtp}")
    return lines


def _unused(section: Section) -> list[str]:
    """Write a section in which nothing is sent, in the first of the client's formats.

    The format need not be one of ours.
    """
    lines = ["a=inactive", "a=rtcp-mux"]
    payload_type = read_number(section.fmt[0])
    if payload_type is not None and (known := section.formats.get(payload_type)):
        lines.append(f"a=rtpmap:{known.payload_type} {known.rtpmap}")
        if known.fmtp:
            lines.append(f"a=fmtp:{known.payload_type} {known.fmtp}")
    return lines


def _rejected(section: Section) -> list[str]:
    """Write a refused section: port 0, and the least that strict parsers ask of it."""
    lines = [f"m={section.kind} 0 {section.profile} {section.fmt[0]}", "c=IN IP4 0.0.0.0"]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    return lines + (_unused(section) if section.kind in ("audio", "video") else ["a=inactive"])
