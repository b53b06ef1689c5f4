"""A manager's connection to the origin of another node."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

import aiohttp
import msgspec

from smproxy.cluster.records import NodeLife, NodeRecord, NodeState
from smproxy.manager.cluster.channel import CONFIRM_EVERY, Confirm, encode, read_report
from smproxy.manager.cluster.paths import CHANNEL, KEY_HEADER
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.sessions import Sessions
from smproxy.signaling.node_channel import Command, Hello, Load, PeerEnded
from smproxy.signaling.payloads import Reason
from smproxy.tasks import end_tasks

logger = logging.getLogger(__name__)

#: Commands that wait for a connection; the oldest makes room.
_MAX_WAITING = 10_000
#: Seconds between two attempts to connect.
_RETRY = 0.25


class OriginLink:
    """Keeps an origin of another node registered, with its node channel.

    Made by :meth:`start`; :meth:`stop` takes the origin out and ends the sessions there.
    """

    def __init__(
        self,
        record: NodeRecord,
        me: Callable[[], NodeLife | None],
        http: aiohttp.ClientSession,
        registry: OriginRegistry,
        sessions: Sessions,
    ) -> None:
        self.life = record.life
        self._record = record
        self._me = me
        self._http = http
        self._registry = registry
        self._sessions = sessions
        self._waiting: deque[Command] = deque(maxlen=_MAX_WAITING)
        self._ready = asyncio.Event()
        self._had = 0
        self._task: asyncio.Task[None] | None = None
        assert record.origin is not None
        host, port = record.origin
        hello = Hello(address=record.life.node, host=host, port=port, region=record.region)
        self.node: Node = registry.attach(hello, self._command)
        self.node.role = "edge" if "edge" in record.roles else "origin"
        self.node.pulls_others = True

    @classmethod
    def start(
        cls,
        record: NodeRecord,
        me: Callable[[], NodeLife | None],
        http: aiohttp.ClientSession,
        registry: OriginRegistry,
        sessions: Sessions,
    ) -> OriginLink:
        """Register the origin and connect, again and again."""
        link = cls(record, me, http, registry, sessions)
        link.update(record)
        link._task = asyncio.create_task(link._run())
        return link

    def update(self, record: NodeRecord) -> None:
        """Take what the registry knows of the node now."""
        self.node.load = Load(record.publishers, record.subscribers, record.capacity, record.pulls)
        self.node.draining = record.state is NodeState.DRAINING

    async def stop(self) -> None:
        """Take the origin out of the registry, and end the sessions there."""
        self._registry.detach(self.node)
        if self._task is not None:
            await end_tasks([self._task])
        for attempt in self._sessions.attempts:
            if attempt.node is self.node:
                self._sessions.report(self.node, PeerEnded(attempt.token, Reason.ORIGIN_LOST, lost=True))
                if attempt.relay is not None and not attempt.relay_ended:
                    attempt.relay.close(1011, "the origin is gone")

    def _command(self, command: Command) -> None:
        self._waiting.append(command)
        self._ready.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                await self._connect()
            await asyncio.sleep(_RETRY)

    async def _connect(self) -> None:
        me = self._me()
        if me is None:
            return
        url = f"{self._record.url}{CHANNEL}?node={me.node}&incarnation={me.incarnation}"
        headers = {KEY_HEADER: self._record.key}
        async with self._http.ws_connect(url, headers=headers, heartbeat=10.0, compress=0) as socket:
            sending = asyncio.create_task(self._send(socket))
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._take(message.data)
                        if self._had % CONFIRM_EVERY == 0:
                            await socket.send_str(encode(Confirm(self._had)).decode())
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, aiohttp.ClientError):
                    await sending

    def _take(self, text: str) -> None:
        try:
            numbered = read_report(text)
        except msgspec.MsgspecError as error:
            logger.warning("a report of %s cannot be read: %s", self.life.node, error)
            return
        if numbered.number > self._had:  # others came on the connection before
            self._had = numbered.number
            self._sessions.report(self.node, numbered.report)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            self._ready.clear()
            while self._waiting:
                await socket.send_str(encode(self._waiting[0]).decode())
                self._waiting.popleft()
            await self._ready.wait()
