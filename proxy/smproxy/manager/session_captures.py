"""The captures of sessions: found, described, and written to files when sessions end."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from smproxy.capture.file_name import file_name
from smproxy.capture.pcapng import write_kept, write_start
from smproxy.capture.ring import MAX_ENDED, CaptureRing
from smproxy.manager.session import Session
from smproxy.manager.views import SessionView
from smproxy.tasks import Tasks, Timers

logger = logging.getLogger(__name__)

#: Files of one directory; the oldest that was written by this process makes room.
MAX_FILES = 1_000
#: Seconds after the end of a session in which its last packets come.
_LAST_PACKETS = 1.0
#: Seconds between two looks for new packets.
_LOOK = 0.2


async def follow(ring: CaptureRing, seconds: float, monotonic: Callable[[], float]) -> AsyncIterator[bytes]:
    """Give what was captured, and for so many seconds what comes, until the session ends."""
    until, sent = monotonic() + seconds, 0
    while True:
        last = ring.ended or monotonic() >= until
        if ring.count > sent:
            kept, sent = ring.since(sent), ring.count
            yield write_kept(kept)
        if last:
            return
        await asyncio.sleep(_LOOK)


class SessionCaptures:
    """Finds and writes captures.

    ``directory`` is where the capture of each session goes when it ends, if anywhere.
    """

    def __init__(self, directory: Path | None, application: str, view_of: Callable[[int], SessionView | None]) -> None:
        self._directory = directory
        self._application = application
        self._view_of = view_of
        #: Sessions that have ended, the oldest first.
        self._ended: dict[int, tuple[CaptureRing, SessionView]] = {}
        self._pending: set[int] = set()
        self._files: deque[Path] = deque()
        self._timers = Timers()
        self._tasks = Tasks()

    @property
    def kept(self) -> bool:
        """Whether every session is captured."""
        return self._directory is not None

    def session_ended(self, session: Session) -> None:
        """Keep the capture of a session that is over, and write it soon, if there is one."""
        ring, view = self.of(session, begin=False), self._view_of(session.number)
        if ring is None or view is None:
            return
        self._ended[session.number] = ring, view
        if len(self._ended) > MAX_ENDED:
            self.forget(next(iter(self._ended)))
        if self._directory is not None:
            self._pending.add(session.number)
            self._timers.after(_LAST_PACKETS, lambda: self._finish(session.number))

    def of(self, session: Session, *, begin: bool) -> CaptureRing | None:
        """Return the capture of a live session's connection.

        ``begin``: from now on, if there is none yet. ``None``: there is none, or it has no media connection.

        Raises:
            LookupError: its media does not come to this process.
        """
        attempt = session.attempt
        if attempt is None:
            return None
        if attempt.node.capture is None:
            if begin:
                raise LookupError(attempt.node.address)
            return None
        return attempt.node.capture(attempt.token, begin)

    def ended(self, number: int) -> CaptureRing | None:
        """Return the capture of a session that has ended."""
        known = self._ended.get(number)
        return None if known is None else known[0]

    def start_of(self, view: SessionView) -> bytes:
        """Return the beginning of a session's file: whose packets it has."""
        facts = {
            "session": view.session, "role": view.role, "id": view.id, "stream": view.stream, "scope": view.scope,
            "customerScope": view.customer_scope, "transport": view.transport, "origin": view.origin,
            "client": view.remote_ip, "error": view.error, "reason": view.reason,
        }  # fmt: skip
        known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        how = "RTP and RTCP are decrypted. IP and UDP headers of STUN and DTLS are made from the addresses."
        return write_start(self._application, [known, how])

    def forget(self, number: int) -> None:
        """Forget a session that has ended, if it is known."""
        self._finish(number)
        self._ended.pop(number, None)

    async def stop(self) -> None:
        """Write what is not written yet."""
        self._timers.cancel()
        for number in list(self._pending):
            self._finish(number)
        await self._tasks.settled()

    def _finish(self, number: int) -> None:
        if number not in self._pending or self._directory is None:
            return
        self._pending.discard(number)
        ring, view = self._ended[number]
        view = self._view_of(number) or view
        name = file_name(view.customer_scope, view.role, view.id, number)
        content = self.start_of(view) + write_kept(ring.since(0))
        self._tasks.spawn(self._write(self._directory / name, content))

    async def _write(self, path: Path, content: bytes) -> None:
        try:
            await asyncio.to_thread(path.write_bytes, content)
            self._files.append(path)
            if len(self._files) > MAX_FILES:
                await asyncio.to_thread(self._files.popleft().unlink, True)
        except OSError as error:
            logger.warning("the capture %s cannot be written: %s", path, (error.strerror or str(error)).lower())
