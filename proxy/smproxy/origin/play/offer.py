"""Planning and writing the offer to a subscriber (RFC 8829, RFC 9143). Sans-I/O.

A slot is offered for each track of the stream, in the one codec that the publisher sends, since nothing is transcoded. Both
have the same stream id: the vendor SDK plays only the first stream that it is given.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smproxy.origin.candidates import HostCandidate
from smproxy.origin.payload_format import PayloadFormat
from smproxy.signaling.payloads import Kind

#: Retransmission without RTX, key frame requests in both forms, and the client's idea of the bandwidth.
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
_PROFILE = "profile-level-id="


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One track to a subscriber.

    ``number`` is 0 for audio and 1 for video; the index of its section may differ.
    """

    number: int
    kind: Kind
    format: PayloadFormat
    ssrc: int
    track_id: str

    @property
    def name(self) -> str:
        """The track's name in reports."""
        return "video_main" if self.kind is Kind.VIDEO else "audio_main"


@dataclass(frozen=True, slots=True)
class OfferPlan:
    """The offered slots in the order of their sections, then the data channel if there is one."""

    slots: tuple[Slot, ...]
    data: bool
    stream_id: str
    cname: str


def plan_offer(formats: Mapping[Kind, PayloadFormat], *, data: bool, rng: random.Random) -> OfferPlan:
    """Plan an offer of these tracks, and of a data channel if the client asked for one.

    Raises:
        ValueError: there is nothing to offer.
    """
    if not formats and not data:
        raise ValueError("The stream has neither audio nor video.")
    slots = tuple(
        Slot(number, kind, formats[kind], rng.randrange(1, 1 << 32), _identifier(rng))
        for number, kind in enumerate((Kind.AUDIO, Kind.VIDEO))
        if kind in formats
    )
    return OfferPlan(slots, data, _identifier(rng), _identifier(rng))


def _identifier(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def write_offer(
    plan: OfferPlan,
    *,
    ufrag: str,
    password: str,
    fingerprint: str,
    candidates: Sequence[HostCandidate],
    session_id: int,
) -> str:
    """Write the offer.

    ``fingerprint`` is that of our certificate, SHA-256, ``session_id`` any number below 2^63.

    The mids are 0, 1, 2 in the order of the sections: some builds of the SDK assume it.
    """
    count = len(plan.slots) + plan.data
    default = candidates[0]
    connection = f"c=IN IP{6 if ':' in default.address else 4} {default.address}"
    transport = [
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        *(f"a=candidate:{each}" for each in candidates),
        "a=end-of-candidates",
    ]
    lines = [
        "v=0",
        f"o=- {session_id} 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=group:BUNDLE " + " ".join(str(mid) for mid in range(count)),
        f"a=msid-semantic: WMS {plan.stream_id}",
    ]
    for mid, slot in enumerate(plan.slots):
        lines += [*_media(plan, slot, mid, default.port, connection), *transport]
    if plan.data:
        lines += [
            f"m=application {default.port} UDP/DTLS/SCTP webrtc-datachannel",
            connection,
            f"a=mid:{count - 1}",
            "a=sctp-port:5000",
            "a=max-message-size:262144",
            *transport,
        ]
    return "\r\n".join(lines) + "\r\n"


def _media(plan: OfferPlan, slot: Slot, mid: int, port: int, connection: str) -> list[str]:
    picked = slot.format
    video = slot.kind is Kind.VIDEO
    lines = [
        f"m={'video' if video else 'audio'} {port} UDP/TLS/RTP/SAVPF {picked.payload_type}",
        connection,
        f"a=mid:{mid}",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=msid:{plan.stream_id} {slot.track_id}",
        f"a=rtpmap:{picked.payload_type} {picked.rtpmap}",
    ]
    if video:
        lines += [f"a=rtcp-fb:{picked.payload_type} {each}" for each in _FEEDBACK]
    if picked.fmtp:
        lines.append(f"a=fmtp:{picked.payload_type} {_profile_last(picked.fmtp)}")
    lines.append(f"a=ssrc:{slot.ssrc} cname:{plan.cname}")
    lines.append(f"a=ssrc:{slot.ssrc} msid:{plan.stream_id} {slot.track_id}")
    return lines


def _profile_last(fmtp: str) -> str:
    """Put ``profile-level-id`` last.

    An SDK rewrites everything from there to the end of the line.
    """
    parameters = [each.strip() for each in fmtp.split(";") if each.strip()]
    parameters.sort(key=lambda each: each.lower().startswith(_PROFILE))
    return ";".join(parameters)
