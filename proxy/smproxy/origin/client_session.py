"""One attempt of one client: its socket, its peer's life and its end; what its role does is in its part.

The rule it keeps: each attempt ends with exactly one report, ``AttemptFailed`` before the transport was up or ``PeerEnded``
after, whatever happens; only an evicted attempt ends without a word, because the manager has taken it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from smproxy.origin.effects import (
    Effect,
    Logged,
    MakeOffer,
    Refused,
    Send,
    Subscribes,
    TakeAnswer,
    TakeOffer,
    Via,
)
from smproxy.origin.house import House
from smproxy.origin.liveness import Liveness, Verdict
from smproxy.origin.part import ClientPeer, Part
from smproxy.origin.play.subscriber import Subscription
from smproxy.origin.publisher import Publication
from smproxy.origin.publisher_signaling import Conversation
from smproxy.origin.timers import Timers
from smproxy.signaling import node
from smproxy.signaling.node import Report, TrackStatistics
from smproxy.signaling.payloads import ConnectError, Reason, Role

_log = logging.getLogger(__name__)

#: Seconds a refused client has to close its socket; the SDK leaves it open.
GRACE = 5.0
#: Seconds for a last message on the data channel to arrive before the peer is closed.
FLUSH = 0.25
#: Seconds for a kicked client to leave by itself.
KICK_FLUSH = 0.75
_STATISTICS_INTERVAL = 1.0
#: Messages that wait to be sent on a socket whose client does not read; more are dropped.
MAX_UNSENT = 256
#: Characters of a message on the data channel that are reported.
MAX_REPORTED = 65_536


class Session:
    """One client. ``run`` is the life of its socket; the stream may outlive that.

    ``part`` is the client's role: a publication, until it asks to watch. ``carries`` names the role that counts as load, from
    an offer on to the peer's end.
    """

    def __init__(
        self,
        house: House,
        socket: ServerConnection,
        attempt: str,
        room: str,
        client_id: str,
        *,
        recording: bool = False,
    ) -> None:
        self.attempt = attempt
        self.room = room
        self.house = house
        #: The client's parameters ask for a recording.
        self.recording = recording
        self.carries: Role | None = None
        #: ICE and DTLS are up, or were.
        self.up = False
        self.ended = False
        self._socket = socket
        talk = Conversation(room=room, client_id=client_id, streams=house.streams, owner=self)
        self.part: Part = Publication(self, talk)
        self._greeting = talk.opened()
        self._socket_closed = self._peer_closing = self._silenced = self._warned = False
        self._unsent = 0
        self._liveness: Liveness | None = None
        self._next_statistics = 0.0
        self._timers = Timers()
        self._connecting: asyncio.TimerHandle | None = None

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left: the attempt ended, the socket is closed and the peer is being closed."""
        return self.ended and self._socket_closed and (self.part.peer is None or self._peer_closing)

    def report(self, report: Report) -> None:
        """Tell the manager, unless it has taken the attempt over."""
        if not self._silenced:
            self.house.report(report)

    # the socket -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Talk with the client until its socket closes."""
        try:
            await self.perform(self._greeting)
            async for frame in self._socket:
                talk = self.part.talk
                talk.draining = self.house.draining
                await self.perform(talk.receive(frame, Via.SOCKET))
        except ConnectionClosed:
            pass
        except Exception:
            _log.exception("attempt %s: the origin failed", self.attempt)
            self.broke()
        finally:
            self._socket_closed = True
            # What has ended already closes its peer in its own time; what has switched lives on.
            if not self.ended and not self.part.talk.switched:
                lost = self._socket.close_code == 1006
                self.end(Reason.USER_ACTION, self.part.unfinished, lost=lost)
                self._close_peer()
            self.house.changed(self)

    async def perform(self, effects: list[Effect]) -> None:
        """Do what the client's own message asks for."""
        for effect in effects:
            match effect:
                case Send(text, Via.SOCKET):
                    await self._socket.send(text)
                case Subscribes(message, via):
                    subscription = Subscription(self)
                    subscription.talk.draining = self.house.draining
                    self.part = subscription
                    await self.perform(subscription.talk.take(message, via))
                case TakeOffer() | MakeOffer() | TakeAnswer():
                    await self.part.negotiate(effect)
                case _:
                    self._do(effect)

    def perform_now(self, effects: list[Effect]) -> None:
        """Do what follows from an event outside the socket's task."""
        for effect in effects:
            if isinstance(effect, Send) and effect.via is Via.SOCKET:
                if self._socket_closed:
                    continue
                if self._unsent >= MAX_UNSENT:
                    self._dropped("socket")
                else:
                    self._unsent += 1
                    self.house.tasks.spawn(self._say(effect.text))
            else:
                self._do(effect)

    def _dropped(self, transport: str) -> None:
        if not self._warned:
            self._warned = True
            _log.info("attempt %s: its client does not read: messages on the %s are dropped", self.attempt, transport)

    async def _say(self, text: str) -> None:
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(text)
        finally:
            self._unsent -= 1

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(text, _):
                if self.part.peer is None or not self.part.peer.send(text):
                    self._dropped("data channel")
                else:
                    self.report(node.ChannelFrame(self.attempt, False, text[:MAX_REPORTED]))
            case Refused(error):
                self.end(Reason.USER_ACTION, error)
                self._close_peer()
                self._close_socket_after(GRACE)
            case Logged(level, text):
                _log.info("attempt %s: client log %s: %s", self.attempt, level, text)
            case _:
                self.part.do(effect)

    def negotiating(self, role: Role) -> None:
        """Count as load from now on, and give the client so much time to connect."""
        self.carries = role
        self._connecting = self._timers.after(self.house.settings.connect_timeout, self._never_up)
        self.house.changed(self)
        self.house.impairments.negotiating(self)

    def leave(self) -> None:
        """End because the client said so: what it is still told must arrive."""
        self.end(Reason.USER_ACTION, ConnectError.TIMEOUT)
        self._timers.after(FLUSH, self._close_peer)
        self._close_socket_after(GRACE)

    def _never_up(self) -> None:
        if not self.up and not self.ended:
            self.perform_now(self.part.talk.timed_out())
            self.end(Reason.TIMEOUT, ConnectError.TIMEOUT)
            self._close_peer()
            self._close_socket_after(FLUSH)

    # what the peer tells ----------------------------------------------------------------------------------------------

    def transport_up(self) -> None:
        """ICE and DTLS are up."""
        if self.ended or self.part.peer is None:
            return
        self.up = True
        self._forget_connecting()
        settings, now = self.house.settings, self.house.clock.monotonic()
        self._liveness = Liveness(settings.media_gap, settings.media_timeout, now)
        self._next_statistics = now + _STATISTICS_INTERVAL
        self.report(node.TransportUp(self.attempt))
        self.house.impairments.up(self)
        self.part.connected()

    def transport_failed(self) -> None:
        """The handshake failed: no use to wait for the time-out."""
        self._never_up()

    def channel_opened(self, label: str) -> None:
        """The data channel is open."""
        self.perform_now(self.part.talk.channel_opened(label))

    def channel_message(self, text: str | bytes) -> None:
        """A message came on the data channel; nothing may be raised into aiortc."""
        try:
            if isinstance(text, str):
                self.report(node.ChannelFrame(self.attempt, True, text[:MAX_REPORTED]))
            self.perform_now(self.part.talk.receive(text, Via.CHANNEL))
        except Exception:
            _log.exception("attempt %s: the origin failed", self.attempt)
            self.broke()

    def peer_left(self) -> None:
        """The client closed its peer connection."""
        self.end(Reason.USER_ACTION, ConnectError.TIMEOUT)
        self._close_peer()
        self._close_socket_after(GRACE)

    # the watchdog -----------------------------------------------------------------------------------------------------

    def forgive(self, seconds: float) -> None:
        """Do not count a stall of the loop as silence."""
        if self._liveness is not None:
            self._liveness.forgive(seconds)

    def sweep(self, now: float) -> None:
        """Look whether the client is still there, and do what is due."""
        peer = self.part.peer
        if peer is None or self._liveness is None or self.ended:
            return
        match self._liveness.look(peer.datagrams, now):
            case Verdict.PROBE:
                peer.probe()
            case Verdict.GAP:
                peer.probe()
                self.report(node.MediaGap(self.attempt))
            case Verdict.BACK:
                self.report(node.MediaBack(self.attempt))
            case Verdict.LOST:
                self.end(Reason.TIMEOUT, ConnectError.TIMEOUT, lost=True)
                self._close_peer()
                self._close_socket_after(FLUSH)
                return
            case Verdict.FINE:
                pass
        self.part.sweep(now)
        if now >= self._next_statistics:
            self._next_statistics = max(self._next_statistics + _STATISTICS_INTERVAL, now)
            for report in self.statistics():
                self.report(report)

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all tracks."""
        return [] if self.ended else self.part.statistics()

    # the end ----------------------------------------------------------------------------------------------------------

    def kick(self, reason: Reason) -> None:
        """End the stream so that its client notices."""
        if self.ended:
            return
        self.perform_now(self.part.talk.kicked())
        self.end(reason, ConnectError.REJECTED)
        self._timers.after(KICK_FLUSH if self.part.talk.switched else 0.0, self._close_peer)
        self._close_socket_after(0.0)

    def evict(self) -> None:
        """End the stream without a word to the client or the manager. What has ended is left to its own farewell."""
        if self.ended:
            return
        self.end(Reason.TIMEOUT, ConnectError.TIMEOUT, silent=True)
        self._close_peer()
        self._close_socket_after(0.0)

    def broke(self) -> None:
        """End because of a mistake of ours, which was logged: the client must not be left waiting."""
        self.end(Reason.ORIGIN_LOST, ConnectError.ORIGIN_ERROR)
        self._close_peer()
        self._close_socket_after(0.0)

    def fall(self, reason: Reason, error: ConnectError) -> None:
        """End as when the peer connection broke; the client has its socket for a while."""
        self.end(reason, error)
        self._close_peer()
        self._close_socket_after(GRACE)

    @property
    def impaired_peer(self) -> ClientPeer | None:
        """The peer connection, for the faults."""
        return self.part.peer

    async def shut(self, reason: Reason) -> None:
        """End because the node stops; returns when the peer is closed."""
        if not self.ended:
            self.perform_now(self.part.talk.kicked())
            self.end(reason, ConnectError.ORIGIN_ERROR)
            if self.part.talk.switched and self.part.peer is not None:
                await self.part.peer.flush(FLUSH)
        self.cancel_timers()
        if self.part.peer is not None:
            self._peer_closing = True
            await self.part.peer.close()

    def end(self, reason: Reason, error: ConnectError, *, lost: bool = False, silent: bool = False) -> None:
        """Report the end, once, and leave the stream. Whoever else is concerned hears of it before this returns."""
        if self.ended:
            return
        farewell = self.part.farewell() if self.up else []
        self.ended = True
        self._silenced = silent
        self.carries = None
        self._forget_connecting()
        self.house.impairments.ended(self.attempt)
        self.part.talk.over()
        for report in farewell:
            self.report(report)
        try:
            self.part.release()
        finally:
            if self.up:
                self.report(node.PeerEnded(self.attempt, reason, lost))
            else:
                self.report(node.AttemptFailed(self.attempt, error))
        self.house.changed(self)

    def _close_peer(self) -> None:
        if self.part.peer is not None and not self._peer_closing:
            self._peer_closing = True
            self.house.tasks.spawn(self.part.peer.close())
        self.house.changed(self)

    def cancel_timers(self) -> None:
        """Let nothing more happen by itself."""
        self._timers.cancel()

    def _close_socket_after(self, delay: float) -> None:
        if not self._socket_closed:
            self._timers.after(delay, lambda: self.house.tasks.spawn(self._socket.close()))

    def _forget_connecting(self) -> None:
        """Cancel the time-out of the handshake, which would keep an ended session in memory until it is due."""
        if self._connecting is not None:
            self._timers.forget(self._connecting)
            self._connecting = None
