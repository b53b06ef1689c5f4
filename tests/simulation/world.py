"""A cluster in virtual time: the core of each node, a registry, links, and what happens to them. One seed, one run."""

from __future__ import annotations

import copy
import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from smproxy.cluster.claims import ClaimRefusal, Claims, Held
from smproxy.cluster.directory import Directory
from smproxy.cluster.fencing import PeerAnswer, Standing
from smproxy.cluster.reaper import ClearedUp, Reaper
from smproxy.cluster.records import (
    Bucket,
    End,
    NodeLife,
    NodeRecord,
    Unfinished,
    read_claim,
    read_node,
    session_key,
)
from smproxy.cluster.registration import Registration
from smproxy.cluster.requests import (
    CONFLICT,
    MISSING,
    NO_ANSWER,
    Create,
    ListKeys,
    Pause,
    Read,
    RegistryEntry,
    RegistryRequest,
    Remove,
    Reply,
    Steps,
    Update,
    WriteEnds,
    Written,
)
from smproxy.cluster.snapshots import Snapshots
from smproxy.cluster.timing import Timing
from smproxy.signaling.payloads import Connection, Role

from tests.simulation.oracle import Oracle, Violation

_CONNECTION = Connection(
    id="s", username=None, customer_scope=None, recording=False, meta=None, app="live", role=Role.PUBLISHER
)


class Registry:
    """The registry: buckets of entries with revisions, of which those of nodes expire."""

    def __init__(self, world: World, ttl: float) -> None:
        self._world = world
        self._ttl = ttl
        self._entries: dict[tuple[Bucket, str], tuple[bytes, int, float]] = {}
        self._revision = 0
        self.up = True
        #: Whether connections to it, when it is down, say nothing.
        self.silent = False

    def _get(self, bucket: Bucket, key: str) -> RegistryEntry | None:
        found = self._entries.get((bucket, key))
        if found is None:
            return None
        value, revision, at = found
        if bucket is Bucket.NODES and self._world.now >= at + self._ttl:
            del self._entries[bucket, key]
            return None
        return RegistryEntry(value, revision)

    def wipe(self) -> None:
        """Lose everything, as after a power cut: revisions begin again."""
        self._entries.clear()
        self._revision = 0

    def handle(self, request: RegistryRequest, sent: float) -> Reply:
        """Carry out a request."""
        match request:
            case Read(bucket, key):
                return self._get(bucket, key) or MISSING
            case ListKeys(bucket):
                return tuple(key for where, key in list(self._entries) if where is bucket and self._get(bucket, key))
            case Create(bucket, key, value):
                return CONFLICT if self._get(bucket, key) else self._put(bucket, key, value, sent)
            case Update(bucket, key, value, revision):
                found = self._get(bucket, key)
                same = found is not None and found.revision == revision
                return self._put(bucket, key, value, sent) if same else CONFLICT
            case Remove(bucket, key, revision):
                found = self._get(bucket, key)
                if found is None or found.revision != revision:
                    return CONFLICT
                del self._entries[bucket, key]
                self._revision += 1
                self._world.changed(bucket, key, None)
                return Written(self._revision, sent)

    def _put(self, bucket: Bucket, key: str, value: bytes, sent: float) -> Written:
        self._revision += 1
        self._entries[bucket, key] = value, self._revision, self._world.now
        self._world.changed(bucket, key, RegistryEntry(value, self._revision))
        return Written(self._revision, sent)

    def entries(self, bucket: Bucket) -> dict[str, RegistryEntry]:
        """Return what a bucket holds."""
        keys = [key for where, key in list(self._entries) if where is bucket]
        return {key: entry for key in keys if (entry := self._get(bucket, key)) is not None}


@dataclass(slots=True)
class SimulatedLink:
    """A node's connection to the registry: each way may be cut, and is slow.

    One that ``holds`` keeps the requests while it is cut, as a socket does; they arrive when it is mended.
    """

    there: bool = True
    back: bool = True
    delay: float = 0.002
    holds: bool = False
    #: When the node finds the registry again, after it was down.
    found: float = 0.0
    held: list[Callable[[], None]] = field(default_factory=list)


class World:
    """Virtual time, the registry, and the links. ``run`` goes through the events until a moment."""

    def __init__(self, seed: int, nodes: int = 3) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.timing = Timing()
        self.oracle = Oracle()
        self.registry = Registry(self, self.timing.ttl)
        self.links = {f"n{i}": SimulatedLink() for i in range(nodes)}
        self.cut_peers: set[frozenset[str]] = set()
        self.nodes: dict[str, SimulatedNode] = {}
        #: What each node's disk has: the sessions without an end, and the uuids of the ends that it wrote.
        self.journals: dict[str, dict[int, str]] = defaultdict(dict)
        self.written: dict[str, set[str]] = defaultdict(set)
        self.sessions = itertools.count(1)
        self.log: list[str] = []
        #: Nodes on both sides of a partition that nobody can know of act at once: that is not promised.
        self.lenient = False
        #: How often a node was fenced, by its name.
        self.fenced: dict[str, int] = defaultdict(int)
        #: The places of the actions of clients and troubles that are left out, and how many there were.
        self.left_out: frozenset[int] = frozenset()
        self.actions = 0
        self._stopping: set[str] = set()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def takes(self) -> bool:
        """Count an action; return whether it is not left out."""
        self.actions += 1
        return self.actions - 1 not in self.left_out

    def note(self, text: str) -> None:
        """Keep a line for the report of a failure."""
        self.log.append(f"{self.now:8.3f} {text}")

    def after(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after a delay."""
        heapq.heappush(self._events, (self.now + delay, next(self._count), callback))

    def run(self, until: float) -> None:
        """Go through the events."""
        while self._events and self._events[0][0] <= until:
            self.now, _, callback = heapq.heappop(self._events)
            callback()
        self.now = until

    def start(self, name: str) -> None:
        """Start a process of a node."""
        self.note(f"start {name}")
        node = self.nodes[name] = SimulatedNode(self, name)
        self.after(0.01, lambda: self.begin_watch(node))

    def start_twin(self, name: str) -> SimulatedNode:
        """Start a second process of a node, with a disk of its own."""
        self.note(f"start a second {name}")
        kept, self.journals[name] = self.journals[name], {}
        twin = SimulatedNode(self, name)
        self.journals[name] = kept
        return twin

    def begin_watch(self, node: SimulatedNode) -> None:
        """Have a node see all that the registry holds, as a new watch does, if the registry can be reached."""
        link = self.links[node.name]
        if not (self.registry.up and link.there and link.back and self.now >= link.found):
            self.after(1.0, lambda: self.begin_watch(node))
            return
        node.wake(lambda: node.directory.forget_claims(self.registry.entries(Bucket.STREAMS)))
        for bucket in (Bucket.NODES, Bucket.STREAMS):
            for key, entry in self.registry.entries(bucket).items():
                node.wake(partial(node.seen, bucket, key, entry))

    def registry_back(self, within: float = 2.0) -> None:
        """Start the registry again; each node finds it within so many seconds."""
        self.registry.up, self.registry.silent = True, False
        for name, link in self.links.items():
            link.found = self.now + self.rng.uniform(0.0, within)
            if name in self.nodes:
                node = self.nodes[name]
                self.after(link.found - self.now, partial(self.begin_watch, node))

    def mend(self, name: str) -> None:
        """Make a node's connection whole; what it holds arrives late, after what is sent from now on."""
        link = self.links[name]
        link.there = link.back = True
        held, link.held = link.held, []
        for arrive in held:
            self.after(self.jitter(link) + self.rng.uniform(0.0, 3.0), arrive)
        if name in self.nodes:
            self.begin_watch(self.nodes[name])

    def stop(self, name: str, *, in_time: bool = True) -> None:
        """Have a process end in order: its streams first, unless it has no time for that, then its membership."""
        self.note(f"stop {name}")
        node = self.nodes.pop(name)
        self._stopping.add(name)
        if in_time:
            node.end_streams()

        def gone() -> None:
            node.dead = True
            self._stopping.discard(name)

        self.after(1.0, lambda: node.wake(node.leave))
        self.after(2.0, gone)

    def start_again(self, name: str) -> None:
        """Start a process of a node, unless one runs."""
        if name not in self.nodes and name not in self._stopping:
            self.start(name)

    def acted(self, node: SimulatedNode, stream: str, held: Held) -> None:
        """Take that a node sent a packet. With a new epoch no other node may be able to send one any more."""
        owner = held.record.owner
        if self.lenient:
            return
        if not self.oracle.acted(stream, (owner.node, owner.incarnation), held.epoch):
            return
        for other in self.nodes.values():
            if other is not node and other.would_act(stream):
                raise Violation(f"{other.name} can still act on {stream} when {node.name} does with epoch {held.epoch}")

    def kill(self, name: str) -> None:
        """End a process at once."""
        self.note(f"kill {name}")
        self.nodes.pop(name).dead = True

    def changed(self, bucket: Bucket, key: str, entry: RegistryEntry | None) -> None:
        """Have the watches of all nodes see a change, some time later."""
        if bucket is Bucket.SESSIONS:
            return
        for name, node in self.nodes.items():
            link = self.links[name]
            if link.back and self.now >= link.found and self.rng.random() > 0.02:
                self.after(self.jitter(link), partial(node.wake, partial(node.seen, bucket, key, entry)))

    def jitter(self, link: SimulatedLink) -> float:
        """Return how long a message takes on its way."""
        return link.delay * self.rng.uniform(0.5, 1.5)

    def ask_registry(self, node: SimulatedNode, request: RegistryRequest, reply: Callable[[Reply], None]) -> None:
        """Send a request; the reply comes once, or ``NO_ANSWER`` when it is late."""
        link, sent, answered = self.links[node.name], self.now, False

        def answer(value: Reply) -> None:
            nonlocal answered
            if not answered:
                answered = True
                reply(value)

        def connected() -> bool:
            return self.registry.silent or (self.registry.up and self.now >= link.found)

        def arrive() -> None:
            if not connected():
                node.wake(lambda: answer(NO_ANSWER))
            elif not link.there and link.holds:
                link.held.append(arrive)
            elif self.registry.up and link.there:
                value = self.registry.handle(request, sent)
                if link.back:
                    self.after(self.jitter(link), lambda: node.wake(lambda: answer(value)))

        if not connected():
            self.after(self.timing.retry, lambda: node.wake(lambda: answer(NO_ANSWER)))
            return
        self.after(self.jitter(link), arrive)
        self.after(self.timing.answer, lambda: node.wake(lambda: answer(NO_ANSWER)))

    def ask_peer(self, node: SimulatedNode, peer: str) -> None:
        """Have a node ask another whether it has the registry."""
        asked = self.now

        def arrive() -> None:
            other = self.nodes.get(peer)
            if frozenset((node.name, peer)) in self.cut_peers:
                return
            if other is None:  # nothing listens there
                self.after(0.001, lambda: node.wake(lambda: heard(PeerAnswer.GONE)))
            else:
                other.wake(lambda: self.after(0.001, lambda: node.wake(lambda: heard(answer(other)))))

        def answer(other: SimulatedNode) -> PeerAnswer:
            return PeerAnswer.HAS_REGISTRY if other.standing.settled() else PeerAnswer.LOST_TOO

        def heard(said: PeerAnswer) -> None:
            node.standing.answered(peer, asked, said)

        self.after(0.001, arrive)


class SimulatedNode:
    """One process: the core, driven as the real one drives it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.frozen = False
        self._slept: list[Callable[[], None]] = []
        clock = lambda: world.now  # noqa: E731
        timing = world.timing
        self.standing = Standing(timing, clock)
        self.directory = Directory(timing.ttl + timing.renew, clock)
        self.registration = Registration(
            name,
            self.standing,
            timing,
            monotonic=clock,
            new_incarnation=lambda: f"{world.rng.getrandbits(32):08x}",
            record=lambda life: NodeRecord(life=life),
            on_joined=self._joined,
            on_fenced=self._fenced,
            on_regained=lambda: self.run(self.claims.verify()),
        )
        self.claims = Claims(
            self.standing,
            timing,
            monotonic=clock,
            life=lambda: self.registration.life,
            on_lost=self._lost,
            on_over=self.directory.node_seen,
        )
        self.snapshots = Snapshots(timing)
        self.reaper = Reaper(
            self.standing,
            self.directory,
            self.claims,
            self.snapshots,
            timing,
            monotonic=clock,
            life=lambda: self.registration.life,
            on_over=self.directory.node_seen,
        )
        #: By stream: the claim and the session.
        self.publishers: dict[str, tuple[Held, int, str]] = {}
        self.asked: set[str] = set()
        self.journal = world.journals[name]
        self._left = False
        self.run(self._kept())
        for session, uuid in list(self.journal.items()):
            self._end(session, uuid)
        self._tick()
        self._scan()

    # running ------------------------------------------------------------------------------------------------------------

    def wake(self, callback: Callable[[], None]) -> None:
        """Run something in this process; one that is frozen runs it later."""
        if self.dead:
            return
        if self.frozen:
            self._slept.append(callback)
        else:
            callback()

    def thaw(self) -> None:
        """Go on after a freeze, in any order: sockets and timers are ready at once."""
        self.frozen = False
        if self.world.rng.random() < 0.5:
            self.act()
        slept, self._slept = self._slept, []
        self.world.rng.shuffle(slept)
        for callback in slept:
            self.wake(callback)

    def run(self, steps: Steps[Any], then: Callable[[Any], None] = lambda _: None) -> None:
        """Drive a procedure of the core."""

        def step(reply: Reply) -> None:
            try:
                request = steps.send(reply)
            except StopIteration as stop:
                then(stop.value)
                return
            if isinstance(request, Pause):
                self.world.after(request.seconds, lambda: self.wake(lambda: step(None)))
            elif isinstance(request, WriteEnds):
                self.write_end(request.state.session, request.state.ends[0].uuid)
                self.world.after(0.001, lambda: self.wake(lambda: step(None)))
            else:
                self.world.ask_registry(self, request, step)

        step(None)

    def _tick(self) -> None:
        """Send media, and ask the peers when the lease is in doubt."""
        self.act()
        if not self.standing.has_registry():
            self.directory.keep_nodes()
        self.standing.know_peers(record.life.node for record in self.directory.known() if record.life.node != self.name)
        if self.standing.doubtful():
            for peer in self.standing.peers:
                self.world.ask_peer(self, peer)
        self.world.after(self.world.timing.ask * self.world.rng.uniform(0.8, 1.2), lambda: self.wake(self._tick))

    def act(self) -> None:
        """Send a packet of each stream that this node may send."""
        self.registration.check()
        for stream, (held, _, _) in list(self.publishers.items()):
            if self.claims.holds(held):
                self.world.acted(self, stream, held)

    def would_act(self, stream: str) -> bool:
        """Whether this node, if a packet came now, would send it. Changes nothing."""
        known = self.publishers.get(stream)
        if known is None or self.frozen or self.registration.life is None:
            return False
        return known[0] in self.claims.held and copy.copy(self.standing).acts()

    # the registry -------------------------------------------------------------------------------------------------------

    def seen(self, bucket: Bucket, key: str, entry: RegistryEntry | None) -> None:
        """Take a change that the watch brings."""
        if bucket is Bucket.NODES and "." not in key:
            if entry is not None:
                self.directory.node_seen(read_node(entry.value))
        elif bucket is Bucket.STREAMS:
            if entry is None:
                self.directory.claim_gone(key)
            else:
                self.directory.claim_seen(key, read_claim(entry.value), entry.revision)
                self.claims.observed(key, entry)

    def _joined(self, life: NodeLife) -> None:
        self.world.note(f"{self.name} joined as {life.incarnation}")

    def _fenced(self) -> None:
        self.world.note(f"{self.name} fenced")
        self.world.fenced[self.name] += 1
        for held in self.claims.drop_all():
            self._lost(held)

    def _lost(self, held: Held) -> None:
        stream = held.record.name
        known = self.publishers.get(stream)
        if known is not None and known[0] is held:
            self.unpublish(stream)

    # clients ------------------------------------------------------------------------------------------------------------

    def publish(self, stream: str, then: Callable[[object], None] = lambda _: None) -> None:
        """Have a client publish."""
        if stream in self.asked:
            return
        self.asked.add(stream)
        nonce = f"{self.world.rng.getrandbits(48):012x}"

        def claimed(result: Held | ClaimRefusal) -> None:
            self.world.note(
                f"{self.name} claims {stream}: {result.epoch if isinstance(result, Held) else result.value}"
            )
            if isinstance(result, Held):
                session = next(self.world.sessions)
                uuid = f"end-{session}"
                self.publishers[stream] = result, session, nonce
                self.journal[session] = uuid
                self.world.oracle.started(session, uuid)
                self._snapshot(session, uuid, result.record.owner)
                self.act()
            elif result is ClaimRefusal.UNAVAILABLE:
                self.run(self.claims.release("live", stream, nonce), lambda _: self.asked.discard(stream))
            else:
                self.asked.discard(stream)
            then(result)

        self.run(self.claims.claim("live", stream, nonce), claimed)

    def unpublish(self, stream: str) -> None:
        """End a client's stream."""
        held, session, nonce = self.publishers.pop(stream)
        self._end(session, f"end-{session}")
        self._snapshot(session, None, held.record.owner)
        self.run(self.claims.release("live", stream, nonce), lambda _: self.asked.discard(stream))

    def _kept(self) -> Steps[None]:
        """Keep the node registered until it leaves."""
        steps, reply = self.registration.keep(), None
        while not self._left:
            reply = yield steps.send(reply)

    def leave(self) -> None:
        """Leave the cluster."""
        self._left = True
        self.run(self.registration.leave())

    def end_streams(self) -> None:
        """End every client's stream."""
        for stream in list(self.publishers):
            self.unpublish(stream)

    def _end(self, session: int, uuid: str) -> None:
        del self.journal[session]
        self.write_end(session, uuid)

    def write_end(self, session: int, uuid: str) -> None:
        """Write an end into the journal, unless it has it."""
        if uuid not in self.world.written[self.name]:
            self.world.written[self.name].add(uuid)
            self.world.oracle.ended(session, uuid, self.name)

    def _snapshot(self, session: int, uuid: str | None, owner: NodeLife) -> None:
        key = session_key(owner, session)
        ends = (End(uuid or "", "session", msgspec.Raw(b"{}")),)
        state = Unfinished(session=session, seq=1, until=0, connection=_CONNECTION, ends=ends)
        if self.snapshots.set(key, state if uuid else None):
            self.run(self.snapshots.write(key))

    # clearing up --------------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        def again(done: list[ClearedUp]) -> None:
            for each in done:
                self.world.note(f"{self.name} cleared up after {each.life.node} {each.life.incarnation}")
            self.world.after(self.world.timing.scan * self.world.rng.uniform(1.0, 2.0), lambda: self.wake(scan))

        def scan() -> None:
            self.run(self.reaper.scan(), again)

        again([])
