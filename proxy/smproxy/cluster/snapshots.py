"""Keeps in the registry what another node needs to end this node's sessions."""

from __future__ import annotations

from smproxy.cluster.records import Bucket, Unfinished, encode
from smproxy.cluster.requests import MISSING, Create, Pause, Read, RegistryEntry, Remove, Steps, Update, Written
from smproxy.cluster.timing import Timing

#: A state that is not the latest.
_UNKNOWN = object()


class Snapshots:
    """The sessions of one node that have no end yet. Only the latest state of each is written."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._wanted: dict[str, Unfinished] = {}
        #: What the registry has, by key: the state and its revision.
        self._written: dict[str, tuple[object, int]] = {}
        self._writing: set[str] = set()

    def set(self, key: str, state: Unfinished | None) -> bool:
        """Note the state of a session, ``None`` once it has ended.

        Return whether :meth:`write` must be run for the key, which it is not yet.
        """
        if state is not None:
            self._wanted[key] = state
        else:
            self._wanted.pop(key, None)
        if key in self._writing or self._wanted.get(key) is self._written.get(key, (None, 0))[0]:
            return False
        self._writing.add(key)
        return True

    def knows(self, key: str) -> bool:
        """Whether an entry is of a session that lives, or is being changed."""
        return key in self._wanted or key in self._writing

    def write(self, key: str) -> Steps[None]:
        """Write the state of a session until the registry has the latest."""
        while (state := self._wanted.get(key)) is not (known := self._written.get(key, (None, 0)))[0]:
            revision = known[1]
            if state is None:
                reply = yield Remove(Bucket.SESSIONS, key, revision)
            elif revision:
                reply = yield Update(Bucket.SESSIONS, key, encode(state), revision)
            else:
                reply = yield Create(Bucket.SESSIONS, key, encode(state))
            if isinstance(reply, Written):
                self._written[key] = state, reply.revision
                continue
            found = yield Read(Bucket.SESSIONS, key)
            if isinstance(found, RegistryEntry):
                self._written[key] = _UNKNOWN, found.revision
            elif found is not MISSING:
                self._written[key] = _UNKNOWN, revision
                yield Pause(self._timing.retry)
            elif revision:
                break  # another node has ended the session
            else:
                self._written.pop(key, None)
        self._writing.discard(key)
        if key not in self._wanted:
            self._written.pop(key, None)
