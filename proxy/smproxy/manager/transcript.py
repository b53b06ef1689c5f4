"""The transcript of one session: its signaling messages, as the bytes came.

Adding a frame is on the relay's hot path and does next to nothing; parsing and removing secrets waits for a reader. The
first and the last frames are kept, and those between are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from smproxy.auth.verdict import Verdict
from smproxy.signaling.redaction import Redactor

Side: TypeAlias = Literal["client", "origin", "proxy"]
Via: TypeAlias = Literal["socket", "channel", "http", "auth"]

#: Bytes that a transcript may grow by at a time, and that the first frames may take; the last ones take one chunk or two.
CHUNK = 16 * 1024
FIRST = 64 * 1024

#: Bytes of one frame that are kept.
FRAME = 32 * 1024

#: What an entry costs beside its text.
_OVERHEAD = 150


class Entry(NamedTuple):
    """One frame (``None`` when it was binary), or how a connection ended. ``at``: Unix seconds."""

    at: float
    side: Side
    text: bytes | None
    via: Via = "socket"
    close: tuple[int | None, str] | None = None


class _Frames:
    """The frames of some time. Those of client and origin are lists with time and text in turns."""

    __slots__ = ("client", "origin", "others")

    def __init__(self) -> None:
        self.client: list[Any] = []
        self.origin: list[Any] = []
        self.others: list[Entry] = []

    def __len__(self) -> int:
        return (len(self.client) + len(self.origin)) // 2 + len(self.others)

    def move(self) -> _Frames:
        """Return the frames and remove them.

        The lists stay the same objects, since the relay holds them.
        """
        moved = _Frames()
        for name in self.__slots__:
            own = getattr(self, name)
            setattr(moved, name, own[:])
            own.clear()
        return moved

    def entries(self) -> list[Entry]:
        """Return the frames in the order of time."""
        sides: tuple[tuple[Side, list[Any]], ...] = ("client", self.client), ("origin", self.origin)
        frames = [
            _cut(Entry(at, side, text))
            for side, noted in sides
            for at, text in zip(noted[::2], noted[1::2], strict=True)
        ]
        return sorted((*frames, *self.others), key=lambda entry: entry.at)


class Pool(Protocol):
    """Decides how much a transcript may hold."""

    def grant(self, transcript: Transcript) -> bool:
        """Return whether ``transcript`` may grow by ``CHUNK``."""
        ...


class Transcript:
    """The messages of one session, whose client dialed ``url``.

    ``now`` returns Unix time in seconds.

    The relay calls ``from_client`` and ``from_origin`` twice for each frame, with the time and with the text: they are the bare
    ``append`` of a list, since anything more adds to the latency of a message. Now and then it calls ``trim``.
    """

    __slots__ = (
        "_client", "_first", "_latest", "_origin", "_pool", "_previous", "_size",
        "from_client", "from_origin", "granted", "now", "omitted", "redactor", "session",
    )  # fmt: skip

    def __init__(self, session: int, url: str, now: Callable[[], float], pool: Pool) -> None:
        self.session = session
        self.now = now
        #: Bytes that it may hold.
        self.granted = CHUNK
        #: Frames between the first and the last that are not kept.
        self.omitted = 0
        self._latest = latest = _Frames()
        self._client, self._origin = latest.client, latest.origin
        self.from_client: Callable[[Any], None] = latest.client.append
        self.from_origin: Callable[[Any], None] = latest.origin.append
        self._size = 0  # of the latest, without what objects cost
        self._first: _Frames | None = None
        self._previous: _Frames | None = None
        self._pool = pool
        #: Removes the secrets of the connection from everything that is shown of it.
        self.redactor = Redactor(url)

    def add_proxy_message(self, text: str) -> None:
        """Add what the proxy itself sent to the client."""
        self._add(Entry(self.now(), "proxy", text.encode()))

    def add_channel_message(self, side: Side, text: str) -> None:
        """Add a message on the data channel."""
        self._add(Entry(self.now(), side, text.encode(errors="replace"), "channel"))

    def add_exchange(self, side: Side, message: dict[str, Any]) -> None:
        """Add an HTTP request or response, as a JSON object."""
        self._add(Entry(self.now(), side, msgspec.json.encode(message), "http"))

    def add_authentication(self, scheme: str, verdict: Verdict, took_ms: int) -> None:
        """Add what an authentication scheme has decided."""
        decided = {"scheme": scheme, "result": verdict.result, "reason": verdict.reason, "tookMs": took_ms}
        granted = msgspec.to_builtins(verdict.grant)
        decided |= {key: value for key, value in granted.items() if value is not None}
        self._add(Entry(self.now(), "proxy", msgspec.json.encode(decided), "auth"))

    def add_end_call(self, scheme: str, came_to: str, took_ms: int) -> None:
        """Add the call by which a scheme's back end learned of the session's end."""
        called = {"scheme": scheme, "result": "invalidated", "reason": came_to, "tookMs": took_ms}
        self._add(Entry(self.now(), "proxy", msgspec.json.encode(called), "auth"))

    def add_close(self, side: Side, code: int | None, reason: str) -> None:
        """Add the socket's end, which ``side`` began.

        ``code`` is that of the Close frame, ``None`` without one.
        """
        self._add(Entry(self.now(), side, None, "socket", (code, reason)))

    def entries(self) -> list[Entry]:
        """Return the entries that are kept, the oldest first."""
        return [entry for frames in (self._first, self._previous, self._latest) if frames for entry in frames.entries()]

    def lines(self) -> Iterator[bytes]:
        """Yield each entry as a JSON object, without secrets.

        Where frames are missing an object says how many.
        """
        if self._first is not None:
            for entry in self._first.entries():
                yield _encode(self._shown(entry))
        last = [entry for frames in (self._previous, self._latest) if frames for entry in frames.entries()]
        if self.omitted:
            at = _ms(last[0].at if last else self.now())
            yield _encode(
                {"at": at, "session": self.session, "from": "proxy", "via": "socket", "omitted": self.omitted}
            )
        for entry in last:
            yield _encode(self._shown(entry))

    def trim(self, came: int) -> int:
        """Keep within bounds, after so many bytes.

        Returns how many may come before the next call.
        """
        if came > FRAME:
            _cut_all(self._client)
            _cut_all(self._origin)
        self._size += came
        latest = self._latest
        size = self._size + _OVERHEAD * len(latest)
        if self._first is None:
            while self.granted < min(size, FIRST) and self._pool.grant(self):
                self.granted += CHUNK
            if size > self.granted or size >= FIRST:
                self._first = latest.move()
                self._size = 0
        elif size > CHUNK:
            self.omitted += len(self._previous or ())
            self._previous = latest.move()
            self._size = 0
        if self._first is not None and self.granted < FIRST + 2 * CHUNK and self._pool.grant(self):
            self.granted += CHUNK
        return CHUNK

    def _add(self, entry: Entry) -> None:
        entry = _cut(entry)
        self._latest.others.append(entry)
        self.trim(len(entry.text or b""))

    def _shown(self, entry: Entry) -> dict[str, Any]:
        line: dict[str, Any] = {
            "at": _ms(entry.at),
            "session": self.session,
            "from": entry.side,
            "via": entry.via,
        }
        if entry.close is not None:
            line["close"] = {"code": entry.close[0], "reason": self.redactor.text(entry.close[1])}
        elif entry.text is None:
            line["text"] = None
        else:
            text = entry.text.decode(errors="replace")
            cut = len(entry.text) == FRAME
            message = json_object(text)
            if message is None:
                line["text"] = self.redactor.text(text, cut=cut)
            else:
                if entry.via == "http" and message.get("cut"):
                    message["body"] = self.redactor.text(str(message.get("body")), cut=True)
                line["message"] = self.redactor.value(message)
            if cut:
                line["cut"] = True
        return line


def _cut(entry: Entry) -> Entry:
    """Shorten a text that is too long."""
    return entry if entry.text is None or len(entry.text) <= FRAME else entry._replace(text=entry.text[:FRAME])


def _cut_all(noted: list[Any]) -> None:
    """Shorten the texts that are too long among times and texts."""
    for place in range(1, len(noted), 2):
        text = noted[place]
        if text is not None and len(text) > FRAME:
            noted[place] = text[:FRAME]


def json_object(text: str) -> dict[str, Any] | None:
    """Read a JSON object; ``None`` when the text is none."""
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _encode(line: dict[str, Any]) -> bytes:
    return msgspec.json.encode(line)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
