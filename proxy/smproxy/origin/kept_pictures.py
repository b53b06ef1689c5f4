"""A bound for the memory in which origins keep pictures that nobody watches."""

from __future__ import annotations

from typing import Protocol

#: Streams whose pictures are kept while nobody watches. Of each there are at most 4 MiB.
MAX_UNWATCHED = 64


class KeptSource(Protocol):
    """A stream whose pictures are kept. It is compared by identity."""

    @property
    def watched(self) -> bool:
        """Whether somebody watches it."""

    def drop_pictures(self) -> None:
        """Keep no pictures until somebody watches."""


class KeptPictures:
    """The streams whose pictures are kept; the oldest unwatched one gives way to a new one."""

    def __init__(self, limit: int = MAX_UNWATCHED) -> None:
        self._limit = limit
        self._keepers: dict[KeptSource, None] = {}

    def add(self, keeper: KeptSource) -> None:
        """Note a stream whose pictures are kept from now on."""
        self._keepers[keeper] = None
        unwatched = [each for each in self._keepers if not each.watched]
        for each in unwatched[: max(len(unwatched) - self._limit, 0)]:
            del self._keepers[each]
            each.drop_pictures()

    def discard(self, keeper: KeptSource) -> None:
        """Note that a stream's pictures are kept no more."""
        self._keepers.pop(keeper, None)
