"""What one relay allows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """Sizes in bytes, times in seconds."""

    max_message: int = 1024 * 1024
    """Largest frame and largest assembled message, in either direction; above it the connection ends with 1009."""
    high_water: int = 64 * 1024
    """How much may wait in a leg's write buffer before the other leg is no longer read."""
    held: int = 64 * 1024
    """How much a client may send ahead while its origin is dialed before it is no longer read."""
    head: int = 16 * 1024
    """Longest response head of an origin."""
    dial_timeout: float = 5.0
    """From the dial to the end of the origin's handshake."""
    refuse_timeout: float = 2.0
    """How long a refused client may take to answer the Close frame."""
    close_timeout: float = 5.0
    """From the first sign of an end until both legs are gone, by force if need be."""
    boundary_timeout: float = 1.0
    """How long a Close frame of the relay's own waits for the end of a frame that is on its way."""
    idle_ping: float = 20.0
    """A leg that has been silent for so long gets a ping."""
    idle_timeout: float = 20.0
    """A leg that stays silent for so long after the ping is taken for dead; the connection ends with 1011."""
