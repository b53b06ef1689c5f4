"""One run of the manager: clients over both doors, faults that are for some of them, and models of what all are promised."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Context, HookEvent, encode
from smproxy.manager.manager import Manager
from smproxy.manager.services import Services
from smproxy.manager.settings import ManagerSettings
from smproxy.origin.effects import Effect, Refuse
from smproxy.signaling.clock import Clock
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse
from smproxy.signaling.node_channel import AttemptFailed, PeerEnded, StreamStarted, TransportUp
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.payloads import Reason
from smproxy.signaling.whip_urls import read_whip_target

from tests.simulation.manager.clients import SocketClient, ask
from tests.simulation.manager.network import SimulatedConnector, connect
from tests.simulation.manager.origin import THINKS, SimulatedOrigin, accept
from tests.simulation.manager.steps import LENGTH, draw
from tests.simulation.manager.traffic import Traffic
from tests.simulation.node.loop import SimulatedLoop, SimulatedTime
from tests.simulation.node.models.fault_scope import FaultScopeModel, Switched
from tests.simulation.node.models.rooms import RoomLifeModel
from tests.simulation.node.models.session_life import LifeModel
from tests.simulation.node.models.violation import BrokenPromise, broken
from tests.simulation.node.steps import Step
from tests.simulation.whip_model import OFFER, SimulatedPeer, WhipWorld

_EPOCH = 1_790_000_000.0
#: Seconds from one end of a connection to the other.
CLIENT_DELAY, ORIGIN_DELAY = 0.013, 0.0021
DELAY = CLIENT_DELAY + ORIGIN_DELAY


class _Peer(SimulatedPeer):
    """A session of WHIP at the origin that reports to the manager."""

    origin: SimulatedOrigin

    async def perform(self, effects: list[Effect]) -> None:
        """Perform what follows from a request, and report a refusal."""
        for effect in effects:
            if isinstance(effect, Refuse):
                self.origin.report(AttemptFailed(self.attempt, effect.error))
        await super().perform(effects)

    def peer_left(self) -> None:
        """End, and report it."""
        ended = self.ended
        super().peer_left()
        if not ended:
            self.origin.report(PeerEnded(self.attempt, Reason.USER_ACTION))


class RelayedWhipWorld(WhipWorld):
    """The model of WHIP, whose clients are relayed by the manager."""

    def __init__(self, run: Run, seed: int) -> None:
        super().__init__(seed)
        self._run = run
        self._others: list[SimulatedPeer] = []

    def _open(self, signaling: Any, attempt: str | None, recording: bool) -> Any:
        rng = random.Random(self._rng.getrandbits(32))
        peer = _Peer(signaling, self._streams, rng, self._forget, attempt or "attempt")
        peer.origin = self._run.origin
        ours = self._run.origin.client_of(peer.attempt) is None  # else it is no client of this model
        (self._peers if ours else self._others).append(peer)
        return peer

    async def handle(self, request: HttpRequest, attempt: str) -> HttpResponse:
        """Answer a request as the origin."""
        target = read_whip_target(request.path)
        assert target is not None, f"the manager asks for {request.path}"
        answer = await self._exchanges.handle(target, request, attempt)
        if request.method == "POST" and answer.status == 201 and target.session is None:
            self._run.origin.report(StreamStarted(attempt, target.name, target.scope))
            self._run.origin.report(TransportUp(attempt))
        return answer

    def lose(self) -> None:
        """Lose all sessions with the origin."""
        for peer in (*self._peers, *self._others):
            peer.peer_left()
        for session in self._sessions:
            session.ended = True

    async def _request(
        self, method: str, path: str, kind: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        loop = asyncio.get_running_loop()
        target = f"{path}?customerScope=acme" if method == "POST" else path
        began, down = loop.time(), self.down
        answer = await ask(
            self._run.listener, CLIENT_DELAY, "whip", method, target, {"Content-Type": kind, **(headers or {})}, body
        )
        assert answer is not None, f"{method} is not answered"
        took, far = loop.time() - began, 2 * DELAY + THINKS
        near = 2 * CLIENT_DELAY  # answered by the manager itself
        if not any(abs(took - time) < 1e-6 for time in ((near,) if down else (near, far))):
            broken("faults", f"{method} {path}, for which no fault is, took {took:.4f} s, not {far:.4f} s")
        return answer


class Run:
    """The world of one run."""

    def __init__(self, seed: int, steps: Sequence[Step]) -> None:
        self._seed = seed
        self._steps = sorted(steps, key=lambda step: step.at)
        self._time = SimulatedTime()
        self._clients: dict[int, Traffic] = {}
        self._sockets: list[SocketClient] = []
        self._scopes = FaultScopeModel()
        self._switched: dict[str, tuple[Switched, str | None]] = {}
        self._lives: dict[int, LifeModel | RoomLifeModel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._whip_turn = asyncio.Lock()
        self.injected = 0
        self.log: list[str] = []

    def execute(self) -> Run:
        """Run to the end. Raises :class:`BrokenPromise`, whose note tells what happened."""
        loop = SimulatedLoop(self._time, random.Random(f"loop/{self._seed}"))
        loop.connector = self._dial
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._main())
        except Exception as error:
            failure = self._failure or error
            known = failure if isinstance(failure, BrokenPromise) else BrokenPromise(repr(failure))
            known.add_note("\n".join(self.log))
            raise known from failure
        finally:
            loop.bury()
            asyncio.set_event_loop(None)
        return self

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        rng = random.Random(f"manager/{self._seed}/run")
        clock = Clock(wall=lambda: _EPOCH + self._time.now, monotonic=lambda: self._time.now)
        dispatcher = await HookDispatcher.start([], clock=clock, rng=rng)
        dispatcher.on_published(self._published)
        self.faults = FaultRegistry(clock=clock, rng=rng)
        settings = ManagerSettings(ports=(), tls_ports=(), hook_events=frozenset(OptionalHook))
        services = Services(
            settings, dispatcher=dispatcher, broadcast=HookBroadcast(), clock=clock, rng=rng, faults=self.faults,
            make_connector=SimulatedConnector,
        )  # fmt: skip
        self.manager = Manager(services)
        await self.manager.start()
        self.listener = self.manager._listener
        self.whip = RelayedWhipWorld(self, self._seed)
        self.origin = SimulatedOrigin(self.manager, rng, self._clients, self.whip.handle)
        for step in self._steps:
            loop.call_at(step.at, self._guarded, step)
        await asyncio.sleep(LENGTH)
        self._off()
        await asyncio.sleep(40.0)
        if self._failure is not None:
            raise self._failure
        self._check()
        for client in self._sockets:
            client.leave("goodbye")
        await asyncio.sleep(10.0)
        await self.manager.stop()
        await dispatcher.stop()
        if self._failure is not None:
            raise self._failure
        for life in self._lives.values():
            life.finish()

    async def _dial(self, factory: Any, host: str, port: int) -> Any:
        far = accept(self.origin)
        protocol = factory()
        return connect(protocol, far, ORIGIN_DELAY), protocol

    def _published(self, event: HookEvent, context: Context) -> None:
        encoded = encode(event, context)
        if encoded.internal:
            return
        told = json.loads(encoded.body)
        kind = RoomLifeModel if told["event"] == "room" else LifeModel
        self._remember(self._lives.setdefault(encoded.session, kind(encoded.session)).take, told)

    def _remember(self, work: Any, *arguments: Any) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            self._failure = self._failure or error

    # steps

    def _guarded(self, step: Step) -> None:
        self.log.append(f"{self._time.now:8.3f} {step.what} {step.detail}")
        self._remember(self._take, step)

    def _take(self, step: Step) -> None:
        words = step.detail.split()
        match step.what:
            case "connect":
                self._connect(words[0], words[1], words[3], step.number)
            case "request":
                self._spawn(self._chaos(words[0], words[1], words[3], step.number))
            case "whip":
                self._spawn(self._whip(step.number))
            case "leave" if self._sockets:
                self._sockets[-1 - step.number % min(5, len(self._sockets))].leave(step.detail)
            case "fault":
                self._fault(words[0], words[2], words[4], words[6])
            case "faults off":
                self._off()
            case "origin":
                self._spawn(self._origin_gone(float(words[2])))
        self._scopes.check(self.faults.log())

    def _spawn(self, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                self._failure = self._failure or error

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _client(self, id: str, customer: str, role: str) -> Traffic:
        number = len(self._clients) + 1
        client = self._clients[number] = Traffic(number, id, customer, role, DELAY)
        client.touched = any(_is_for(*known, client) for known in self._switched.values())
        return client

    def _connect(self, role: str, id: str, customer: str, number: int) -> None:
        id = id if role == "publisher" else f"subscriber-{id}"
        client = self._client(id, customer, role)
        client.touched |= self.origin.down
        page = SocketClient(client, f"/streammanager?app=live&host=origin&id={id}&customerScope={customer}", number)
        self._sockets.append(page)
        connect(page, self.listener(), CLIENT_DELAY)

    async def _chaos(self, protocol: str, id: str, customer: str, number: int) -> None:
        """Have a client over HTTP do what it likes; the model of WHIP is about others."""
        rng = random.Random(number)
        client = self._client(id, customer, "publisher" if protocol == "whip" else "subscriber")
        path = f"/live/{protocol}/endpoint/{id}?customerScope={customer}&requestId={id}"
        offer = OFFER.encode() if protocol == "whip" and rng.random() < 0.7 else b"v=0\r\n"
        requests = [("OPTIONS", path, b""), ("POST", path, offer)]
        while requests:
            method, target, body = requests.pop(0)
            answer = await ask(
                self.listener, CLIENT_DELAY, f"client-{client.number}", method, target,
                {"Content-Type": "application/sdp"}, body,
            )  # fmt: skip
            if answer is None and not client.touched:
                broken("faults", f"{method} of {id} of {customer}, for which no fault is, is not answered")
            location = dict(answer.headers).get("Location") if answer else None
            if method == "POST" and location and location.startswith("/"):
                requests = [("PATCH", location, b"nothing"), ("DELETE", location, b"")]
            await asyncio.sleep(rng.choice((0.0, 0.5, 8.0)))

    async def _whip(self, number: int) -> None:
        async with self._whip_turn:
            await self.whip.step(number)
            self.log.append(f"{self._time.now:8.3f}   {self.whip.log[-1]}")

    async def _origin_gone(self, seconds: float) -> None:
        async with self._whip_turn:
            if self.origin.down:
                return
            self.whip.down = True
            for client in self._clients.values():
                client.broken = True
                client.touched |= not client.accepted  # by the refusal of the manager
            self.origin.lose()
            self.whip.lose()
            await asyncio.sleep(0.1)
        await asyncio.sleep(seconds)
        async with self._whip_turn:
            self.origin.down = self.whip.down = False

    def _fault(self, kind: str, pattern: str, customer: str, role: str) -> None:
        known = [None if each == "None" else each for each in (pattern, customer, role)]
        switched, as_role = Switched(known[0], known[1]), known[2]
        for client in self._clients.values():
            if _is_for(switched, as_role, client):
                if client.over:  # its session may live for a moment yet
                    client.check()
                client.touched = True
        # Known before it acts: it acts on those that live while it is switched on.
        number = f"f{self.faults._number + 1}"
        self._switched[number] = switched, as_role
        self._scopes.switched_on(number, switched)
        fault = self.faults.add(kind, id=known[0], customer_scope=known[1], role=as_role)
        assert fault.id == number

    def _off(self) -> None:
        self.faults.clear()
        self._switched.clear()
        self._scopes.switched_off()
        for session in self.origin.sessions.values():
            if not session.ice.neutral:
                broken("faults", f"all faults are off, but one still acts on client {session.traffic.number}")

    def _check(self) -> None:
        self._scopes.check(self.faults.log())
        self.injected = len(self.faults.log())
        for client in self._clients.values():
            client.check()


def _is_for(switched: Switched, role: str | None, client: Traffic) -> bool:
    return switched.is_for(client.id, client.customer_scope) and role in (None, client.role)


def run(seed: int, steps: Sequence[Step] | None = None) -> Run:
    """Run a seed, or other steps with its chances. Raises :class:`BrokenPromise`."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return Run(seed, draw(seed) if steps is None else steps).execute()
    finally:
        logging.disable(level)
