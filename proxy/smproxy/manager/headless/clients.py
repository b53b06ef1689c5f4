"""The headless clients that the server runs: what was asked for, and what became of each."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import smproxy
from smproxy.manager.headless.messages import (
    ClientCommand,
    ClientReport,
    EndClient,
    HeadlessRole,
    HeadlessState,
    HowToEnd,
    MuteClient,
    StartClient,
)
from smproxy.manager.headless.process import HeadlessProcess
from smproxy.signaling.clock import Clock
from smproxy.tasks import Tasks

logger = logging.getLogger(__name__)

#: Clients at a time, and ended ones that are remembered.
MAX_CLIENTS = 32
KEPT = 200
#: Seconds after which a process without clients is ended.
LINGER = 60.0


class HeadlessError(Exception):
    """A client that cannot be started: one line that says why."""


@dataclass(eq=False)
class HeadlessClient:
    """One client; ``figures`` are those of its latest report."""

    id: str
    role: HeadlessRole
    name: str
    transport: str
    params: dict[str, str]
    created_at: int
    user_agent: str
    state: HeadlessState = "connecting"
    error: str | None = None
    ended_by: str | None = None
    session: int | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    #: It is live, or it never will be.
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class HeadlessClients:
    """All of them, in one process. Ended by :meth:`stop`.

    ``url`` returns where they connect to, ``find_session`` the session of a client by its user agent. In a cluster the ids
    begin with the name of the ``node``, as any node answers for all.
    """

    def __init__(
        self,
        *,
        url: Callable[[], str],
        find_session: Callable[[str], int | None],
        clock: Clock,
        node: str | None = None,
    ) -> None:
        self._url = url
        self._find_session = find_session
        self._clock = clock
        self.node = node
        self._numbers = {"publisher": itertools.count(1), "subscriber": itertools.count(1)}
        self._clients: dict[str, HeadlessClient] = {}
        self._process: HeadlessProcess | None = None
        self._starting = asyncio.Lock()
        self._stopped = False
        self._idle: asyncio.TimerHandle | None = None
        self._endings = Tasks()

    def listed(self, role: HeadlessRole) -> list[HeadlessClient]:
        """Return the clients of a role, the oldest first, ended ones too."""
        return [client for client in self._clients.values() if client.role == role]

    def get(self, id: str) -> HeadlessClient | None:
        """Return one client."""
        return self._clients.get(id)

    def session(self, client: HeadlessClient) -> int | None:
        """Return the number of a client's session, ``None`` when it has none."""
        if client.session is None:
            client.session = self._find_session(client.user_agent)
        return client.session

    async def start(
        self, role: HeadlessRole, name: str, transport: str, params: dict[str, str], options: dict[str, Any]
    ) -> HeadlessClient:
        """Start a client; it is connecting then.

        Raises:
            HeadlessError: there are too many, or there is no process for it.
        """
        if sum(not client.over.is_set() for client in self._clients.values()) >= MAX_CLIENTS:
            raise HeadlessError(f"{MAX_CLIENTS} headless clients run, which is the most: end one")
        number = f"{role}-{next(self._numbers[role])}"
        id = number if self.node is None else f"{self.node}-{number}"
        agent = f"stream-manager-proxy-{role}/{smproxy.__version__} ({id})"
        client = HeadlessClient(id, role, name, transport, params, self._clock.wall_ms(), agent)
        self._clients[id] = client
        self._forget_oldest()
        whole = {"transport": transport, "user_agent": agent, **options}
        try:
            process = await self._running()
        except (OSError, HeadlessError) as error:
            del self._clients[id]
            raise HeadlessError(f"there is no process for it: {getattr(error, 'strerror', None) or error}") from None
        process.send(StartClient(id, role, self._url(), name, params, whole))
        return client

    def mute(self, client: HeadlessClient, *, audio: bool | None, video: bool | None) -> None:
        """Mute tracks of a client; ``None`` changes nothing."""
        self._send(MuteClient(client.id, audio, video))

    async def end(self, client: HeadlessClient, how: HowToEnd, timeout: float) -> bool:
        """End a client and forget it; return whether it has ended within ``timeout`` seconds."""
        if not client.over.is_set():
            self._send(EndClient(client.id, how))
            try:
                async with asyncio.timeout(timeout):
                    await client.over.wait()
            except TimeoutError:
                return False
        self._clients.pop(client.id, None)
        self._look_for_work()
        return True

    async def end_all(self, timeout: float) -> int:
        """End all clients as pages do, and forget them; return how many ran."""
        clients = tuple(self._clients.values())
        running = sum(not client.over.is_set() for client in clients)
        ended = await asyncio.gather(*(self.end(client, "leave", timeout) for client in clients))
        if not all(ended) and self._process is not None:
            await self._process.stop()  # none that hangs is there in the next test
            for client in clients:
                self._clients.pop(client.id, None)
        return running

    async def stop(self) -> None:
        """End the process, and so all clients."""
        self._stopped = True
        if self._idle is not None:
            self._idle.cancel()
        async with self._starting:
            if self._process is not None:
                await self._process.stop()
        await self._endings.settled()

    async def _running(self) -> HeadlessProcess:
        """Return the process, which is started if there is none."""
        async with self._starting:
            if self._stopped:
                raise HeadlessError("the server is stopping")
            if self._idle is not None:
                self._idle.cancel()
            if self._process is None:
                self._process = await HeadlessProcess.start(self._report, self._exited)
            return self._process

    def _send(self, command: ClientCommand) -> None:
        if self._process is not None:
            self._process.send(command)

    def _report(self, report: ClientReport) -> None:
        client = self._clients.get(report.client)
        if client is None:
            return
        client.figures = report.figures or client.figures
        if report.state != client.state:
            self._change(client, report.state, report.error, report.ended_by)

    def _change(self, client: HeadlessClient, state: HeadlessState, error: str | None, ended_by: str | None) -> None:
        client.state, client.error, client.ended_by = state, error, ended_by
        self.session(client)
        client.settled.set()
        if state in ("ended", "failed"):
            client.over.set()
            self._look_for_work()

    def _exited(self, process: HeadlessProcess, why: str) -> None:
        """A process has ended, and with it every client, unless it was left without any."""
        if process is not self._process:
            return
        self._process = None
        for client in self._clients.values():
            if not client.over.is_set():
                self._change(client, "ended" if self._stopped else "failed", None if self._stopped else why, None)

    def _look_for_work(self) -> None:
        """End the process some time after its last client has ended."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._process is not None and all(client.over.is_set() for client in self._clients.values()):
            self._idle = asyncio.get_running_loop().call_later(LINGER, self._end_idle)

    def _end_idle(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._endings.spawn(process.stop())

    def _forget_oldest(self) -> None:
        ended = [client.id for client in self._clients.values() if client.over.is_set()]
        for id in ended[: max(0, len(ended) - KEPT)]:
            del self._clients[id]
