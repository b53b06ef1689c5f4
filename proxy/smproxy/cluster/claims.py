"""The claims of one node on the names of streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from smproxy.cluster.failure_detector import is_over
from smproxy.cluster.fencing import Standing
from smproxy.cluster.records import Bucket, ClaimRecord, NodeLife, NodeRecord, claim_key, encode, read_claim
from smproxy.cluster.requests import MISSING, Create, Pause, Read, RegistryEntry, Remove, Steps, Update, Written
from smproxy.cluster.timing import Timing


class ClaimRefusal(Enum):
    """Why a name was not given."""

    TAKEN = "taken"
    #: The registry does not answer, or this node may not act.
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim of this node.

    ``epoch`` grows from each owner of a name to the next, wherever it is.
    """

    key: str
    record: ClaimRecord
    epoch: int


class Claims:
    """Takes and gives back names.

    A claim is as good as its owner's lease: it has none of its own. ``on_lost`` is called for a claim that another node has,
    ``on_over`` with the entry of a node whose life is found to be over.
    """

    def __init__(
        self,
        standing: Standing,
        timing: Timing,
        *,
        monotonic: Callable[[], float],
        life: Callable[[], NodeLife | None],
        on_lost: Callable[[Held], None],
        on_over: Callable[[NodeRecord], None],
    ) -> None:
        self._standing = standing
        self._timing = timing
        self._monotonic = monotonic
        self._life = life
        self._on_lost = on_lost
        self._on_over = on_over
        self._held: dict[str, Held] = {}
        self._nonces: set[str] = set()
        #: Keys of claims that were withdrawn before they were there, and when that is looked at again.
        self._withdrawn: dict[str, float] = {}

    @property
    def held(self) -> list[Held]:
        """The claims that this node has, the oldest first."""
        return list(self._held.values())

    def holds(self, held: Held) -> bool:
        """Whether this node has this claim still, and may act on it."""
        return self._held.get(held.key) is held and self._standing.acts()

    def claim(self, scope: str, name: str, nonce: str) -> Steps[Held | ClaimRefusal]:
        """Take a name. After ``UNAVAILABLE`` the claim may yet arrive: :meth:`release` must follow."""
        key, deadline = claim_key(scope, name), self._monotonic() + self._timing.claim
        self._nonces.add(nonce)
        while (owner := self._life()) is not None and self._monotonic() < deadline:
            record = ClaimRecord(owner=owner, scope=scope, name=name, nonce=nonce)
            reply = yield Create(Bucket.STREAMS, key, encode(record))
            if isinstance(reply, Written):
                return self._take(key, record, reply.revision)
            found = yield Read(Bucket.STREAMS, key)
            if not isinstance(found, RegistryEntry):
                yield Pause(self._timing.retry)
                continue
            known = read_claim(found.value)
            if known.nonce == nonce:  # stored, though the answer was lost
                return self._take(key, known, found.revision)
            # An earlier life of this very node has ended before this one began.
            earlier = known.owner.node == owner.node and known.owner != owner
            over = True if earlier else (yield from is_over(known.owner, self._standing, self._on_over))
            if over is False:
                self._nonces.discard(nonce)
                return ClaimRefusal.TAKEN
            if over is None or self._life() != owner:
                yield Pause(self._timing.retry)
                continue
            reply = yield Update(Bucket.STREAMS, key, encode(record), found.revision)
            if isinstance(reply, Written):
                return self._take(key, record, reply.revision)
        return ClaimRefusal.UNAVAILABLE

    def _take(self, key: str, record: ClaimRecord, epoch: int) -> Held | ClaimRefusal:
        if self._life() != record.owner or not self._standing.acts():
            return ClaimRefusal.UNAVAILABLE
        held = self._held[key] = Held(key, record, epoch)
        return held

    def release(self, scope: str, name: str, nonce: str) -> Steps[None]:
        """Give a name back, or withdraw a claim whose outcome is not known."""
        key = claim_key(scope, name)
        held = self._held.get(key)
        if held is not None and held.record.nonce == nonce:
            del self._held[key]
        while True:
            found = yield Read(Bucket.STREAMS, key)
            if found is MISSING or (isinstance(found, RegistryEntry) and read_claim(found.value).nonce != nonce):
                if held is None:  # it may be on its way
                    self._withdrawn[key] = self._monotonic() + self._timing.answer
                break
            if isinstance(found, RegistryEntry):
                reply = yield Remove(Bucket.STREAMS, key, found.revision)
                if isinstance(reply, Written):
                    break
            yield Pause(self._timing.retry)
        self._nonces.discard(nonce)

    def drop_all(self) -> list[Held]:
        """Forget every claim, because this node may not act any more; return what it had."""
        dropped = list(self._held.values())
        self._held.clear()
        return dropped

    def verify(self) -> Steps[None]:
        """Compare every claim with the registry, which was lost for a time."""
        for held in list(self._held.values()):
            found = yield Read(Bucket.STREAMS, held.key)
            if self._held.get(held.key) is not held:
                continue
            if found is MISSING:  # the registry has lost its data
                reply = yield Create(Bucket.STREAMS, held.key, encode(held.record))
                if not isinstance(reply, Written):
                    found = yield Read(Bucket.STREAMS, held.key)
            self.observed(held.key, found)

    def observed(self, key: str, found: object) -> None:
        """Compare a claim with what the registry has.

        Another entry means that this node has lost it.
        """
        held = self._held.get(key)
        if held is not None and isinstance(found, RegistryEntry) and read_claim(found.value).nonce != held.record.nonce:
            del self._held[key]
            self._on_lost(held)

    def late(self) -> list[str]:
        """Return the keys of withdrawn claims that may have arrived by now; each is returned once."""
        now = self._monotonic()
        keys = [key for key, at in self._withdrawn.items() if now >= at]
        for key in keys:
            del self._withdrawn[key]
        return keys

    def stray(self, record: ClaimRecord) -> bool:
        """Whether a claim in the registry is this node's and arrived too late to be wanted."""
        return record.owner == self._life() and record.nonce not in self._nonces
