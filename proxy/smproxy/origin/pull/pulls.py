"""The streams that this node pulls: each once, for as long as somebody watches it here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from smproxy.origin.pull.pulled_stream import PulledStream
from smproxy.origin.pull.wanted import wanted_stream
from smproxy.origin.streams import Streams
from smproxy.tasks import Tasks

_log = logging.getLogger(__name__)

#: Streams at a time; subscribers of another are told that there is none.
MAX_PULLS = 256
#: Seconds that a subscriber waits for a stream to come.
ANSWER_WITHIN = 3.0
#: Seconds for which what is watched survives a broken connection, and between two attempts to connect.
KEEP = 2.0
_RETRY = 0.25
_TICK = 0.25


class PullConnection(Protocol):
    """A connection to the owner of a stream."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Give what the owner sends."""

    async def send(self, text: str) -> None:
        """Send a message to the owner."""


class OtherNodes(Protocol):
    """Where the streams of other nodes are."""

    def owner(self, scope: str, name: str) -> object | None:
        """Return what stands for the other node that has a stream; ``None``: no other has it."""

    def connect(self, scope: str, name: str) -> AbstractAsyncContextManager[PullConnection]:
        """Connect to the owner of a stream. Raises ``ConnectionError``."""


class Asker(Protocol):
    """A client that has asked for a stream, compared by identity."""

    @property
    def ended(self) -> bool:
        """Whether it is gone."""


class _Pull:
    """One stream; ends by itself when it is not wanted, or nobody has it."""

    def __init__(self, stream: PulledStream, nodes: OtherNodes, monotonic: Callable[[], float]) -> None:
        self.stream = stream
        self.answered = asyncio.Event()
        self.viewed_until = 0.0
        #: Clients that may become viewers, and until when each is waited for.
        self.asked: dict[Asker, float] = {}
        self.owner: object | None = None
        self.connection: PullConnection | None = None
        self._nodes = nodes
        self._monotonic = monotonic
        self._following: asyncio.Timeout | None = None
        self._stopping = False

    async def run(self) -> None:
        """Pull, and pull again when the connection breaks or the stream moves."""
        stream, broken = self.stream, self._monotonic()
        try:
            while not self._stopping:
                self.owner = self._nodes.owner(stream.scope, stream.name)
                if self.owner is None:
                    break
                try:
                    async with asyncio.timeout(None) as self._following:
                        if await self._follow():
                            broken = self._monotonic()
                except TimeoutError:
                    continue  # stopped, or the stream has moved
                finally:
                    self._following = None
                if not stream.live or self._monotonic() - broken >= KEEP:
                    stream.end()
                    self.answered.set()
                await asyncio.sleep(_RETRY)
        finally:
            stream.end()
            self.answered.set()

    async def _follow(self) -> bool:
        """Take what the owner sends until the connection ends; return whether there was one."""
        stream = self.stream
        try:
            async with self._nodes.connect(stream.scope, stream.name) as self.connection:
                _log.info("pulling %s/%s from %s", stream.scope, stream.name, self.owner)
                async for message in self.connection:
                    stream.receive(message)
                    if stream.answered:
                        self.answered.set()
        except ConnectionError as error:
            _log.debug("%s/%s cannot be pulled from %s: %s", stream.scope, stream.name, self.owner, error)
            return False
        except ValueError as error:
            _log.warning("%s/%s: what %s sends cannot be read: %s", stream.scope, stream.name, self.owner, error)
        finally:
            self.connection = None
        return True

    def sweep(self, now: float) -> None:
        """Go on or end, as the stream is wanted and where it is."""
        self.stream.sweep(now)
        self.asked = {asker: until for asker, until in self.asked.items() if now < until and not asker.ended}
        if now >= self.viewed_until and not self.asked:
            self.stop()
        elif self.owner is not None and self._nodes.owner(self.stream.scope, self.stream.name) != self.owner:
            self._interrupt()

    def stop(self) -> None:
        """End it soon."""
        self._stopping = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self._following is not None and not self._following.expired():
            self._following.reschedule(asyncio.get_running_loop().time())


class Pulls:
    """Pulls the streams of other nodes that clients here want to watch. ``stop`` ends all.

    A stream is pulled for ``linger`` seconds after its last viewer has left; ``connect_within`` is how long a client that has
    asked for it may take to become a viewer. ``changed`` is called when their number has changed.
    """

    def __init__(
        self,
        streams: Streams,
        nodes: OtherNodes,
        monotonic: Callable[[], float],
        *,
        linger: float,
        connect_within: float,
        changed: Callable[[], None],
    ) -> None:
        self._streams = streams
        self._nodes = nodes
        self._monotonic = monotonic
        self._linger = linger
        self._connect_within = connect_within
        self._changed = changed
        self._pulls: dict[tuple[str, str], _Pull] = {}
        self._tasks = Tasks()
        self._ticking: asyncio.Task[None] | None = None
        self._warned = False

    def start(self) -> None:
        """Begin to look at what is watched."""
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """End every pull."""
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        for pull in self._pulls.values():
            pull.stop()
        await self._tasks.drain(0.5)

    def __len__(self) -> int:
        return len(self._pulls)

    async def prepare(self, frame: str | bytes, scope: str, asker: Asker) -> None:
        """Have the stream here that a client's message is about."""
        if (wanted := wanted_stream(frame, scope)) is not None:
            await self.ready(*wanted, asker)

    def needs(self, frame: str | bytes, scope: str) -> bool:
        """Return whether a client's message is about a stream that must be pulled first."""
        wanted = wanted_stream(frame, scope)
        return wanted is not None and not self._streams.is_live(*wanted) and self._nodes.owner(*wanted) is not None

    async def ready(self, scope: str, name: str, asker: Asker) -> None:
        """Return when a stream is here, or cannot be had.

        It stays until its client had the time to connect.
        """
        pull = self._pulls.get((scope, name)) or self._begin(scope, name)
        if pull is None:
            return
        pull.asked[asker] = self._monotonic() + self._connect_within
        if not pull.stream.live:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_WITHIN):
                    await pull.answered.wait()

    def _begin(self, scope: str, name: str) -> _Pull | None:
        if self._streams.is_live(scope, name) or self._nodes.owner(scope, name) is None:
            return None
        if len(self._pulls) >= MAX_PULLS:
            if not self._warned:
                self._warned = True
                _log.warning("%s/%s is not pulled: %d streams are, which is the most", scope, name, MAX_PULLS)
            return None

        def ask(text: str) -> None:
            if pull.connection is not None:
                self._tasks.spawn(_send(pull.connection, text))

        soon = asyncio.get_running_loop().call_soon
        stream = PulledStream(scope, name, self._streams, self._monotonic, ask, soon)
        pull = self._pulls[scope, name] = _Pull(stream, self._nodes, self._monotonic)
        pull.viewed_until = self._monotonic() + self._linger
        self._tasks.spawn(self._run(pull))
        self._changed()
        return pull

    async def _run(self, pull: _Pull) -> None:
        try:
            await pull.run()
        finally:
            self._pulls.pop((pull.stream.scope, pull.stream.name), None)
            self._warned = False
            self._changed()
            _log.info("%s/%s is not pulled any more", pull.stream.scope, pull.stream.name)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = self._monotonic()
            for (scope, name), pull in list(self._pulls.items()):
                if self._streams.watchers(scope, name):
                    pull.viewed_until = now + self._linger
                pull.sweep(now)
            for key in self._streams.awaited():
                if key not in self._pulls:
                    self._begin(*key)


async def _send(connection: PullConnection, text: str) -> None:
    with contextlib.suppress(ConnectionError):
        await connection.send(text)
