"""Whether a node may act: it holds its lease, or the registry is lost to every node alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from smproxy.cluster.timing import Timing

_NEVER = float("-inf")


class PeerAnswer(Enum):
    """What another node says when it is asked for the registry."""

    HAS_REGISTRY = "has registry"
    LOST_TOO = "lost too"
    #: Nothing runs at its address.
    GONE = "gone"


class Standing:
    """The right of one node to own streams and to write hooks.

    A node that cannot renew its lease does not know whether it is cut off, so that others may take its place, or whether the
    registry is down, so that nobody can. Its peers know: it asks all of them directly. It goes on beyond its lease only while
    each says that it has lost the registry, too, or does not run; it ends with the first that has it, and with one that cannot
    be asked. A node without peers that run ends with its lease: those that it knew may have come back where it cannot see.

    A node that may judge, which is to declare another dead, has had the registry for ``grace``: so long that every node beyond
    its lease has asked it, and has stopped. A node that has just joined waits for a whole lease: who does not know it cannot
    ask it.
    """

    def __init__(self, timing: Timing, monotonic: Callable[[], float]) -> None:
        self._timing = timing
        self._monotonic = monotonic
        #: The lease holds until then.
        self._until = _NEVER
        #: The registry has answered without a gap since, and last at.
        self._since = self._replied = _NEVER
        self._judges_from = self._checked = _NEVER
        self._peers: frozenset[str] = frozenset()
        #: When a peer was asked that had not the registry, and whether it runs.
        self._lost_too: dict[str, tuple[float, bool]] = {}
        #: Nodes that came while the registry was lost, and since when they are known.
        self._coming: dict[str, float] = {}
        self._fenced = True

    def begin(self, sent: float) -> None:
        """Start a new life with its first lease."""
        self._fenced = False
        self._until = sent + self._timing.ttl - self._timing.margin
        self._since = self._replied = self._monotonic()
        # Nodes that do not know this one yet may be slow to find the registry again. Those that do are told that it is there.
        self._judges_from = self._since + self._timing.ttl
        self._lost_too.clear()

    def renewed(self, sent: float) -> None:
        """Extend the lease by a renewal that was sent at that time."""
        if not self.acts():
            return
        now = self._monotonic()
        if not self.has_registry():
            self._since = now
        self._replied = now
        self._until = max(self._until, sent + self._timing.ttl - self._timing.margin)

    def has_registry(self) -> bool:
        """Whether the registry has answered of late."""
        return not self._fenced and self._monotonic() < self._replied + self._timing.contact

    def settled(self) -> bool:
        """Whether the registry has been there for a while. This is what peers are answered.

        After an outage every node has that while to find the registry again, before any of them may judge.
        """
        return self.has_registry() and self._monotonic() - self._since >= self._timing.patience

    def doubtful(self) -> bool:
        """Whether it is time to ask the peers: the lease is about to end."""
        return not self._fenced and self._monotonic() > self._until - self._timing.grace

    def know_peers(self, peers: Iterable[str]) -> None:
        """Take the other nodes.

        Without the registry those known before stay. Who comes then may have it, and judge one day: it is asked, too, after a
        moment in which this node may find the registry itself.
        """
        found, now = frozenset(peers), self._monotonic()
        if not self.has_registry():
            self._coming = {peer: self._coming.get(peer, now) for peer in found - self._peers}
            come = {peer for peer, since in self._coming.items() if now - since >= 2 * self._timing.ask}
            self._lost_too |= dict.fromkeys(come, (now, False))  # time for its first answer
            found = self._peers | come
        self._peers = found

    @property
    def peers(self) -> frozenset[str]:
        """The nodes that are asked."""
        return self._peers

    def answered(self, peer: str, asked: float, answer: PeerAnswer) -> None:
        """Take a peer's answer to a question that was asked at that time."""
        self.acts()
        if answer is PeerAnswer.HAS_REGISTRY:
            self._lost_too.pop(peer, None)
        elif asked >= self._lost_too.get(peer, (asked, True))[0]:
            self._lost_too[peer] = asked, answer is PeerAnswer.LOST_TOO

    def _vouched_for(self, now: float) -> bool:
        """Whether no peer may have the registry, as one that runs has said of late."""
        oldest = now - self._timing.witness
        answers = [self._lost_too.get(peer, (_NEVER, False)) for peer in self._peers]
        return all(asked >= oldest for asked, _ in answers) and any(runs for _, runs in answers)

    def acts(self) -> bool:
        """Whether this node may act. Once it may not, it never may again, until :meth:`begin`."""
        if self._fenced:
            return False
        now = self._monotonic()
        if now >= self._until:
            unwatched = now - max(self._checked, self._until)  # a process that was frozen has missed answers
            self._fenced = not self._vouched_for(now) or unwatched > self._timing.witness
        self._checked = now
        return not self._fenced

    def fence(self) -> None:
        """Stop acting: another node has the place."""
        self._fenced = True

    def may_judge(self) -> bool:
        """Whether this node may declare another dead, and act on that."""
        now = self._monotonic()
        return self.acts() and self.has_registry() and now >= max(self._judges_from, self._since + self._timing.grace)
