"""An RTP packet between its two legs: what the subscribers' headers are written from, and the payload."""

from __future__ import annotations

from typing import NamedTuple

#: The marker bit in the second octet of an RTP header.
MARKER = 0x80


class MediaPacket(NamedTuple):
    """One packet of a feed.

    ``number`` is the publisher's sequence number extended over its wraps, and goes on when the source restarts;
    ``timestamp`` is 32 bits wide and does the same; ``marker`` is ``MARKER`` or 0. The payload has neither header extension,
    whose ids mean something else on another leg, nor padding.
    """

    number: int
    timestamp: int
    marker: int
    payload: bytes
