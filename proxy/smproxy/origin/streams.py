"""The table of stream names: which are taken, which are live, and their watchers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from smproxy.origin.source import Source, StreamWatcher, tell_all
from smproxy.signaling.payloads import Kind


class NameOwner(Protocol):
    """A client that has taken a name. It is compared by identity."""

    def displaced(self) -> None:
        """Free the name, before this returns: another client takes it over."""


@dataclass(slots=True)
class _Claim:
    owner: NameOwner
    since: float
    live: bool = False
    source: Source | None = None
    #: The stream is another node's, and only watched here.
    pulled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Insertion:
    """A stream that is shown in place of another one: its audio, its video or both."""

    scope: str
    name: str
    kinds: frozenset[Kind]


class Streams:
    """The name table of one origin. A key is (scope, name).

    ``takeover``: seconds after which another client may take a name over, 0 at once, ``None`` never. ``taken_elsewhere`` says
    whether another origin has a name.
    """

    def __init__(
        self,
        takeover: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        taken_elsewhere: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._takeover = takeover
        self._monotonic = monotonic
        self._taken_elsewhere = taken_elsewhere or (lambda scope, name: False)
        self._claims: dict[tuple[str, str], _Claim] = {}
        self._watchers: dict[tuple[str, str], dict[StreamWatcher, bool]] = {}
        self._viewers: Counter[tuple[str, str]] = Counter()
        self._insertions: dict[tuple[str, str], Insertion] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def claim(self, scope: str, name: str, owner: NameOwner, *, pulled: bool = False) -> bool:
        """Take a name for an owner; False when another owner has it and keeps it.

        Its owner may take it again. ``pulled``: the stream is another node's.
        """
        claim = self._claims.get((scope, name))
        if claim is not None and claim.owner is not owner:
            if self.takeover_in(scope, name) != 0:
                return False
            claim.owner.displaced()
        return self._claims.setdefault((scope, name), _Claim(owner, self._monotonic(), pulled=pulled)).owner is owner

    def takeover_in(self, scope: str, name: str) -> float | None:
        """Return the seconds until a taken name may be taken over; ``None``: never."""
        claim = self._claims.get((scope, name))
        if claim is not None and claim.pulled:
            return None if self._taken_elsewhere(scope, name) else 0.0
        if claim is None or self._takeover is None:
            return None
        return max(0.0, claim.since + self._takeover - self._monotonic())

    def go_live(self, scope: str, name: str, owner: object, source: Source | None = None) -> None:
        """Mark an own name as published, and notify its watchers."""
        claim = self._claims.get((scope, name))
        if claim is None or claim.owner is not owner or claim.live:
            return
        claim.live = True
        claim.source = source
        if source is not None:
            source.scope, source.name = scope, name
            watchers = source.watchers = self._watchers.setdefault((scope, name), {})
            tell_all(watchers, lambda watcher: watcher.published(source))

    def free(self, scope: str, name: str, owner: object) -> None:
        """Give an own name back, and notify its watchers."""
        claim = self._claims.get((scope, name))
        if claim is None or claim.owner is not owner:
            return
        del self._claims[(scope, name)]
        self._insertions.pop((scope, name), None)
        for target in [key for key, each in self._insertions.items() if (each.scope, each.name) == (scope, name)]:
            self.insert(*target, None)
        watchers = self._watchers.get((scope, name), {})
        if not watchers:
            self._watchers.pop((scope, name), None)
        source = claim.source
        if source is not None:
            source.watchers = {}
            tell_all(watchers, lambda watcher: watcher.unpublished(source))

    def taken_by_another(self, scope: str, name: str, owner: object) -> bool:
        """Return whether another owner has the name and keeps it."""
        claim = self._claims.get((scope, name))
        if claim is None:
            return self._taken_elsewhere(scope, name)
        return claim.owner is not owner and self.takeover_in(scope, name) != 0

    def is_live(self, scope: str, name: str) -> bool:
        """Return whether the stream can be subscribed to."""
        claim = self._claims.get((scope, name))
        return claim is not None and claim.live

    def live(self, scope: str) -> list[str]:
        """Return the names of the streams that can be subscribed to, sorted."""
        return sorted(name for (where, name), claim in self._claims.items() if where == scope and claim.live)

    def source(self, scope: str, name: str) -> Source | None:
        """Return the live stream of a name."""
        claim = self._claims.get((scope, name))
        return claim.source if claim is not None and claim.live else None

    def insertion(self, scope: str, name: str) -> Insertion | None:
        """Return what is shown in place of a stream."""
        return self._insertions.get((scope, name))

    def insert(self, scope: str, name: str, insertion: Insertion | None) -> None:
        """Show another stream in place of one, or none any more, and notify its watchers.

        It ends with either stream.
        """
        if insertion is None:
            self._insertions.pop((scope, name), None)
        else:
            self._insertions[scope, name] = insertion
        tell_all(self._watchers.get((scope, name), {}), lambda watcher: watcher.inserted())

    def shown(self, source: Source, kind: Kind) -> Source:
        """Return the stream whose audio or video the subscribers of a stream are shown."""
        insertion = self._insertions.get((source.scope, source.name))
        if insertion is None or kind not in insertion.kinds:
            return source
        inserted = self.source(insertion.scope, insertion.name)
        return source if inserted is None or kind not in inserted.tracks else inserted

    def watchers(self, scope: str, name: str) -> int:
        """Return how many viewers watch a name."""
        return self._viewers[scope, name]

    def awaited(self) -> list[tuple[str, str]]:
        """Return scope and name of what viewers watch though nobody has the name here."""
        return [key for key, watchers in self._watchers.items() if key not in self._claims and any(watchers.values())]

    def watch(self, scope: str, name: str, watcher: StreamWatcher, *, viewer: bool = True) -> Callable[[], None]:
        """Notify a watcher of a name from now on; return what ends that.

        ``viewer``: it counts as one who watches.
        """
        key = (scope, name)
        before = self._watchers.setdefault(key, {})
        self._count(key, viewer - before.get(watcher, False))
        before[watcher] = viewer

        def unwatch() -> None:
            watchers = self._watchers.get(key)
            if watchers is not None:
                self._count(key, -watchers.pop(watcher, False))
                if not watchers and key not in self._claims:
                    del self._watchers[key]

        return unwatch

    def _count(self, key: tuple[str, str], more: int) -> None:
        """Count viewers, since each asks four times a second how many there are."""
        self._viewers[key] += more
        if not self._viewers[key]:
            del self._viewers[key]
