"""Serves the origin of this node to the managers of all nodes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import msgspec
from aiohttp import WSMsgType, web

from smproxy.cluster.records import NodeLife
from smproxy.manager.cluster.channel import Confirm, ReportOutbox, encode, read_command
from smproxy.signaling.node_channel import (
    Announce,
    AttemptFailed,
    Command,
    CommandTo,
    Drain,
    Evict,
    Load,
    PeerEnded,
    Report,
    ReportTo,
)

logger = logging.getLogger(__name__)

#: Attempts that have ended, whose recordings may yet be reported.
_MAX_ENDED = 10_000


class _Channel:
    """One manager, by its node's life."""

    def __init__(self) -> None:
        self.outbox = ReportOutbox()
        self.attempts: set[str] = set()
        self.ready = asyncio.Event()

    def report(self, report: Report) -> None:
        self.outbox.add(report)
        self.ready.set()


class OriginChannels:
    """Passes reports to managers, each to the one of its attempt, and commands to the origin.

    ``local`` takes the reports for this node's own manager.
    """

    def __init__(self, local: ReportTo) -> None:
        self._local = local
        self._command: CommandTo | None = None
        self._on_drain: Callable[[bool], None] = lambda enabled: None
        self._channels: dict[NodeLife, _Channel] = {}
        self._owners: dict[str, _Channel] = {}
        self._ended: dict[str, None] = {}
        self._sockets: set[web.WebSocketResponse] = set()
        #: What the origin carries.
        self.load = Load(publishers=0)

    def serve_origin(self, command: CommandTo, on_drain: Callable[[bool], None]) -> None:
        """Pass commands to this origin from now on.

        ``on_drain`` is called when it is to take nothing new, or to take it again.
        """
        self._command = command
        self._on_drain = on_drain

    def command(self, command: Command) -> None:
        """Take a command of this node's own manager."""
        if isinstance(command, Drain):
            self._on_drain(command.enabled)
        if self._command is not None:
            self._command(command)

    def report(self, report: Report) -> None:
        """Take a report of the origin."""
        if isinstance(report, Load):
            self.load = report
            self._local(report)
            return
        owner = self._owners.get(report.attempt)
        if owner is None:
            self._local(report)
            return
        owner.report(report)
        if isinstance(report, PeerEnded | AttemptFailed):
            self._ended[report.attempt] = None
            if len(self._ended) > _MAX_ENDED:
                self._forget(next(iter(self._ended)))

    def _forget(self, attempt: str) -> None:
        self._ended.pop(attempt, None)
        owner = self._owners.pop(attempt, None)
        if owner is not None:
            owner.attempts.discard(attempt)

    def gone(self, life: NodeLife) -> None:
        """End what a manager has here that is dead: nobody would write hooks of it."""
        channel = self._channels.pop(life, None)
        if channel is None or self._command is None:
            return
        for attempt in list(channel.attempts):
            if attempt not in self._ended:
                self._command(Evict(attempt))
            self._forget(attempt)

    @property
    def managers(self) -> list[NodeLife]:
        """The managers that have been connected."""
        return list(self._channels)

    async def close(self) -> None:
        """Close every connection, with what was reported sent."""
        await asyncio.sleep(0)
        await asyncio.gather(*(socket.close(code=1001) for socket in tuple(self._sockets)), return_exceptions=True)

    async def serve(self, request: web.Request, life: NodeLife) -> web.StreamResponse:
        """Serve one connection of a manager."""
        socket = web.WebSocketResponse(heartbeat=10.0, compress=False, max_msg_size=2**20)
        await socket.prepare(request)
        if self._command is None:
            await socket.close(code=1011, message=b"this node has no origin")
            return socket
        channel = self._channels.setdefault(life, _Channel())
        self._sockets.add(socket)
        sending = asyncio.create_task(self._send(socket, channel))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._take(channel, message.data)
        finally:
            self._sockets.discard(socket)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
        return socket

    def _take(self, channel: _Channel, text: str) -> None:
        try:
            message = read_command(text)
        except msgspec.MsgspecError as error:
            logger.warning("a command of another node cannot be read: %s", error)
            return
        if isinstance(message, Confirm):
            channel.outbox.confirmed(message.number)
            return
        self._do(channel, message)

    def _do(self, channel: _Channel, command: Command) -> None:
        if isinstance(command, Announce):
            self._owners[command.attempt] = channel
            channel.attempts.add(command.attempt)
        self.command(command)

    async def _send(self, socket: web.WebSocketResponse, channel: _Channel) -> None:
        sent = 0
        while True:
            channel.ready.clear()
            for numbered in channel.outbox.waiting():
                if numbered.number > sent:
                    await socket.send_str(encode(numbered).decode())
                    sent = numbered.number
            await channel.ready.wait()
