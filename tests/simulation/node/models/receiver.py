"""Which events are for a receiver that comes and goes while the node runs, as docs/hook-tools.md tells it."""

from __future__ import annotations

from collections.abc import Callable, Set


class ReceiverModel:
    """What one receiver is owed, and what it may get or not: what was published while it was being added or removed.

    One ``of_start`` is there again after a restart, and then gets what it had yet to get when it was removed.
    """

    def __init__(self, *, of_start: bool) -> None:
        self._of_start = of_start
        self._present = False
        #: It is being added or removed, or nobody knows which of both it is on disk.
        self._unsure = False
        self._owed: set[str] = set()
        self._may: set[str] = set()
        #: What it must get, and may get, when it is there again after a restart.
        self._parked: set[str] = set()
        self._maybe: set[str] = set()

    def owes(self, uuid: str) -> bool:
        """Return whether the receiver must get an event."""
        return uuid in self._owed

    def allows(self, uuid: str) -> bool:
        """Return whether the receiver may be sent an event."""
        return uuid in self._owed or uuid in self._may

    def published(self, uuid: str) -> None:
        """Take a new event."""
        if self._unsure:
            self._may.add(uuid)
        elif self._present:
            self._owed.add(uuid)

    def being_added(self) -> None:
        """It is asked for: from the answer on it is there, with nothing of what came before."""
        self._unsure = True

    def added(self) -> None:
        """It is there."""
        self._present, self._unsure = True, False
        self._parked.clear()
        self._maybe.clear()

    def being_removed(self, pending: Callable[[str], bool]) -> None:
        """Nothing more is for it; an attempt may be under way."""
        self._unsure = True
        self._parked = {uuid for uuid in self._owed if pending(uuid)}
        self._may |= self._parked
        self._owed -= self._parked

    def removed(self) -> None:
        """It is gone."""
        self._present = self._unsure = False
        self._maybe |= self._may - self._parked
        self._may.clear()

    def restarted(self, known: Set[str], keeps_all: bool) -> None:
        """A process starts; ``known``: the events that were not lost. Else what it had yet to get may be too old by now."""
        if not self._of_start:
            self._owed.clear()
            self._may.clear()
        else:
            (self._owed if keeps_all and not self._unsure else self._may).update(self._parked)
            self._may |= self._maybe
        self._owed &= known
        self._may &= known
        self._parked.clear()
        self._maybe.clear()
        self._present, self._unsure = self._of_start, False
