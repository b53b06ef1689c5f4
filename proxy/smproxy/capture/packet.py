"""One packet of a client, as its session saw it."""

from __future__ import annotations

from typing import NamedTuple

#: IP address and port; a third part marks what came over TCP.
Endpoint = tuple[str, int]


class Packet(NamedTuple):
    """A datagram without its headers. ``at`` is in seconds since the Unix epoch."""

    at: float
    source: Endpoint
    destination: Endpoint
    data: bytes
