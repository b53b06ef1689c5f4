"""A cluster in virtual time: the core of each node, a registry, links, and what happens to them. One seed, one run."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import msgspec
from smproxy.cluster.claims import ClaimRefusal, Claims, Held
from smproxy.cluster.directory import Directory
from smproxy.cluster.reaper import Reaper
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
    Remove,
    Reply,
    Request,
    Steps,
    Update,
    Written,
)
from smproxy.cluster.snapshots import Snapshots
from smproxy.cluster.standing import Standing
from smproxy.cluster.timing import Timing
from smproxy.signaling.payloads import Connection, Role

from tests.simulation.oracle import Oracle

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

    def _get(self, bucket: Bucket, key: str) -> RegistryEntry | None:
        found = self._entries.get((bucket, key))
        if found is None:
            return None
        value, revision, at = found
        if bucket is Bucket.NODES and self._world.now >= at + self._ttl:
            del self._entries[bucket, key]
            return None
        return RegistryEntry(value, revision)

    def handle(self, request: Request, sent: float) -> Reply:
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
        raise AssertionError(request)

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
class Link:
    """A node's connection to the registry: each way may be cut, and is slow."""

    there: bool = True
    back: bool = True
    delay: float = 0.002


class World:
    """Virtual time, the registry, and the links. ``run`` goes through the events until a moment."""

    def __init__(self, seed: int, nodes: int = 3) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.timing = Timing()
        self.oracle = Oracle()
        self.registry = Registry(self, self.timing.ttl)
        self.links = {f"n{i}": Link() for i in range(nodes)}
        self.cut_peers: set[frozenset[str]] = set()
        self.nodes: dict[str, Node] = {}
        #: What each node's disk has: the sessions without an end, and the uuids of the ends that it wrote.
        self.journals: dict[str, dict[int, str]] = {name: {} for name in self.links}
        self.written: dict[str, set[str]] = {name: set() for name in self.links}
        self.sessions = itertools.count(1)
        self.log: list[str] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

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
        node = self.nodes[name] = Node(self, name)
        self.after(0.01, lambda: self.begin_watch(node))

    def begin_watch(self, node: Node) -> None:
        """Have a node see all that the registry holds, as a new watch does, if the registry can be reached."""
        link = self.links[node.name]
        if not (self.registry.up and link.there and link.back):
            self.after(1.0, lambda: self.begin_watch(node))
            return
        node.wake(lambda: node.directory.forget_claims(self.registry.entries(Bucket.STREAMS)))
        for bucket in (Bucket.NODES, Bucket.STREAMS):
            for key, entry in self.registry.entries(bucket).items():
                node.wake(lambda bucket=bucket, key=key, entry=entry: node.seen(bucket, key, entry))

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
            if link.back and self.rng.random() > 0.02:
                self.after(self.jitter(link), lambda node=node: node.wake(lambda: node.seen(bucket, key, entry)))

    def jitter(self, link: Link) -> float:
        """Return how long a message takes on its way."""
        return link.delay * self.rng.uniform(0.5, 1.5)

    def ask_registry(self, node: Node, request: Request, reply: Callable[[Reply], None]) -> None:
        """Send a request; the reply comes once, or ``NO_ANSWER`` when it is late."""
        link, sent, answered = self.links[node.name], self.now, False

        def answer(value: Reply) -> None:
            nonlocal answered
            if not answered:
                answered = True
                reply(value)

        def arrive() -> None:
            if self.registry.up and link.there:
                value = self.registry.handle(request, sent)
                if link.back:
                    self.after(self.jitter(link), lambda: node.wake(lambda: answer(value)))

        self.after(self.jitter(link), arrive)
        self.after(self.timing.answer, lambda: node.wake(lambda: answer(NO_ANSWER)))

    def ask_peer(self, node: Node, peer: str) -> None:
        """Have a node ask another whether it has the registry."""
        asked = self.now

        def arrive() -> None:
            other = self.nodes.get(peer)
            if frozenset((node.name, peer)) in self.cut_peers:
                return
            if other is None:  # nothing listens there
                self.after(0.001, lambda: node.wake(lambda: heard(False)))
            else:
                other.wake(lambda: self.after(0.001, lambda: node.wake(lambda: heard(other.standing.settled()))))

        def heard(has: bool) -> None:
            node.standing.answered(peer, asked, has_registry=has)

        self.after(0.001, arrive)


class Node:
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
            self.standing, timing, monotonic=clock, life=lambda: self.registration.life, on_lost=self._lost
        )
        self.snapshots = Snapshots(timing)
        self.reaper = Reaper(self.standing, lambda: self.registration.life)
        #: By stream: the claim and the session.
        self.publishers: dict[str, tuple[Held, int, str]] = {}
        self.asked: set[str] = set()
        self.journal = world.journals[name]
        self.run(self.registration.keep())
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
        slept, self._slept = self._slept, []
        self.world.rng.shuffle(slept)
        for callback in slept:
            self.wake(callback)

    def run(self, steps: Generator[Request, Reply, Any], then: Callable[[Any], None] = lambda _: None) -> None:
        """Drive a procedure of the core."""

        def step(reply: Reply) -> None:
            try:
                request = steps.send(reply)
            except StopIteration as stop:
                then(stop.value)
                return
            if isinstance(request, Pause):
                self.world.after(request.seconds, lambda: self.wake(lambda: step(None)))
            else:
                self.world.ask_registry(self, request, step)

        step(None)

    def _tick(self) -> None:
        """Send media, and ask the peers when the lease is in doubt."""
        self.act()
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
                owner = held.record.owner
                self.world.oracle.acted(stream, (owner.node, owner.incarnation), held.epoch)

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

    def _end(self, session: int, uuid: str) -> None:
        del self.journal[session]
        self._write_end(session, uuid)

    def _write_end(self, session: int, uuid: str) -> None:
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
        def found(left_over: set[NodeLife]) -> None:
            alive = {record.life for record in self.directory.nodes()}
            for dead in sorted((left_over | self.directory.owners_missing()) - alive):
                self.run(self._reap(dead))

        if self.registration.life is not None and self.standing.may_judge():
            alive = [record.life for record in self.directory.nodes()]
            self.run(self.reaper.left_over(alive), found)
            for key, record, revision in self.directory.claims():
                if self.claims.stray(record):
                    self.run(self.reaper.forget(Bucket.STREAMS, key, revision))
        self.world.after(self.world.rng.uniform(0.4, 2.0), lambda: self.wake(self._scan))

    def _reap(self, dead: NodeLife) -> Steps[None]:
        if not (yield from self.reaper.take(dead)):
            return
        self.world.note(f"{self.name} reaps {dead.node} {dead.incarnation}")
        for key in (yield from self.reaper.keys_of(dead)):
            entry = yield from self.reaper.read(key)
            if entry is None:
                continue
            state = msgspec.json.decode(entry.value, type=Unfinished)
            self._write_end(state.session, state.ends[0].uuid)
            yield from self.reaper.forget(Bucket.SESSIONS, key, entry.revision)
        for key, record, revision in self.directory.claims():
            if record.owner == dead:
                yield from self.reaper.forget(Bucket.STREAMS, key, revision)
