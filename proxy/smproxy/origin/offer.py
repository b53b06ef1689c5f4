"""Reading a publisher's SDP offer (RFC 8829, RFC 9143). Sans-I/O.

What an answer cannot do without is missing: :exc:`InvalidOffer` says so in words for the page's developer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from smproxy.origin.sdp import read_description
from smproxy.origin.sdp_section import InvalidSdp, Section


class InvalidOffer(ValueError):
    """The offer cannot be answered; the text says why and is shown to the client."""


class UnsupportedOffer(InvalidOffer):
    """The offer can be read, but asks for what this origin does not do."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered as far as the transport goes.

    ``bundle`` holds the mids that share it.
    """

    sections: list[Section]
    bundle: tuple[str, ...]
    ufrag: str
    password: str = field(repr=False)
    setup: str
    fingerprints: list[tuple[str, str]]

    @property
    def bundle_tag(self) -> tuple[str, str]:
        """Kind and mid of the media section that names the transport (RFC 9143, 7.2)."""
        mid = self.bundle[0]
        return next(each.kind for each in self.sections if each.mid == mid), mid


def read_offer(sdp: str) -> Offer:
    """Parse an offer.

    Raises:
        InvalidOffer: it is no SDP, or something without which no connection can be made is missing.
    """
    try:
        description = read_description(sdp)
        if description.lite:
            raise InvalidSdp("is from an ICE lite agent; one side must be a full one")
        if not description.bundle and sum(each.port != 0 for each in description.sections) > 1:
            raise InvalidSdp("must bundle its media (a=group:BUNDLE)")
        transport = description.transport()
    except InvalidSdp as exc:
        raise InvalidOffer(f"The offer {exc}.") from None
    return Offer(
        description.sections,
        description.bundle or tuple(each.mid for each in description.sections if each.port)[:1],
        transport.ufrag,
        transport.password,
        transport.setup,
        transport.fingerprints,
    )
