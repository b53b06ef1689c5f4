"""Server-sent events of a WHEP session: whether the stream is live, and its viewers.

Sans-I/O, but for its queues. Viewers are a number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from smproxy.signaling.whip import EVENT_TYPES

#: Streams of one session, and events that wait in one of a client that does not read.
MAX_STREAMS = 4
MAX_WAITING = 64


class EventStream:
    """The events of the types that a client asked for; ``None`` from ``get`` is the end."""

    def __init__(self, types: Iterable[str]) -> None:
        self._types = frozenset(types)
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)

    def send(self, type_: str, data: object) -> bool:
        """Send an event; False when the client does not read and the stream ends."""
        if type_ not in self._types:
            return True
        if self._waiting.full():
            self.close()
            return False
        self._waiting.put_nowait(b"event: %s\ndata: %s\n\n" % (type_.encode(), msgspec.json.encode(data)))
        return True

    def close(self) -> None:
        """End the stream; what waits is dropped when there is no room."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def get(self) -> bytes | None:
        """Wait for the next event."""
        return await self._waiting.get()


class ViewerEvents:
    """The event streams of one session."""

    def __init__(self) -> None:
        self._streams: dict[str, EventStream] = {}
        self._active = False
        self._viewers = 0

    def begin(self, *, live: bool) -> None:
        """Set whether the stream is live as the session begins.

        Only a live one makes an event.
        """
        self._active = live

    def open(self, key: str, types: Iterable[str] | None) -> bool:
        """Open a stream of these types of event, beginning with what holds now.

        False when there are too many.
        """
        if len(self._streams) >= MAX_STREAMS:
            return False
        stream = self._streams[key] = EventStream(EVENT_TYPES if types is None else types)
        if self._active:
            stream.send("active", {})
        if self._viewers:
            stream.send("viewercount", {"viewercount": self._viewers})
        return True

    def stream(self, key: str) -> EventStream | None:
        """Return an open stream."""
        return self._streams.get(key)

    def delete(self, key: str) -> bool:
        """End a stream; False when there is none of that key."""
        stream = self._streams.pop(key, None)
        if stream is not None:
            stream.close()
        return stream is not None

    def active(self, active: bool) -> None:
        """Send that the stream is live, or no more."""
        if active != self._active:
            self._active = active
            self._send("active" if active else "inactive", {})

    def viewers(self, count: int) -> None:
        """Send how many watch the stream, when it changed."""
        if count != self._viewers:
            self._viewers = count
            self._send("viewercount", {"viewercount": count})

    def _send(self, type_: str, data: object) -> None:
        self._streams = {key: stream for key, stream in self._streams.items() if stream.send(type_, data)}

    def close(self) -> None:
        """End all streams."""
        for key in tuple(self._streams):
            self.delete(key)
