"""An origin that listens at once, and imports its media stack once that is needed.

The import takes longer than all else that a server needs for its start, and who tests hooks or REST needs no media.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from smproxy.capture.ring import CaptureRing
from smproxy.origin.front import OriginFront
from smproxy.origin.unfit_library import UnfitLibraryError
from smproxy.signaling.node_channel import (
    Announce,
    Command,
    Evict,
    Hello,
    InterstitialState,
    Kick,
    SharedObjectState,
    TrackStatistics,
)
from smproxy.signaling.payloads import Reason

if TYPE_CHECKING:
    from smproxy.origin.origin import Origin

_log = logging.getLogger(__name__)

#: Commands that wait for the origin, which may never be needed; the oldest makes room.
_MAX_WAITING = 10_000


class LateOrigin:
    """The front of an origin, and the origin itself once it is needed.

    That is when the first client has come, or :meth:`load` was called. ``start`` starts the origin
    behind the front, when its modules have been imported. Ended by :meth:`stop`.
    """

    def __init__(self, front: OriginFront, start: Callable[[OriginFront], Awaitable[Origin]]) -> None:
        self.front = front
        self._start = start
        self._origin: Origin | None = None
        self._loading: asyncio.Task[Origin] | None = None
        self._commands: deque[Command] = deque(maxlen=_MAX_WAITING)
        front.on_client = self._begin_for_client

    @property
    def hello(self) -> Hello:
        """What the manager is told of this origin."""
        return self.front.hello

    async def load(self) -> Origin:
        """Import the media stack, check it, and return the origin that runs on it.

        Raises:
            UnfitLibraryError: a library is missing or not as the media path needs it.
        """
        return await asyncio.shield(self._begin())

    def command(self, command: Command) -> None:
        """Do what the manager asks, now or when there is an origin. See :meth:`Origin.command`."""
        if self._origin is not None:
            self._origin.command(command)
            return
        match command:
            case Announce():
                self.front.gate.announce(command)
            case Kick(attempt=attempt) | Evict(attempt=attempt):
                self.front.turn_away(attempt)
            case _:
                self._commands.append(command)

    async def thumbnail(self, scope: str, stream: str) -> bytes | None:
        """Return the last key frame of a live stream as PNG. See :meth:`Origin.thumbnail`."""
        return None if self._origin is None else await self._origin.thumbnail(scope, stream)

    def capture(self, attempt: str, begin: bool) -> CaptureRing | None:
        """Return what is captured of an attempt. See :meth:`Origin.capture`."""
        return None if self._origin is None else self._origin.capture(attempt, begin)

    def counters(self, attempt: str) -> list[TrackStatistics]:
        """Return the counters of an attempt as they are now. See :meth:`Origin.counters`."""
        return [] if self._origin is None else self._origin.counters(attempt)

    def shared_objects(self) -> list[SharedObjectState]:
        """Return the shared objects of all scopes."""
        return [] if self._origin is None else self._origin.shared_objects()

    def interstitials(self) -> list[InterstitialState]:
        """Return the interstitials that are shown or wait."""
        return [] if self._origin is None else self._origin.interstitials()

    async def stop(self, reason: Reason = Reason.NODE_SHUTDOWN) -> None:
        """End all streams with ``reason`` and close everything; an import that runs is waited for."""
        if self._loading is not None:
            await asyncio.wait((self._loading,))
        if self._origin is not None:
            await self._origin.stop(reason)
        else:
            await self.front.close()

    def _begin(self) -> asyncio.Task[Origin]:
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())
        return self._loading

    def _begin_for_client(self) -> None:
        if self._loading is None:
            self._begin().add_done_callback(_log_failure)

    async def _load(self) -> Origin:
        try:
            # On a thread, so that the loop goes on.
            await asyncio.to_thread(importlib.import_module, "smproxy.origin.origin")
            origin = await self._start(self.front)
        except ImportError as error:
            unfit = UnfitLibraryError(str(error))
            self.front.fail(unfit)
            raise unfit from None
        except Exception as error:
            self.front.fail(error)
            raise
        for command in self._commands:
            origin.command(command)
        self._commands.clear()
        self._origin = origin
        return origin


def _log_failure(loading: asyncio.Task[Origin]) -> None:
    """Log why the origin does not run, of which otherwise only its client would learn."""
    if not loading.cancelled() and (failure := loading.exception()) is not None:
        _log.error("the origin cannot run: %s", failure)
