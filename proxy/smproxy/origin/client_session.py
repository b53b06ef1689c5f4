"""One attempt of one client: its signaling channel, its peer connection's life and its end.

The rule it keeps: each attempt ends with exactly one report, ``AttemptFailed`` before the transport was up or ``PeerEnded``
after, whatever happens; only an evicted attempt ends without one, because the manager has taken it over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from smproxy.log_fields import About, about
from smproxy.origin.client_transport import ClientTransport
from smproxy.origin.effects import (
    BecomeSubscriber,
    Effect,
    FreeName,
    LogClientLine,
    LogProblem,
    MakeOffer,
    Negotiation,
    Refuse,
    Send,
    SharedObjectRequest,
    TakeAnswer,
    TakeOffer,
    TakeViewerOffer,
    Via,
)
from smproxy.origin.liveness import Liveness, LivenessVerdict
from smproxy.origin.negotiation_times import NegotiationTimes
from smproxy.origin.play.subscriber import SubscriberRole
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.publisher import PublisherRole
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.pull.pulls import Pulls
from smproxy.origin.pull.wanted import asked_name
from smproxy.origin.role import ClientRole, OriginServices
from smproxy.origin.signaling_channel import ChannelWriter, SignalingChannel
from smproxy.signaling import node_channel
from smproxy.signaling.node_channel import Announce, Report, TrackStatistics, TransportTimes
from smproxy.signaling.payloads import ConnectError, Reason, Role
from smproxy.tasks import Timers

_log = logging.getLogger(__name__)

#: Seconds a refused client has to close its socket; the SDK leaves it open.
GRACE = 5.0
#: Seconds for a last message on the data channel to arrive before the peer is closed.
FLUSH = 0.25
#: Seconds for a kicked client to leave by itself.
KICK_FLUSH = 0.75
_STATISTICS_INTERVAL = 1.0
#: Characters of a message on the data channel that are reported.
MAX_REPORTED = 65_536


class ClientSession:
    """One client. Its stream may outlive its signaling channel.

    ``role`` is what it does: publish, until it asks to watch. ``load_role`` is the role that it counts as load of, from an
    offer on to the peer's end. ``changed`` is called after it took an offer, or ended, or is gone.
    """

    def __init__(
        self,
        services: OriginServices,
        channel: SignalingChannel,
        signaling: PublisherSignaling | SubscriberSignaling,
        changed: Callable[[ClientSession], None],
        *,
        attempt: str,
        recording: bool = False,
        announced: Announce | None = None,
    ) -> None:
        self.attempt = attempt
        self.scope = signaling.scope
        #: The client's parameters ask for a recording.
        self.recording = recording
        self.load_role: Role | None = None
        #: ICE and DTLS are up, or were.
        self.up = False
        self.ended = False
        self._services = services
        self._channel = ChannelWriter(channel, services.tasks)
        self._changed = changed
        self._announced = announced or Announce(attempt)
        self.role: ClientRole = self._role_for(signaling)
        #: It has joined a shared object, which makes it connected without media.
        self._joined = False
        self._peer_closing = self._silenced = self._warned = False
        self._liveness: Liveness | None = None
        self._next_statistics = 0.0
        self._negotiation = NegotiationTimes()
        self._timers = Timers()
        self._connecting: asyncio.TimerHandle | None = None

    def _role_for(self, signaling: PublisherSignaling | SubscriberSignaling) -> ClientRole:
        if isinstance(signaling, PublisherSignaling):
            signaling.on_displaced = self._displaced
            return PublisherRole(self._services, self, signaling)
        return SubscriberRole(self._services, self, signaling)

    @property
    def transport(self) -> ClientTransport | None:
        """The peer connection, once there is one."""
        return self.role.transport

    @property
    def about(self) -> About:
        """The session, for the log."""
        known, role = self._announced, self.role
        return about(known.session, known.id, known.customer_scope or None, role.signaling.stream)

    @property
    def gone(self) -> bool:
        """Whether attempt and channel have ended and the peer is being closed."""
        return self.ended and self._channel.closed and (self.transport is None or self._peer_closing)

    def report(self, report: Report) -> None:
        """Send a report to the manager, unless it has taken the attempt over."""
        if not self._silenced:
            self._services.report(report)

    # the signaling channel --------------------------------------------------------------------------------------------

    async def receive(self, frame: str | bytes) -> None:
        """Take a frame of the client."""
        if (pulls := self._services.pulls) is not None and not self._services.draining:
            await pulls.prepare(frame, self.scope, self)
        if (names := self._services.names) is not None and (asked := asked_name(frame)) is not None:
            await names.look(self.scope, asked)
        signaling = self.role.signaling
        signaling.draining = self._services.draining
        await self.perform(signaling.receive(frame, Via.SOCKET))

    def channel_closed(self, *, lost: bool) -> None:
        """End with the channel, unless the client has switched; ``lost``: without a close."""
        self._channel.closed = True
        # What has ended already closes its peer in its own time.
        if not self.ended and not self.role.signaling.switched:
            self.end(Reason.USER_ACTION, self.role.error_if_client_leaves, lost=lost)
            self._close_peer()
        self._changed(self)

    async def perform(self, effects: list[Effect]) -> None:
        """Perform what follows from the client's own message."""
        for effect in effects:
            match effect:
                case Send(text, Via.SOCKET):
                    await self._channel.send(text)
                case BecomeSubscriber(message, via):
                    signaling = SubscriberSignaling(
                        scope=self.scope, streams=self._services.streams, redactor=self.role.signaling.redactor
                    )
                    signaling.draining = self._services.draining
                    self.role = self._role_for(signaling)
                    await self.perform(signaling.take(message, via))
                case FreeName():
                    await self.role.freed()
                case TakeOffer() | MakeOffer() | TakeAnswer() | TakeViewerOffer():
                    await self._negotiate(effect)
                case _:
                    self._perform(effect)

    async def _negotiate(self, effect: Negotiation) -> None:
        """Take a step of the negotiation, and note when."""
        now = self._services.clock.monotonic
        if not self.up:
            self._negotiation.step_begins(now())
        await self.role.negotiate(effect)
        if not self.up:
            self._negotiation.step_ended(now())

    @property
    def _times(self) -> TransportTimes | None:
        """The times up to now, if somebody wants to know."""
        if not self._announced.traced:
            return None
        return self._negotiation.before(self._services.clock.monotonic(), self.transport)

    def perform_now(self, effects: list[Effect]) -> None:
        """Perform what follows from an event outside the channel's task."""
        for place, effect in enumerate(effects):
            if isinstance(effect, FreeName):
                self._services.tasks.spawn(self.perform(effects[place:]))
                break
            if isinstance(effect, Send) and effect.via is Via.SOCKET:
                if not self._channel.send_soon(effect.text):
                    self._dropped("socket")
            else:
                self._perform(effect)

    def _dropped(self, channel: str) -> None:
        if not self._warned:
            self._warned = True
            _log.info(
                "attempt %s: its client does not read: messages on the %s are dropped",
                self.attempt,
                channel,
                extra=self.about,
            )

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send() if not self.role.signaling.has_channel:
                pass
            case Send(text, _):
                if self.transport is None or not self.transport.send(text):
                    self._dropped("data channel")
                else:
                    self.report(node_channel.ChannelFrame(self.attempt, False, text[:MAX_REPORTED]))
            case Refuse(error):
                self._finish(Reason.USER_ACTION, error)
            case SharedObjectRequest():
                self._use_shared_object(effect)
            case LogClientLine(level, text):
                _log.info("attempt %s: client log %s: %s", self.attempt, level, text, extra=self.about)
            case LogProblem(text):
                _log.warning("attempt %s: %s", self.attempt, text, extra=self.about)
            case _:
                self.role.perform(effect)

    def _use_shared_object(self, request: SharedObjectRequest) -> None:
        if self.ended:
            return
        objects = self._services.shared_objects
        objects.take(request, (self._announced.customer_scope, self.scope), self)
        if not self._joined and objects.joined(self):
            self._joined = True
            if not self.up:
                self.report(node_channel.TransportUp(self.attempt))

    def send_shared_object(self, text: str) -> None:
        """Send a message of a shared object on the transport where the client listens."""
        self.perform_now([Send(text, self.role.signaling.current)])

    def count_as(self, role: Role) -> None:
        """Count as load of this role from now on; ``changed`` is called when negotiation goes on."""
        self.load_role = role

    def negotiating(self) -> None:
        """Give the client its time to connect, from now on."""
        self._connecting = self._timers.after(self._services.settings.connect_timeout, self._connect_timed_out)
        self._changed(self)
        self._services.captures.negotiating(self)
        self._services.faults.negotiating(self)

    def leave(self) -> None:
        """End because the client asked for it; the last messages to it must arrive."""
        self._finish(Reason.USER_ACTION, ConnectError.TIMEOUT, peer_after=FLUSH)

    def _connect_timed_out(self) -> None:
        missing = "" if self.transport is None else self.transport.ice.missing
        seconds = self._services.settings.connect_timeout
        self._connect_failed(ConnectError.TIMEOUT, f"{missing} within {seconds:g} s.")

    def _connect_failed(self, error: ConnectError, reason: str) -> None:
        if not self.up and not self.ended:
            _log.warning("attempt %s: no media connection: %s", self.attempt, reason, extra=self.about)
            self.perform_now(self.role.signaling.not_connected(reason))
            self._finish(Reason.TIMEOUT, error, channel_after=FLUSH)

    # events of the transport ------------------------------------------------------------------------------------------

    def transport_up(self) -> None:
        """Note that ICE and DTLS are up."""
        if self.ended or self.transport is None:
            return
        self.up = True
        self._forget_connecting()
        settings, now = self._services.settings, self._services.clock.monotonic()
        self._liveness = Liveness(settings.media_gap, settings.media_timeout, now)
        self._next_statistics = now + _STATISTICS_INTERVAL
        self.report(node_channel.TransportUp(self.attempt, self._times))
        self._services.faults.up(self)
        self.role.connected()

    def transport_failed(self, reason: str) -> None:
        """Give up: the handshake failed, and there is no use in waiting for the time-out."""
        self._connect_failed(ConnectError.DTLS_FAILED, f"the DTLS handshake failed, {reason}.")

    def channel_opened(self, label: str) -> None:
        """Note that the data channel is open."""
        self.perform_now(self.role.signaling.channel_opened(label))

    def channel_message(self, text: str | bytes) -> None:
        """Take a message on the data channel; nothing may be raised into aiortc."""
        try:
            if isinstance(text, str):
                self.report(node_channel.ChannelFrame(self.attempt, True, text[:MAX_REPORTED]))
            if (pulls := self._services.pulls) is not None and pulls.needs(text, self.scope):
                self._services.tasks.spawn(self._take_when_pulled(pulls, text))
            else:
                self.perform_now(self.role.signaling.receive(text, Via.CHANNEL))
        except Exception:
            _log.exception("attempt %s: the origin failed", self.attempt)
            self.fail()

    async def _take_when_pulled(self, pulls: Pulls, text: str | bytes) -> None:
        """Take a message on the data channel once its stream is here, or cannot be had."""
        await pulls.prepare(text, self.scope, self)
        try:
            self.perform_now(self.role.signaling.receive(text, Via.CHANNEL))
        except Exception:
            _log.exception("attempt %s: the origin failed", self.attempt, extra=self.about)
            self.fail()

    def peer_left(self) -> None:
        """End: the client closed its peer connection."""
        self._finish(Reason.USER_ACTION, ConnectError.TIMEOUT)

    async def delete(self) -> None:
        """Free the stream's name and end, because the client asked for it over HTTP."""
        await self.role.freed()
        self.peer_left()

    # the watchdog -----------------------------------------------------------------------------------------------------

    def discount_stall(self, seconds: float) -> None:
        """Do not count a stall of the loop as silence."""
        if self._liveness is not None:
            self._liveness.discount_stall(seconds)

    def sweep(self, now: float) -> None:
        """Check that the client is still there, and do what is due."""
        transport = self.transport
        if transport is None or self._liveness is None or self.ended:
            return
        match self._liveness.look(transport.datagrams, now):
            case LivenessVerdict.PROBE:
                transport.probe()
            case LivenessVerdict.GAP:
                transport.probe()
                self.report(node_channel.MediaGap(self.attempt))
            case LivenessVerdict.BACK:
                self.report(node_channel.MediaBack(self.attempt))
            case LivenessVerdict.LOST:
                self._finish(Reason.TIMEOUT, ConnectError.TIMEOUT, channel_after=FLUSH, lost=True)
                return
            case LivenessVerdict.FINE:
                pass
        self.role.sweep(now)
        if now >= self._next_statistics:
            self._next_statistics = max(self._next_statistics + _STATISTICS_INTERVAL, now)
            for report in self.statistics():
                self.report(report)

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all tracks."""
        return [] if self.ended else self.role.statistics()

    # the end ----------------------------------------------------------------------------------------------------------

    def _displaced(self) -> None:
        self.kick(Reason.REPLACED, ConnectError.NAME_IN_USE)

    def kick(self, reason: Reason, error: ConnectError = ConnectError.REJECTED) -> None:
        """End the stream so that its client notices."""
        if self.ended:
            return
        self.perform_now(self.role.signaling.kicked())
        reached = self.role.signaling.switched and self.role.signaling.has_channel
        self._finish(reason, error, peer_after=KICK_FLUSH if reached else 0.0, channel_after=0.0)

    def evict(self) -> None:
        """End the stream without a message to the client or a report."""
        if self.ended:
            return
        self._finish(Reason.TIMEOUT, ConnectError.TIMEOUT, channel_after=0.0, silent=True)

    def fail(self) -> None:
        """End because of an error of ours, which was logged: the client must not be left waiting."""
        self._finish(Reason.ORIGIN_LOST, ConnectError.ORIGIN_ERROR, channel_after=0.0)

    def break_connection(self, reason: Reason, error: ConnectError) -> None:
        """End as when the peer connection broke; the client has its socket for a while."""
        self._finish(reason, error)

    async def shut(self, reason: Reason) -> None:
        """End because the node stops; returns when the peer is closed."""
        if not self.ended:
            self.perform_now(self.role.signaling.kicked())
            self.end(reason, ConnectError.ORIGIN_ERROR)
            if self.role.signaling.switched and self.transport is not None:
                await self.transport.flush(FLUSH)
        self.cancel_timers()
        if self.transport is not None:
            self._peer_closing = True
            await self.transport.close()

    def _finish(
        self,
        reason: Reason,
        error: ConnectError,
        *,
        peer_after: float = 0.0,
        channel_after: float | None = None,
        lost: bool = False,
        silent: bool = False,
    ) -> None:
        """End, and close the peer and then the channel after so many seconds; None is GRACE."""
        self.end(reason, error, lost=lost, silent=silent)
        if peer_after:
            self._timers.after(peer_after, self._close_peer)
        else:
            self._close_peer()
        if not self._channel.closed:
            self._timers.after(GRACE if channel_after is None else channel_after, self._channel.close_soon)

    def end(self, reason: Reason, error: ConnectError, *, lost: bool = False, silent: bool = False) -> None:
        """Report the end, once, and leave the stream."""
        if self.ended:
            return
        last_reports = self.role.final_reports() if self.up else []
        self.ended = True
        self._silenced = silent
        self.load_role = None
        self._forget_connecting()
        self._services.faults.ended(self.attempt)
        self.role.signaling.end()
        self._services.shared_objects.leave_all(self)
        for report in last_reports:
            self.report(report)
        try:
            self.role.release()
        finally:
            if self.up or self._joined:
                self.report(node_channel.PeerEnded(self.attempt, reason, lost))
            else:
                self.report(node_channel.AttemptFailed(self.attempt, error, self._times))
        self._changed(self)

    def _close_peer(self) -> None:
        if self.transport is not None and not self._peer_closing:
            self._peer_closing = True
            self._services.tasks.spawn(self.transport.close())
        self._changed(self)

    def cancel_timers(self) -> None:
        """Cancel all timers."""
        self._timers.cancel()

    def let_go(self) -> None:
        """Drop all that refers back to this, which is gone."""
        self.cancel_timers()
        self.role.let_go()

    def _forget_connecting(self) -> None:
        """Cancel the time-out of the handshake, which would keep an ended session in memory."""
        if self._connecting is not None:
            self._timers.forget(self._connecting)
            self._connecting = None
