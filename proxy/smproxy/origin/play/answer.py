"""Reading a subscriber's answer (RFC 3264, RFC 8829). Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass

from smproxy.origin.answer import CODEC_NAMES
from smproxy.origin.ice import Credentials
from smproxy.origin.payload_format import carries
from smproxy.origin.play.offer import OfferPlan, Slot
from smproxy.origin.sdp import Description, read_description
from smproxy.origin.sdp_section import InvalidSdp, Section, read_number
from smproxy.signaling.payloads import Kind


class InvalidAnswer(ValueError):
    """The answer is none, or none to our offer; the text says why and is shown to the client."""


class CodecRefused(ValueError):
    """The client cannot take a codec of the stream.

    The text names the codec and is shown to the client.
    """


@dataclass(frozen=True, slots=True)
class AcceptedSlot:
    """A slot that the client takes, and the payload type that it wants to have it with."""

    slot: Slot
    payload_type: int


@dataclass(frozen=True, slots=True)
class SubscriberAnswer:
    """What a client accepts of an offer.

    ``dtls_role`` is ours; ``data`` is its section for data channels if it takes one.
    """

    slots: tuple[AcceptedSlot, ...]
    data: Section | None
    remote: Credentials
    fingerprints: list[tuple[str, str]]
    dtls_role: str


def read_answer(sdp: str, plan: OfferPlan) -> SubscriberAnswer:
    """Read the answer to an offer.

    A track that the client merely does not want (``a=inactive``) is left out; one whose codec it rejects is refused as a
    whole, since half a stream would look like a fault of the publisher.

    Raises:
        InvalidAnswer: it cannot be read, or does not fit the offer.
        CodecRefused: the client does not take the codec of a track.
    """
    try:
        return _read(read_description(sdp), plan)
    except InvalidSdp as exc:
        raise InvalidAnswer(f"The answer {exc}.") from None


def _read(description: Description, plan: OfferPlan) -> SubscriberAnswer:
    sections = description.sections
    kinds = [each.kind for each in sections]
    expected = ["video" if slot.kind is Kind.VIDEO else "audio" for slot in plan.slots]
    expected += ["application"] * plan.data
    if kinds != expected:
        raise InvalidSdp(f"has other media sections than the offer, which has {', '.join(expected)}")
    accepted: list[AcceptedSlot] = []
    used: list[Section] = []
    for slot, section in zip(plan.slots, sections, strict=False):
        if section.port and not section.receives:
            continue
        payload_type = _payload_type(slot, section)
        if payload_type is None:
            name = CODEC_NAMES.get(slot.format.codec, slot.format.codec)
            raise CodecRefused(f"The client does not take {name} {section.kind}, which is what the stream has.")
        if not section.rtcp_mux:
            raise InvalidSdp("must multiplex RTCP with RTP (a=rtcp-mux)")
        accepted.append(AcceptedSlot(slot, payload_type))
        used.append(section)
    data = sections[-1] if plan.data and sections[-1].port else None
    if data is not None:
        used.append(data)
    if not used:
        raise InvalidSdp("takes nothing of the offer")
    if len(used) > 1 and not all(each.mid in description.bundle for each in used):
        raise InvalidSdp("must bundle its media as the offer does (a=group:BUNDLE)")
    transport = description.transport()
    # What names no role is the DTLS client, as browsers are: RFC 8842, 5.3.
    role = "client" if transport.setup == "passive" else "server"
    return SubscriberAnswer(
        tuple(accepted), data, Credentials(transport.ufrag, transport.password), transport.fingerprints, role
    )


def _payload_type(slot: Slot, section: Section) -> int | None:
    """Return the payload type of the slot's codec, ``None`` when the client rejected it."""
    if section.port == 0:
        return None
    numbers = [each for each in map(read_number, section.fmt) if each is not None and each < 128]
    wanted = slot.format.payload_type
    if wanted in numbers and wanted not in section.formats:
        return wanted
    # Its own number first, in case that the client named the codec twice.
    for number in sorted(numbers, key=lambda each: each != wanted):
        known = section.formats.get(number)
        if known is not None and (
            carries(known, slot.format) or (number == wanted and known.codec == slot.format.codec)
        ):
            return number
    return None
