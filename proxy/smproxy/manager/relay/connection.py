"""One relayed connection: its two legs, from the dial to the last byte."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping

from websockets.frames import CloseCode

from smproxy.manager.relay.context import SWEEPS_TO_PING, RelayContext
from smproxy.manager.relay.dial import Connect, Dial
from smproxy.manager.relay.dispatch import MessageDispatcher
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.frames import close_frame, ping_frame
from smproxy.manager.relay.handshake import check_response, origin_request, switching
from smproxy.manager.relay.leg import Leg
from smproxy.manager.relay.legs import make_legs
from smproxy.manager.relay.observer import Observer, RelayEnd, TranscriptWriter
from smproxy.manager.relay.origin_filter import OriginFilter
from smproxy.manager.relay.rewrite import Rewriter
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling import messages
from smproxy.signaling.payloads import RouteError


class RelayPhase(enum.IntEnum):
    """Where a connection is in its life, which only goes forward.

    ``DIALING``: the client is connected, the origin not yet. ``SPLICED``: both legs forward. ``CLOSING``: somebody has begun to
    end it; each leg closes when its Close frames or FINs went both ways, or by force in time. ``OVER``: nothing is left.
    """

    DIALING = 0
    SPLICED = 1
    CLOSING = 2
    OVER = 3


class RelayedConnection:
    """Both legs of one client.

    ``opened_ms`` in Unix milliseconds; ``over`` is called once, when nothing of the connection is left in the relay.
    """

    __slots__ = (
        "_answered", "_client", "_context", "_dial", "_dispatcher", "_end", "_faults", "_held", "_notify_over", "_origin",
        "_phase", "_request", "opened_ms",
    )  # fmt: skip

    def __init__(
        self,
        context: RelayContext,
        request: UpgradeRequest,
        observer: Observer,
        origin_filter: OriginFilter | None,
        opened_ms: int,
        over: Callable[[RelayedConnection], None],
        transcript: TranscriptWriter | None = None,
        faults: FaultPipeline | None = None,
        rewriter: Rewriter | None = None,
    ) -> None:
        self.opened_ms = opened_ms
        self._context = context
        self._request = request
        self._dispatcher = dispatcher = MessageDispatcher(observer, transcript)
        self._notify_over = over
        self._phase = RelayPhase.DIALING
        self._end: RelayEnd | None = None
        self._held = b""  # what the client sent ahead of the origin's answer
        self._answered = False
        self._dial: Dial | None = None
        self._faults = faults
        on_message = dispatcher.client_message, dispatcher.origin_message
        limit = context.limits.max_message
        self._client, self._origin = make_legs(self, on_message, limit, origin_filter, faults, rewriter, context.rng)
        if faults is not None:
            faults.attach(self, self._client, self._origin, context.rng, transcript)

    @property
    def unreadable(self) -> int:
        """How many messages were binary or could not be read."""
        return self._dispatcher.unreadable

    @property
    def observer_failures(self) -> int:
        """How often the observer or the transcript raised."""
        return self._dispatcher.failures

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
        return self._phase is not RelayPhase.OVER and not self._client.lost

    @property
    def origin_connected(self) -> bool:
        """Whether the origin leg is up and has been accepted."""
        return self._both_legs and not self._origin.lost

    @property
    def _both_legs(self) -> bool:
        return self._phase is RelayPhase.SPLICED or self._phase is RelayPhase.CLOSING

    # called by the relay and its users

    def start(
        self,
        host: str,
        port: int,
        target: str,
        headers: Mapping[str, str],
        unreachable: float | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Answer the client if that needs no answer of the origin, and dial.

        ``connect``: the way to an origin of this process. ``unreachable``: fail after so many seconds.

        Raises:
            ValueError: ``target`` or ``headers`` have characters that do not belong there; nothing has been done.
        """
        context, request, client = self._context, self._request, self._client
        message = origin_request(request, host, port, target, headers)
        left_already = request.closed
        rest = request.claim(client)
        if left_already:
            asyncio.get_running_loop().call_soon(self.on_lost, client)
            return
        client.attach(request.transport, context.limits.high_water)
        if not request.subprotocols:
            self._answered = True
            request.transport.write(switching(request, None))
        if rest:
            client.data_received(rest)
        self._dial = dial = context.dial(self, message)
        limit = context.limits.dial_timeout
        context.dials.start(
            self, lambda: dial.cancel(f"origin {host}:{port} did not answer within {limit:g} s", RouteError.TIMEOUT)
        )
        dial.start(host, port, unreachable, connect)

    def turn_away(self, error: str) -> None:
        """Reject the client with HTTP 503; nothing is dialed."""
        self._phase = RelayPhase.OVER
        self._request.reject(503, error)
        self._notify_turned_away(RelayEnd("proxy", None, False, error))

    def close(self, code: int, reason: str) -> None:
        """End both legs with a Close frame; the frame under way is let through first.

        Does nothing once over.

        Raises:
            ProtocolError: ``code`` may not appear in a Close frame.
        """
        self._close_both(code, reason, reason)

    def abort(self) -> None:
        """End both legs at once."""
        if self._phase is RelayPhase.DIALING:
            self._client.abort()
        elif self._both_legs:
            self._begin_closing(RelayEnd("proxy", None, False, "aborted"))
            self._force()

    def sweep(self) -> None:
        """Ping a leg that sends nothing; close the connection when one goes on so."""
        if self._phase is not RelayPhase.SPLICED:
            return
        for leg in (self._client, self._origin):
            if leg.at_last_sweep != leg.received or leg.read_paused:
                leg.at_last_sweep, leg.pinged, leg.silent_sweeps = leg.received, False, 0
                continue
            leg.silent_sweeps += 1
            if leg.silent_sweeps >= self._context.sweeps_to_end:
                self._close_both(CloseCode.INTERNAL_ERROR, "keep-alive", f"{leg.side}: silent after a ping")
                return
            if leg.silent_sweeps >= SWEEPS_TO_PING and not leg.pinged:
                leg.pinged = leg.send_frame(ping_frame(self._mask(leg)))

    # called by the dial

    def check(self, head: bytes) -> str | None:
        """Check the origin's response."""
        return check_response(head, self._request)

    def accepted(self, transport: asyncio.Transport, subprotocol: str | None, rest: bytes) -> None:
        """Splice: the origin has accepted."""
        client, origin, request = self._client, self._origin, self._request
        self._context.dials.stop(self)
        self._dial = None
        transport.set_protocol(origin)
        origin.attach(transport, self._context.limits.high_water)
        self._phase = RelayPhase.SPLICED
        client.write, origin.write = transport.write, request.transport.write
        client.spliced = origin.spliced = True
        if not self._answered:
            self._answered = True
            request.transport.write(switching(request, subprotocol if subprotocol in request.subprotocols else None))
        request.forget()
        self._dispatcher.dialed()
        if self._faults is not None:
            self._faults.opened()
        client.resume_reading()
        held, self._held = self._held, b""
        if held:
            if client.spliced:
                client.forward(held)
            else:
                self.on_data_unspliced(client, held)
        if rest:
            origin.data_received(rest)

    def failed(self, why: str, error: RouteError) -> None:
        """Refuse the client: the origin cannot be reached."""
        self._refuse(messages.connect_error(messages.CONNECT_FAILED), CloseCode.BAD_GATEWAY, why)
        self._dispatcher.dial_failed(why, error)

    # called by the legs

    def on_data_unspliced(self, leg: Leg, data: bytes) -> None:
        """Hold data back while the origin is dialed.

        While closing, look only for the Close frame in it.
        """
        if self._phase is RelayPhase.DIALING:
            self._held += data
            if len(self._held) > self._context.limits.held:
                leg.read_paused = True
                leg.transport.pause_reading()
            return
        reader, peer = leg.reader, leg.peer
        if reader.ended:
            return
        if peer.pending_close:  # the frame under way goes on, nothing behind it
            rest = data[: reader.to_boundary]
            data = data[reader.to_boundary :]
            leg.write(reader.feed(rest))
            leg.report_messages()
            if reader.close_frame:  # the frame under way was a Close frame
                peer.close_sent = True
                peer.drop_pending_close(self._context.boundaries)
            elif not reader.to_boundary:
                peer.send_pending_close(self._context.boundaries)
        if data:
            reader.feed(data)
            reader.messages.clear()
        self._close_finished_legs()

    def on_reader_ended(self, leg: Leg) -> None:
        """Act on a Close frame, which has been forwarded to the peer, or on a protocol violation."""
        leg.spliced = False
        if (violation := leg.reader.violation) is not None:
            self._close_both(violation.code, violation.text, f"{leg.side}: {violation.text}")
        elif (close := leg.reader.close_frame) is not None:
            leg.peer.close_sent = True
            self._begin_closing(RelayEnd(leg.side, close.code, True, close.reason))
        self._close_finished_legs()

    def on_eof(self, leg: Leg) -> bool:
        """Pass a FIN on to the peer; return whether ``leg`` stays open for what the peer sends."""
        leg.eof = True
        if not self._both_legs:
            return False
        self._begin_closing(RelayEnd(leg.side, None, False, "no Close frame"))
        peer = leg.peer
        peer.drop_pending_close(self._context.boundaries)
        peer.send_eof()
        if peer.eof:
            peer.close()
        return not (leg.close_sent or leg.eof_sent or peer.lost or not leg.transport.can_write_eof())

    def on_lost(self, leg: Leg) -> None:
        """Let the peer have what was written to it, then end it too."""
        leg.lost = True
        leg.spliced = False
        leg.drop_pending_close(self._context.boundaries)
        if leg is self._client:
            self._request.gone()
        if self._phase is RelayPhase.DIALING:
            self._begin_closing(RelayEnd("client", None, False, "left before the origin had answered"))
            if self._dial is not None:
                self._dial.cancel()
            self._finish()
            return
        self._begin_closing(RelayEnd(leg.side, None, False, "connection lost"))
        peer = leg.peer
        if peer.lost:
            self._finish()
            return
        peer.spliced = False
        peer.drop_pending_close(self._context.boundaries)
        peer.resume_reading()
        peer.send_eof()
        if peer.eof:
            peer.close()

    # the end

    def _begin_closing(self, end: RelayEnd) -> None:
        """Note who was the first to end it, and bound the time until both legs are gone."""
        if self._end is None:
            self._end = end
            if self._phase is RelayPhase.SPLICED:
                self._phase = RelayPhase.CLOSING
                self._context.closings.start(self, self._force)

    def _close_both(self, code: int, reason: str, detail: str) -> None:
        legs = self._origin, self._client
        frames = [close_frame(code, reason, self._mask(leg)) for leg in legs]
        if self._phase is RelayPhase.OVER:
            return
        end = RelayEnd("proxy", code, False, detail)
        self._begin_closing(end)
        if self._phase is RelayPhase.DIALING:
            if self._dial is not None:
                self._dial.cancel()
            # Before Connect.Success a bare close leaves the SDK's promise pending for ever.
            self._refuse(messages.connect_error(messages.CONNECT_FAILED), code, reason)
            self._notify_turned_away(end)
            return
        for leg, frame in zip(legs, frames, strict=True):
            leg.peer.spliced = False
            leg.send_close(frame, self._context.boundaries)
        self._close_finished_legs()

    def _close_finished_legs(self) -> None:
        """Close each leg on which Close frames went both ways.

        One that cannot be understood any more gets a FIN.
        """
        for leg in (self._client, self._origin):
            if not leg.close_sent and not leg.peer.lost:
                continue
            if leg.reader.close_frame:
                leg.close()
            elif leg.reader.violation:
                leg.send_eof()

    def _force(self) -> None:
        self._client.abort()
        self._origin.abort()

    def _refuse(self, text: str, code: int, reason: str) -> None:
        """Turn the client leg, the only one there is, into a refusal."""
        request, held = self._request, self._held
        self._phase, self._held = RelayPhase.OVER, b""
        self._dispatcher.refused(text, code, reason)
        self._context.dials.stop(self)
        refusal = self._context.refuse(request)
        request.transport.set_protocol(refusal)
        self._client.resume_reading()
        self._detach()
        first = request.subprotocols[0] if request.subprotocols else None
        refusal.start(b"" if self._answered else switching(request, first), text, code, reason, held)
        self._notify_over(self)

    def _finish(self) -> None:
        self._phase = RelayPhase.OVER
        for deadlines in (self._context.dials, self._context.closings):
            deadlines.stop(self)
        self._detach()
        self._notify_over(self)
        if self._end is not None:
            self._dispatcher.ended(self._end)

    def _detach(self) -> None:
        if self._faults is not None:
            self._faults.stop()
        self._dial = None
        self._client.detach()
        self._origin.detach()

    def _notify_turned_away(self, end: RelayEnd) -> None:
        asyncio.get_running_loop().call_soon(self._dispatcher.turned_away, end)

    def _mask(self, leg: Leg) -> bytes | None:
        """Return a masking key for a frame to ``leg``.

        It need not be unpredictable, the payload is the relay's own.
        """
        return self._context.rng.randbytes(4) if leg is self._origin else None
