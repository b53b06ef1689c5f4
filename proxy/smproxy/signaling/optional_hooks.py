"""The hooks that are sent on request only (``--hook-events``)."""

from __future__ import annotations

from enum import StrEnum


class OptionalHook(StrEnum):
    """What a receiver may have beside the documented life of a session."""

    #: Of tracks that are muted and unmuted.
    MUTE = "mute"
    #: What came of the media of a session, in its ``disconnected``.
    STATISTICS = "statistics"
    #: The same every few seconds while it is connected.
    STATS = "stats"
    #: How an origin is chosen and dialed.
    ROUTE = "route"
    #: Of rooms: the first peer, the last one, and empty for a while.
    ROOM = "room"
