"""Start and stop relayed connections and refusals; share their time-outs and the sweep."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from math import ceil

from smproxy.manager.deadlines import Deadlines
from smproxy.manager.relay.connection import RelayedConnection
from smproxy.manager.relay.context import SWEEPS_TO_PING, RelayContext
from smproxy.manager.relay.dial import Connect, Dial, DialOwner
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.handshake import switching
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.observer import Observer, TranscriptWriter
from smproxy.manager.relay.origin_filter import OriginFilter
from smproxy.manager.relay.refusal import Refusal
from smproxy.manager.relay.rewrite import Rewriter
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling.clock import Clock


class Relay:
    """Splice clients to origins.

    Owns every connection, dial and refusal until it is over; ``stop`` leaves nothing.
    """

    def __init__(self, *, limits: RelayLimits | None = None, clock: Clock, rng: random.Random) -> None:
        self.limits = limits = limits or RelayLimits()
        self.connections: set[RelayedConnection] = set()
        self._clock = clock
        self._dials: set[Dial] = set()
        self._refusals: set[Refusal] = set()
        self._stopping = False
        self._changed = asyncio.Event()
        self._sweep_every = limits.idle_ping / SWEEPS_TO_PING
        self._sweeper: asyncio.TimerHandle | None = None
        self._refusing = Deadlines(limits.refuse_timeout)
        self._context = RelayContext(
            limits=limits,
            rng=rng,
            dials=Deadlines(limits.dial_timeout),
            boundaries=Deadlines(limits.boundary_timeout),
            closings=Deadlines(limits.close_timeout),
            refuse=self._new_refusal,
            dial=self._new_dial,
            sweeps_to_end=SWEEPS_TO_PING + max(1, ceil(limits.idle_timeout / self._sweep_every)),
        )

    def open(
        self,
        request: UpgradeRequest,
        *,
        host: str,
        port: int,
        target: str,
        headers: Mapping[str, str],
        observer: Observer,
        origin_filter: OriginFilter | None = None,
        transcript: TranscriptWriter | None = None,
        faults: FaultPipeline | None = None,
        unreachable: float | None = None,
        connect: Connect | None = None,
        rewriter: Rewriter | None = None,
    ) -> RelayedConnection:
        """Accept the client and dial the origin.

        What happens then goes to ``observer``, never before this returns.

        A client that offers subprotocols is accepted once the origin has chosen. ``headers`` are added to the origin's
        request. With ``origin_filter`` a message of the origin goes on only if the filter says so. ``transcript`` gets every
        message as it came. With ``faults`` every message passes them, and the ``origin_filter`` that they were given.
        With ``rewriter`` messages go on as it says. ``unreachable`` makes the dial fail after so many seconds;
        ``connect`` is the way to an origin of this process.
        After ``stop`` the client gets a plain 503.

        Raises:
            ValueError: ``target`` or ``headers`` have characters that do not belong there.
            RuntimeError: the request has been answered before.
        """
        connection = RelayedConnection(
            self._context,
            request,
            observer,
            origin_filter,
            self._clock.wall_ms(),
            self._over,
            transcript,
            faults,
            rewriter,
        )
        if self._stopping:
            connection.turn_away("shutting down")
            return connection
        connection.start(host, port, target, headers, unreachable, connect)
        self.connections.add(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._sweep_every, self._sweep)
        return connection

    def refuse(self, request: UpgradeRequest, text: str, code: int, reason: str) -> None:
        """Accept the upgrade, send ``text``, then Close with ``code`` and a shortened ``reason``.

        As much of ``reason`` is sent as fits.

        Raises:
            ProtocolError: ``code`` may not appear in a Close frame.
            RuntimeError: the request has been answered before.
        """
        refusal = self._new_refusal(request)
        first = request.subprotocols[0] if request.subprotocols else None
        left_already = request.closed
        sent = request.claim(refusal)
        if left_already:
            refusal.connection_lost(None)
        else:
            refusal.start(switching(request, first), text, code, reason, sent)

    async def stop(self, code: int = 1001, reason: str = "shutting down", timeout: float = 5.0) -> None:
        """Close every connection with ``code``.

        Abort what is left after ``timeout`` seconds, and wait until it is gone.
        """
        self._stopping = True
        for connection in list(self.connections):
            connection.close(code, reason)
        try:
            async with asyncio.timeout(timeout):
                await self._until_empty()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            for refusal in list(self._refusals):
                refusal.abort()
            for dial in list(self._dials):
                dial.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._until_empty()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        context = self._context
        for deadlines in (context.dials, context.boundaries, context.closings, self._refusing):
            deadlines.close()

    async def _until_empty(self) -> None:
        while self.connections or self._refusals or self._dials:
            self._changed.clear()
            await self._changed.wait()

    def _sweep(self) -> None:
        self._sweeper = None
        for connection in list(self.connections):
            connection.sweep()
        if self.connections:
            self._sweeper = asyncio.get_running_loop().call_later(self._sweep_every, self._sweep)

    def _new_dial(self, owner: DialOwner, request: bytes) -> Dial:
        dial = Dial(owner, request, limit=self.limits.head, done=self._dial_done)
        self._dials.add(dial)
        return dial

    def _new_refusal(self, request: UpgradeRequest) -> Refusal:
        refusal = Refusal(request, self._refusing, max_message=self.limits.max_message, done=self._refused)
        self._refusals.add(refusal)
        return refusal

    def _dial_done(self, dial: Dial) -> None:
        self._dials.discard(dial)
        self._changed.set()

    def _refused(self, refusal: Refusal) -> None:
        self._refusals.discard(refusal)
        self._changed.set()

    def _over(self, connection: RelayedConnection) -> None:
        self.connections.discard(connection)
        self._changed.set()
