"""One node of a cluster at work: drives the core against the registry."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from smproxy.cluster.claims import ClaimRefusal, Claims, Held
from smproxy.cluster.directory import Directory
from smproxy.cluster.fencing import PeerAnswer, Standing
from smproxy.cluster.nats_registry import NatsRegistry
from smproxy.cluster.reaper import Reaper
from smproxy.cluster.records import (
    Bucket,
    NodeLife,
    NodeRecord,
    NodeState,
    Unfinished,
    claim_key,
    read_claim,
    read_node,
    session_key,
)
from smproxy.cluster.registration import Registration
from smproxy.cluster.requests import MISSING, Pause, Read, RegistryEntry, Reply, Steps, WriteEnds
from smproxy.cluster.snapshots import Snapshots
from smproxy.cluster.timing import Timing
from smproxy.tasks import Tasks, end_tasks

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Asks a node directly whether it has the registry; ``None`` when it cannot be asked.
AskPeer = Callable[[NodeRecord], Awaitable[PeerAnswer | None]]
#: Writes the ends of another node's session durably.
EndsWriter = Callable[[Unfinished], Awaitable[None]]


class ClusterNode:
    """A member of a cluster. Made by :meth:`start`, ended by :meth:`stop`.

    ``on_fenced`` is called when the node may not act any more, before anything else is done; ``on_nodes`` when the nodes that
    are alive have changed.
    """

    def __init__(
        self,
        registry: NatsRegistry,
        me: NodeRecord,
        timing: Timing,
        *,
        monotonic: Callable[[], float],
        rng: random.Random,
        load: Callable[[NodeRecord], NodeRecord],
        ask_peer: AskPeer,
        write_ends: EndsWriter,
        on_fenced: Callable[[], None],
        on_nodes: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._me = me
        self._timing = timing
        self._monotonic = monotonic
        self._rng = rng
        self._load = load
        self._ask_peer = ask_peer
        self._write_ends = write_ends
        self._on_fenced = on_fenced
        self._on_nodes = on_nodes
        self._tasks = Tasks()
        self._loops: list[asyncio.Task[None]] = []
        self._joined = asyncio.Event()
        self._lost: dict[str, Callable[[], None]] = {}
        self._keys: dict[str, asyncio.Lock] = {}
        self._session_keys: dict[int, str] = {}
        self._seen_alive: set[NodeLife] = set()
        self.draining = False
        self.standing = Standing(timing, monotonic)
        self.directory = Directory(timing.ttl + timing.renew, monotonic)
        self.registration = Registration(
            me.life.node,
            self.standing,
            timing,
            monotonic=monotonic,
            new_incarnation=lambda: f"{rng.getrandbits(48):012x}",
            record=self._record,
            on_joined=self._on_join,
            on_fenced=self._fenced,
            on_regained=lambda: self._spawn(self._drive(self.claims.verify())),
        )
        self.claims = Claims(
            self.standing,
            timing,
            monotonic=monotonic,
            life=lambda: self.registration.life,
            on_lost=self._claim_lost,
            on_over=self._life_is_over,
        )
        self._snapshots = Snapshots(timing)
        self._reaper = Reaper(
            self.standing,
            self.directory,
            self.claims,
            self._snapshots,
            timing,
            monotonic=monotonic,
            life=lambda: self.registration.life,
            on_over=self._life_is_over,
        )

    @property
    def name(self) -> str:
        """The node's name."""
        return self._me.life.node

    async def start(self) -> None:
        """Join; returns once the node is a member."""
        self._registry.watch(Bucket.NODES, self._changed, lambda bucket, keys: None)
        self._registry.watch(Bucket.STREAMS, self._changed, lambda bucket, keys: self.directory.forget_claims(keys))
        for steps in (self._drive(self.registration.keep()), self._tick(), self._scan()):
            self._loops.append(asyncio.create_task(steps))
        waited = 0.0
        while not self._joined.is_set():
            try:
                async with asyncio.timeout(self._timing.renew):
                    await self._joined.wait()
            except TimeoutError:
                waited += self._timing.renew
                logger.warning(
                    "waiting to join as %s: another process of this name is registered, or was %g s ago",
                    self.name,
                    waited,
                )

    async def stop(self) -> None:
        """Leave, and end everything."""
        await end_tasks(self._loops)
        await self._tasks.drain(1.0)
        try:
            async with asyncio.timeout(1.0):
                await self._drive(self.registration.leave())
        except TimeoutError:
            logger.warning("the registry does not answer: %s is a member for %g s more", self.name, self._timing.ttl)
        await self._registry.stop()

    def may_act(self) -> bool:
        """Whether sessions and streams may go on; when they may not, they were ended."""
        self.registration.check()
        return self.registration.life is not None

    # names --------------------------------------------------------------------------------------------------------------

    async def claim(self, scope: str, name: str, lost: Callable[[], None]) -> Held | ClaimRefusal:
        """Take a name; ``lost`` is called when it is lost."""
        nonce = f"{self._rng.getrandbits(64):016x}"
        lock = self._keys.setdefault(f"{scope}/{name}", asyncio.Lock())
        async with lock:
            held = await self._drive(self.claims.claim(scope, name, nonce))
        if isinstance(held, Held):
            self._lost[nonce] = lost
            logger.info("%s/%s is claimed with epoch %d", scope, name, held.epoch)
        elif held is ClaimRefusal.UNAVAILABLE:
            self._spawn(self._release(scope, name, nonce))
        return held

    async def look(self, scope: str, name: str) -> None:
        """Ask the registry whose a name is; what this node has by watching may be behind."""
        key, known = claim_key(scope, name), self.directory.epoch(scope, name)
        found: Reply = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self._timing.ask):
                found = await self._registry.perform(Read(Bucket.STREAMS, key))
        if self.directory.epoch(scope, name) == known and (found is MISSING or isinstance(found, RegistryEntry)):
            self._changed(Bucket.STREAMS, key, found if isinstance(found, RegistryEntry) else None)

    def release(self, held: Held) -> asyncio.Task[None]:
        """Give a name back; what is returned ends once it is free."""
        self._lost.pop(held.record.nonce, None)
        return self._tasks.spawn(self._release(held.record.scope, held.record.name, held.record.nonce))

    async def _release(self, scope: str, name: str, nonce: str) -> None:
        lock = self._keys.setdefault(f"{scope}/{name}", asyncio.Lock())
        async with lock:
            await self._drive(self.claims.release(scope, name, nonce))
        if not lock.locked():
            self._keys.pop(f"{scope}/{name}", None)

    def _claim_lost(self, held: Held) -> None:
        logger.warning("%s/%s belongs to another node now", held.record.scope, held.record.name)
        if lost := self._lost.pop(held.record.nonce, None):
            lost()

    # sessions -----------------------------------------------------------------------------------------------------------

    def session_changed(self, number: int, state: Unfinished | None) -> None:
        """Keep in the registry what a session has no end of."""
        life = self.registration.life
        key = session_key(life, number) if life is not None and state is not None else self._session_keys.get(number)
        if key is None:
            return
        if state is None:
            self._session_keys.pop(number, None)
        else:
            key = self._session_keys.setdefault(number, key)
        if self._snapshots.set(key, state):
            self._spawn(self._drive(self._snapshots.write(key)))

    # the registry -------------------------------------------------------------------------------------------------------

    def _record(self, life: NodeLife) -> NodeRecord:
        state = NodeState.DRAINING if self.draining else NodeState.SERVING
        return self._load(msgspec.structs.replace(self._me, life=life, state=state))

    def _on_join(self, life: NodeLife) -> None:
        logger.info("joined the cluster as %s", life.node)
        self._joined.set()

    def _fenced(self) -> None:
        logger.error("%s lost its place in the cluster: its sessions and streams end, and it joins again", self.name)
        dropped = self.claims.drop_all()
        self._on_fenced()
        for held in dropped:
            if lost := self._lost.pop(held.record.nonce, None):
                lost()

    def _changed(self, bucket: Bucket, key: str, entry: RegistryEntry | None) -> None:
        try:
            if bucket is Bucket.STREAMS:
                if entry is None:
                    self.directory.claim_gone(key)
                else:
                    self.directory.claim_seen(key, read_claim(entry.value), entry.revision)
                    self.claims.observed(key, entry)
            elif "." not in key and entry is not None:
                # One that expires is no sign of death: without the registry none can be renewed.
                self.directory.node_seen(read_node(entry.value))
                self._nodes_changed()
        except msgspec.MsgspecError as error:
            logger.warning("entry %s of %s in the registry cannot be read: %s", key, bucket, error)

    def _life_is_over(self, record: NodeRecord) -> None:
        """End what hangs on a dead node here, before its sessions get their ends."""
        self.directory.node_seen(record)
        self._nodes_changed()

    def _nodes_changed(self) -> None:
        alive = {record.life for record in self.directory.nodes() if record.life.node != self.name}
        for life in alive - self._seen_alive:
            logger.info("node %s is there", life.node)
        for life in self._seen_alive - alive:
            logger.warning("node %s is gone", life.node)
        self._seen_alive = alive
        self._on_nodes()

    async def _drive(self, steps: Steps[T]) -> T:
        reply: Reply = None
        while True:
            try:
                request = steps.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(request, WriteEnds):
                await self._write_ends(request.state)
                reply = None
            elif isinstance(request, Pause):
                await asyncio.sleep(request.seconds)
                reply = None
            else:
                reply = await self._registry.perform(request)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.spawn(work)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._timing.ask / 2)
            try:
                await self._check()
            except Exception:
                logger.exception("the node's check of itself failed")

    async def _check(self) -> None:
        self.registration.check()
        if not self.standing.has_registry():
            self.directory.keep_nodes()
        self.standing.know_peers(record.life.node for record in self.directory.known() if record.life.node != self.name)
        self._nodes_changed()
        if self.standing.doubtful():
            peers = [record for record in self.directory.known() if record.life.node in self.standing.peers]
            self._spawn(self._ask(peers))

    async def _ask(self, peers: list[NodeRecord]) -> None:
        async def ask(peer: NodeRecord) -> None:
            asked = self._monotonic()
            answer = await self._ask_peer(peer)
            if answer is not None:
                self.standing.answered(peer.life.node, asked, answer)

        await asyncio.gather(*(ask(peer) for peer in peers), return_exceptions=True)

    # dead nodes ---------------------------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        while True:
            await asyncio.sleep(self._timing.scan * self._rng.uniform(1.0, 2.0))
            try:
                for each in await self._drive(self._reaper.scan()):
                    logger.warning(
                        "node %s is dead: ended %d of its sessions, freed %d names",
                        each.life.node,
                        each.sessions,
                        each.names,
                    )
            except Exception:
                logger.exception("clearing up after dead nodes failed")
