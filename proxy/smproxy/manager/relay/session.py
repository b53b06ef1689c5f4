"""One relayed session: its two legs, from the dial to the last byte."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping

from websockets.frames import CloseCode

from smproxy.manager.relay.context import SWEEPS_TO_PING, Common
from smproxy.manager.relay.dial import Dial
from smproxy.manager.relay.dispatch import Listener
from smproxy.manager.relay.fault_pipeline import Detour
from smproxy.manager.relay.filter import OriginFilter
from smproxy.manager.relay.frames import close_frame, ping_frame
from smproxy.manager.relay.handshake import check_response, origin_request, switching
from smproxy.manager.relay.leg import Leg
from smproxy.manager.relay.legs import make_legs
from smproxy.manager.relay.observer import Observer, Recorder, RelayEnd
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling import messages


class State(enum.Enum):
    """Where a session is in its life."""

    DIALING = enum.auto()
    OPEN = enum.auto()
    OVER = enum.auto()


class RelaySession:
    """Both legs of one client, and what is known about them.

    ``opened_ms`` in Unix milliseconds; ``over`` is called once, when nothing of the session is left in the relay.
    """

    __slots__ = (
        "_answered", "_client", "_common", "_detour", "_dial", "_end", "_held", "_listener", "_origin", "_request", "_state",
        "_tell_over", "opened_ms",
    )  # fmt: skip

    def __init__(
        self,
        common: Common,
        request: UpgradeRequest,
        observer: Observer,
        origin_filter: OriginFilter | None,
        opened_ms: int,
        over: Callable[[RelaySession], None],
        record: Recorder | None = None,
        detour: Detour | None = None,
    ) -> None:
        self.opened_ms = opened_ms
        self._common = common
        self._request = request
        self._listener = listener = Listener(observer, record)
        self._tell_over = over
        self._state = State.DIALING
        self._end: RelayEnd | None = None
        self._held = b""  # what the client sent ahead of the origin's answer
        self._answered = False
        self._dial: Dial | None = None
        self._detour = detour
        hear = listener.client_said, listener.origin_said
        self._client, self._origin = make_legs(self, hear, common.limits.max_message, origin_filter, detour)
        if detour is not None:
            detour.attach(self, self._client, self._origin, common.rng, record)

    @property
    def unreadable(self) -> int:
        """How many messages were binary or could not be read."""
        return self._listener.unreadable

    @property
    def observer_failures(self) -> int:
        """How often the observer or the record raised."""
        return self._listener.failures

    @property
    def client_bytes(self) -> int:
        """How many bytes the client has sent, frames and all, without its handshake."""
        return self._client.received

    @property
    def origin_bytes(self) -> int:
        """How many bytes the origin has sent, frames and all, without its handshake."""
        return self._origin.received

    @property
    def client_connected(self) -> bool:
        """Whether the client leg is up; a refused client has none."""
        return self._state is not State.OVER and not self._client.lost

    @property
    def origin_connected(self) -> bool:
        """Whether the origin leg is up and has been accepted."""
        return self._state is State.OPEN and not self._origin.lost

    # From outside

    def start(
        self, host: str, port: int, target: str, headers: Mapping[str, str], unreachable: float | None = None
    ) -> None:
        """Answer the client if that needs no answer of the origin, and dial; ``unreachable``: fail after so many seconds.

        Raises:
            ValueError: ``target`` or ``headers`` have characters that do not belong there; nothing has been done.
        """
        common, request, client = self._common, self._request, self._client
        message = origin_request(request, host, port, target, headers)
        left_already = request.closed
        rest = request.claim(client)
        if left_already:
            asyncio.get_running_loop().call_soon(self.lost, client)
            return
        client.attach(request.transport, common.limits.high_water)
        if not request.subprotocols:
            self._answered = True
            request.transport.write(switching(request, None))
        if rest:
            client.data_received(rest)
        self._dial = dial = common.dial(self, message)
        limit = common.limits.dial_timeout
        common.dials.start(self, lambda: dial.give_up(f"origin {host}:{port} did not answer within {limit:g} s"))
        dial.start(host, port, unreachable)

    def turn_away(self, error: str) -> None:
        """Reject the client with HTTP 503; nothing is dialed."""
        self._state = State.OVER
        self._request.reject(503, error)
        self._later(RelayEnd("proxy", None, False, error))

    def close(self, code: int, reason: str) -> None:
        """End both legs with a Close frame; what is on its way in a frame is let through first. Does nothing once over.

        Raises:
            ProtocolError: ``code`` may not appear in a Close frame.
        """
        self._end_by_proxy(code, reason, reason)

    def abort(self) -> None:
        """End both legs at once."""
        if self._state is State.DIALING:
            self._client.abort()
        elif self._state is State.OPEN:
            self._ends(RelayEnd("proxy", None, False, "aborted"))
            self._client.abort()
            self._origin.abort()

    def sweep(self) -> None:
        """Look for silence: ping a leg that has been quiet, end the session of one that stays quiet."""
        if self._state is not State.OPEN or self._end is not None:
            return
        for leg in (self._client, self._origin):
            if leg.heard != leg.received or leg.stalled:
                leg.heard, leg.pinged, leg.quiet = leg.received, False, 0
                continue
            leg.quiet += 1
            if leg.quiet >= self._common.sweeps_to_end:
                self._end_by_proxy(CloseCode.INTERNAL_ERROR, "keep-alive", f"{leg.side}: silent after a ping")
                return
            if leg.quiet >= SWEEPS_TO_PING and not leg.pinged:
                leg.pinged = leg.inject(ping_frame(self._mask(leg)))

    # What the dial says

    def check(self, head: bytes) -> str | None:
        """Check the origin's response."""
        return check_response(head, self._request)

    def accepted(self, transport: asyncio.Transport, subprotocol: str | None, rest: bytes) -> None:
        """Splice: the origin has accepted."""
        client, origin, request = self._client, self._origin, self._request
        self._common.dials.stop(self)
        self._dial = None
        transport.set_protocol(origin)
        origin.attach(transport, self._common.limits.high_water)
        self._state = State.OPEN
        client.write, origin.write = transport.write, request.transport.write
        client.flowing = origin.flowing = True
        if not self._answered:
            self._answered = True
            request.transport.write(switching(request, subprotocol if subprotocol in request.subprotocols else None))
        request.forget()
        self._listener.dialed()
        if self._detour is not None:
            self._detour.opened()
        client.read_on()
        held, self._held = self._held, b""
        if held:
            if client.flowing:
                client.flow(held)
            else:
                self.irregular(client, held)
        if rest:
            origin.data_received(rest)

    def failed(self, why: str) -> None:
        """Refuse the client: the origin cannot be had."""
        self._refuse(messages.connect_error(messages.CONNECT_FAILED), CloseCode.BAD_GATEWAY, why)
        self._listener.dial_failed(why)

    # What the legs say

    def irregular(self, leg: Leg, data: bytes) -> None:
        """Take data that may not simply flow: the origin is not there yet, or the session is ending."""
        if self._state is State.DIALING:
            self._held += data
            if len(self._held) > self._common.limits.held:
                leg.stalled = True
                leg.transport.pause_reading()
            return
        tap, peer = leg.tap, leg.peer
        if tap.ended:
            return
        if peer.farewell:  # the frame on its way goes on, nothing behind it
            rest = data[: tap.gap]
            data = data[tap.gap :]
            leg.write(tap.feed(rest))
            leg.tell()
            if tap.close:
                peer.sealed, peer.farewell = True, b""
            elif not tap.gap:
                self._say_farewell(peer)
        if data:
            tap.feed(data)  # only for its Close frame
            tap.said.clear()
        self._settle()

    def tap_ended(self, leg: Leg) -> None:
        """Act on a Close frame, which has gone on to the peer, or on a fault."""
        leg.flowing = False
        if (fault := leg.tap.fault) is not None:
            self._end_by_proxy(fault.code, fault.text, f"{leg.side}: {fault.text}")
        elif (close := leg.tap.close) is not None:
            leg.peer.sealed = True
            self._ends(RelayEnd(leg.side, close.code, True, close.reason))
        self._settle()

    def eof(self, leg: Leg) -> bool:
        """Tell the peer that ``leg`` sends nothing more; return whether ``leg`` stays open for what the peer sends."""
        leg.eof = True
        if self._state is not State.OPEN:
            return False
        self._ends(RelayEnd(leg.side, None, False, "no Close frame"))
        peer = leg.peer
        self._drop_farewell(peer)
        peer.end_output()
        if peer.eof:
            peer.shut()
        return not (leg.sealed or leg.eof_sent or peer.lost or not leg.transport.can_write_eof())

    def lost(self, leg: Leg) -> None:
        """Let the peer have what was written to it, then end it too."""
        leg.lost = True
        leg.flowing = False
        self._drop_farewell(leg)
        if leg is self._client:
            self._request.gone()
        if self._state is State.DIALING:
            self._ends(RelayEnd("client", None, False, "left before the origin had answered"))
            if self._dial is not None:
                self._dial.give_up()
            self._over()
            return
        self._ends(RelayEnd(leg.side, None, False, "connection lost"))
        peer = leg.peer
        if peer.lost:
            self._over()
            return
        peer.flowing = False
        self._drop_farewell(peer)
        peer.read_on()
        peer.end_output()
        if peer.eof:
            peer.shut()

    # How it ends

    def _ends(self, end: RelayEnd) -> None:
        """Remember who was the first to end it, and see that the rest does not take for ever."""
        if self._end is None:
            self._end = end
            if self._state is State.OPEN:
                self._common.closings.start(self, self._force)

    def _end_by_proxy(self, code: int, reason: str, detail: str) -> None:
        farewells = [close_frame(code, reason, self._mask(leg)) for leg in (self._origin, self._client)]
        if self._state is State.OVER:
            return
        end = RelayEnd("proxy", code, False, detail)
        self._ends(end)
        if self._state is State.DIALING:
            if self._dial is not None:
                self._dial.give_up()
            # Before Connect.Success a bare close leaves the SDK's promise pending for ever.
            self._refuse(messages.connect_error(messages.CONNECT_FAILED), code, reason)
            self._later(end)
            return
        for leg, farewell in zip((self._origin, self._client), farewells, strict=True):
            leg.peer.flowing = False
            if leg.lost or leg.sealed or leg.eof_sent or leg.farewell:
                continue
            leg.farewell = farewell
            if leg.peer.tap.gap:
                self._common.boundaries.start(leg, leg.abort)
            else:
                self._say_farewell(leg)
        self._settle()

    def _say_farewell(self, leg: Leg) -> None:
        farewell, leg.farewell = leg.farewell, b""
        self._common.boundaries.stop(leg)
        leg.sealed = leg.inject(farewell)

    def _drop_farewell(self, leg: Leg) -> None:
        leg.farewell = b""
        self._common.boundaries.stop(leg)

    def _settle(self) -> None:
        """Close each leg on which Close frames went both ways; a leg that cannot be understood any more gets a FIN."""
        for leg in (self._client, self._origin):
            if not leg.sealed and not leg.peer.lost:
                continue
            if leg.tap.close:
                leg.shut()
            elif leg.tap.fault:
                leg.end_output()

    def _force(self) -> None:
        self._client.abort()
        self._origin.abort()

    def _refuse(self, text: str, code: int, reason: str) -> None:
        """Turn the client leg, the only one there is, into a refusal."""
        request, held = self._request, self._held
        self._state, self._held = State.OVER, b""
        self._listener.refused(text, code, reason)
        self._common.dials.stop(self)
        refusal = self._common.refuse(request)
        request.transport.set_protocol(refusal)
        self._client.read_on()
        self._detach()
        first = request.subprotocols[0] if request.subprotocols else None
        refusal.start(b"" if self._answered else switching(request, first), text, code, reason, held)
        self._tell_over(self)

    def _over(self) -> None:
        self._state = State.OVER
        for deadlines in (self._common.dials, self._common.closings):
            deadlines.stop(self)
        self._detach()
        self._tell_over(self)
        if self._end is not None:
            self._listener.ended(self._end)

    def _detach(self) -> None:
        if self._detour is not None:
            self._detour.stop()
        self._dial = None
        self._client.detach()
        self._origin.detach()

    def _later(self, end: RelayEnd) -> None:
        asyncio.get_running_loop().call_soon(self._listener.turned_away, end)

    def _mask(self, leg: Leg) -> bytes | None:
        """Return a masking key for a frame to ``leg``; it need not be unpredictable, the payload is the relay's own."""
        return self._common.rng.randbytes(4) if leg is self._origin else None
