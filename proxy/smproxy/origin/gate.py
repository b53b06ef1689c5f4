"""Which clients may connect to an origin: those that its manager announced."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from smproxy.origin.announcements import Announcements
from smproxy.origin.settings import OriginSettings
from smproxy.signaling.node_channel import Announce

_log = logging.getLogger(__name__)


class Gate:
    """Lets the client of an announced attempt in, once."""

    def __init__(self, settings: OriginSettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._announcements = Announcements(monotonic)
        self._announced = asyncio.Event()

    def announce(self, announce: Announce) -> None:
        """Let the client of an attempt in, once and for a while."""
        self._announcements.add(announce)
        announced, self._announced = self._announced, asyncio.Event()
        announced.set()

    def discard(self, attempt: str) -> None:
        """Withdraw an announcement; without one nothing happens."""
        self._announcements.discard(attempt)

    def forget(self, attempt: str) -> Announce:
        """Return what was announced of an attempt and forget it; without facts when nothing was."""
        return self._announcements.forget(attempt)

    async def admit(self, attempt: str | None, scope: str) -> bool:
        """Decide whether a client may connect."""
        if self._settings.open_to_all or self._announcements.take(attempt):
            return True
        if self._settings.announce_wait and attempt is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.announce_wait):
                    while not self._announcements.take(attempt):
                        await self._announced.wait()
                    return True
        _log.warning("refused a client for scope %s: its stream manager did not announce it", scope)
        return False
