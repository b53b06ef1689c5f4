"""Answering the offer of a client that wants to watch (RFC 3264, RFC 9143). Sans-I/O."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smproxy.origin.answer import CODEC_NAMES, Plan, is_offered, pick_format, write_answer
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.ice import Credentials
from smproxy.origin.offer import Offer, UnsupportedOffer
from smproxy.origin.payload_format import PayloadFormat, carries, read_fmtp
from smproxy.origin.play.answer import AcceptedSlot, CodecRefused, SubscriberAnswer
from smproxy.origin.play.offer import OfferPlan, Slot
from smproxy.origin.sdp_section import Section
from smproxy.signaling.payloads import Kind

_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")


@dataclass(frozen=True, slots=True)
class ViewerPlan:
    """What a client gets that made an offer.

    ``answer`` is what is written, ``slots`` what is sent, and ``accepted`` the same as if the client had answered an offer.
    """

    answer: Plan
    slots: OfferPlan
    accepted: SubscriberAnswer


def plan_viewer_answer(offer: Offer, formats: Mapping[Kind, PayloadFormat] | None, *, rng: random.Random) -> ViewerPlan:
    """Choose what to send of a stream.

    ``formats`` is ``None`` when it is not live yet and any codec may come.

    Raises:
        UnsupportedOffer: the offer has two sections of a kind, or none that can be served.
        CodecRefused: the client does not take the codec of a track.
    """
    offered = [(index, each) for index, each in enumerate(offer.sections) if is_offered(each, offer)]
    chosen: dict[int, PayloadFormat | None] = {
        index: None for index, each in offered if each.kind in ("audio", "video")
    }
    data = next((each for _, each in offered if each.kind == "application" and "SCTP" in each.profile), None)
    chosen.update({index: None for index, each in offered if each is data})
    slots: list[AcceptedSlot] = []
    for number, kind in enumerate((Kind.AUDIO, Kind.VIDEO)):
        name = kind.name.lower()
        receiving = [(index, each) for index, each in offered if each.kind == name and each.receives]
        if len(receiving) > 1:
            raise UnsupportedOffer(f"The offer has {len(receiving)} {name} sections; one of a kind is served.")
        if not receiving or (formats is not None and kind not in formats):
            continue
        index, section = receiving[0]
        picked = chosen[index] = _choose(section, None if formats is None else formats[kind])
        track = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        slots.append(AcceptedSlot(Slot(number, kind, picked, rng.randrange(1, 1 << 32), track), picked.payload_type))
    if not slots and data is None:
        raise UnsupportedOffer("The offer receives nothing that the stream has.")
    role = "server" if offer.setup == "active" else "client"
    identifiers = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(2)]
    return ViewerPlan(
        Plan(offer, chosen, (), data, role),
        OfferPlan(tuple(each.slot for each in slots), data is not None, *identifiers),
        SubscriberAnswer(tuple(slots), data, Credentials(offer.ufrag, offer.password), offer.fingerprints, role),
    )


def _choose(section: Section, stream: PayloadFormat | None) -> PayloadFormat:
    """Choose the client's format for a track."""
    if stream is None:
        if (picked := pick_format(section, None)) is None:
            raise CodecRefused(f"The client takes no {section.kind} codec that this origin knows.")
        return picked
    usable = [each for each in section.formats.values() if carries(each, stream)]
    if not usable:
        name = CODEC_NAMES.get(stream.codec, stream.codec)
        raise CodecRefused(f"The client does not take {name} {section.kind}, which is what the stream has.")
    profile = read_fmtp(stream.fmtp).get("profile-level-id")
    return next((each for each in usable if read_fmtp(each.fmtp).get("profile-level-id") == profile), usable[0])


def write_viewer_answer(
    plan: ViewerPlan,
    *,
    ufrag: str,
    password: str,
    fingerprint: str,
    candidates: Sequence[HostCandidate],
    session_id: int,
) -> str:
    """Write the answer; parameters as for publishers."""
    slots = {slot.kind.name.lower(): slot for slot in plan.slots.slots}

    def write_media(section: Section, picked: PayloadFormat) -> list[str]:
        slot = slots[section.kind]
        lines = ["a=sendonly", "a=rtcp-mux", "a=rtcp-mux-only"]
        if section.reduced_size_rtcp:
            lines.append("a=rtcp-rsize")
        lines += [
            f"a=msid:{plan.slots.stream_id} {slot.track_id}",
            f"a=rtpmap:{picked.payload_type} {picked.rtpmap}",
            *(f"a=rtcp-fb:{picked.payload_type} {each}" for each in _FEEDBACK if each in picked.feedback),
        ]
        if picked.fmtp:
            lines.append(f"a=fmtp:{picked.payload_type} {picked.fmtp}")
        return [*lines, f"a=ssrc:{slot.ssrc} cname:{plan.slots.cname}"]

    return write_answer(
        plan.answer,
        ufrag=ufrag,
        password=password,
        fingerprint=fingerprint,
        candidates=candidates,
        session_id=session_id,
        write_media=write_media,
    )
