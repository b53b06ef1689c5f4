"""Attempts that the manager announced and that have not connected yet. Sans-I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from smproxy.signaling.node_channel import Announce

#: Seconds for which an announcement holds; the relay gives up its dial long before.
LIFETIME = 60.0
#: Announcements that are kept; the oldest makes room.
MAX_ANNOUNCED = 10_000


class Announcements:
    """Attempt tokens that may be used, each once, and what was announced of them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: OrderedDict[str, float] = OrderedDict()
        self._announced: OrderedDict[str, Announce] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, announce: Announce) -> None:
        """Let the client of an attempt in, once and for a while."""
        attempt, now = announce.attempt, self._monotonic()
        self._until[attempt] = now + LIFETIME
        self._until.move_to_end(attempt)
        while len(self._until) > MAX_ANNOUNCED or next(iter(self._until.values())) < now:
            self._until.popitem(last=False)
        self._announced[attempt] = announce
        while len(self._announced) > MAX_ANNOUNCED:
            self._announced.popitem(last=False)

    def take(self, attempt: str | None) -> bool:
        """Use an announcement up; False when there is none."""
        return attempt is not None and self._until.pop(attempt, 0.0) >= self._monotonic()

    def forget(self, attempt: str) -> Announce:
        """Return what was announced of an attempt and forget it; without facts when nothing was."""
        return self._announced.pop(attempt, None) or Announce(attempt)

    def discard(self, attempt: str) -> None:
        """Withdraw an announcement; without one nothing happens."""
        self._until.pop(attempt, None)
