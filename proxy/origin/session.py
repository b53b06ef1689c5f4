"""One attempt of one client: its socket, its conversation, its peer, and what is reported of it.

The rule it keeps: each attempt ends with exactly one report, ``AttemptFailed`` before the transport was up or ``PeerEnded``
after, whatever happens; only an evicted attempt ends without a word, because the manager has taken it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from proxy.origin.adapter import Identity
from proxy.origin.answer import plan_answer
from proxy.origin.liveness import Liveness, Verdict
from proxy.origin.offer import InvalidOffer, read_offer
from proxy.origin.peer import Peer
from proxy.origin.settings import OriginSettings
from proxy.origin.signaling import (
    Conversation,
    Effect,
    KeyFrameInterval,
    Logged,
    Refused,
    Send,
    Started,
    TakeOffer,
    Unpublished,
    Via,
)
from proxy.origin.streams import Streams
from proxy.origin.tasks import Tasks
from proxy.origin.track import Track
from proxy.signaling import node
from proxy.signaling.clock import Clock
from proxy.signaling.node import ReportTo, TrackStatistics
from proxy.signaling.payloads import ConnectError, Reason

_log = logging.getLogger(__name__)

#: Seconds a refused client has to close its socket; the SDK leaves it open.
GRACE = 5.0
#: Seconds for a last message on the data channel to arrive before the peer is closed.
FLUSH = 0.25
#: Seconds for a kicked client to leave by itself.
KICK_FLUSH = 0.75
_STATISTICS_INTERVAL = 1.0


class House(Protocol):
    """What a session needs of its origin."""

    settings: OriginSettings
    clock: Clock
    rng: random.Random
    report: ReportTo
    streams: Streams
    tasks: Tasks
    identity: Identity
    passthrough: bool
    draining: bool

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that media is taken on."""

    def changed(self, session: Session) -> None:
        """Note that a session took an offer, or ended, or is gone."""


class Session:
    """One client. ``run`` is the life of its socket; the stream may outlive that."""

    def __init__(self, house: House, socket: ServerConnection, attempt: str, room: str, client_id: str) -> None:
        self.attempt = attempt
        #: An offer was taken and its peer has not ended: this is load.
        self.publishing = False
        self._house = house
        self._socket = socket
        self._talk = Conversation(room=room, client_id=client_id, streams=house.streams, owner=self)
        self._room = room
        self._peer: Peer | None = None
        self._up = self._ended = self._socket_closed = self._peer_closing = False
        self._liveness: Liveness | None = None
        self._next_statistics = 0.0
        self._timers: set[asyncio.TimerHandle] = set()
        self._connecting: asyncio.TimerHandle | None = None

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left: the attempt ended, the socket is closed and the peer is being closed."""
        return self._ended and self._socket_closed and (self._peer is None or self._peer_closing)

    # the socket -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Talk with the client until its socket closes."""
        try:
            await self._perform(self._talk.opened())
            async for frame in self._socket:
                self._talk.draining = self._house.draining
                await self._perform(self._talk.receive(frame, Via.SOCKET))
        except ConnectionClosed:
            pass
        except Exception:
            _log.exception("attempt %s: the origin failed", self.attempt)
            self.broke()
        finally:
            self._socket_closed = True
            # What has ended already closes its peer in its own time; what has switched lives on.
            if not self._ended and not self._talk.switched:
                lost = self._socket.close_code == 1006
                self._end(Reason.USER_ACTION, ConnectError.TIMEOUT, lost=lost)
                self._close_peer()
            self._house.changed(self)

    async def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(text, Via.SOCKET):
                    await self._socket.send(text)
                case TakeOffer():
                    await self._take(effect)
                case _:
                    self._do(effect)

    def _perform_now(self, effects: list[Effect]) -> None:
        """Do what follows from an event outside the socket's task; there are only a few such messages in a session."""
        for effect in effects:
            if isinstance(effect, Send) and effect.via is Via.SOCKET:
                if not self._socket_closed:
                    self._house.tasks.spawn(self._say(effect.text))
            else:
                self._do(effect)

    async def _say(self, text: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(text)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(text, _):
                if self._peer is not None and not self._peer.send(text):
                    _log.info("attempt %s: a message for the data channel was dropped", self.attempt)
            case Started(stream, mode):
                self._house.report(node.StreamStarted(self.attempt, stream, self._room, mode))
            case KeyFrameInterval(seconds):
                if self._peer is not None:
                    self._peer.key_frame_interval = seconds
            case Refused(error):
                self._end(Reason.USER_ACTION, error)
                self._close_peer()
                self._close_socket_after(GRACE)
            case Unpublished():
                self._end(Reason.USER_ACTION, ConnectError.TIMEOUT)
                self._after(FLUSH, self._close_peer)
                self._close_socket_after(GRACE)
            case Logged(level, text):
                _log.info("attempt %s: client log %s: %s", self.attempt, level, text)
            case TakeOffer():
                pass  # only ever from the socket

    # the offer --------------------------------------------------------------------------------------------------------

    async def _take(self, wanted: TakeOffer) -> None:
        house = self._house
        try:
            offer = read_offer(wanted.sdp)
            plan = plan_answer(offer, video_encoding=wanted.video_encoding, audio_encoding=wanted.audio_encoding)
            peer = Peer(
                plan,
                self,
                identity=house.identity,
                passthrough=house.passthrough,
                monotonic=house.clock.monotonic,
                rng=house.rng,
                tasks=house.tasks,
            )
        except InvalidOffer as exc:
            await self._perform(self._talk.refused(ConnectError.INVALID_SDP, str(exc)))
            return
        self._peer = peer
        self.publishing = True
        try:
            answer = await peer.open(house.addresses())
        except OSError as exc:
            _log.warning("attempt %s: no UDP socket: %s", self.attempt, exc)
            await self._perform(self._talk.refused(ConnectError.ORIGIN_ERROR, "The origin has no UDP socket left."))
            return
        if self._ended:
            return
        self._connecting = self._after(house.settings.connect_timeout, self._never_up)
        house.changed(self)
        await self._perform(self._talk.answered(answer))

    def _never_up(self) -> None:
        if not self._up and not self._ended:
            self._perform_now(self._talk.timed_out())
            self._end(Reason.TIMEOUT, ConnectError.TIMEOUT)
            self._close_peer()
            self._close_socket_after(FLUSH)

    # what the peer tells ----------------------------------------------------------------------------------------------

    def transport_up(self) -> None:
        """ICE and DTLS are up."""
        if self._ended or self._peer is None:
            return
        self._up = True
        self._forget_connecting()
        settings, now = self._house.settings, self._house.clock.monotonic()
        self._liveness = Liveness(settings.media_gap, settings.media_timeout, now)
        self._next_statistics = now + _STATISTICS_INTERVAL
        self._house.report(node.TransportUp(self.attempt))
        if not self._peer.tracks:
            self._perform_now(self._talk.media_came())

    def transport_failed(self) -> None:
        """The handshake failed: no use to wait for the time-out."""
        self._never_up()

    def track_started(self, track: Track) -> None:
        """The first packet of a track came."""
        if self._ended:
            return
        self._house.report(node.TrackStarted(self.attempt, track.name, track.kind))
        self._perform_now(self._talk.media_came())

    def channel_opened(self, label: str) -> None:
        """The data channel is open."""
        self._perform_now(self._talk.channel_opened(label))

    def channel_message(self, text: str | bytes) -> None:
        """A message came on the data channel; nothing may be raised into aiortc."""
        try:
            self._perform_now(self._talk.receive(text, Via.CHANNEL))
        except Exception:
            _log.exception("attempt %s: the origin failed", self.attempt)
            self.broke()

    def peer_left(self) -> None:
        """The client closed its peer connection."""
        self._end(Reason.USER_ACTION, ConnectError.TIMEOUT)
        self._close_peer()
        self._close_socket_after(GRACE)

    # the watchdog -----------------------------------------------------------------------------------------------------

    def forgive(self, seconds: float) -> None:
        """Do not count a stall of the loop as silence."""
        if self._liveness is not None:
            self._liveness.forgive(seconds)

    def sweep(self, now: float) -> None:
        """Look whether the client is still there, and do what is due."""
        peer = self._peer
        if peer is None or self._liveness is None or self._ended:
            return
        match self._liveness.look(peer.datagrams, now):
            case Verdict.PROBE:
                peer.probe()
            case Verdict.GAP:
                peer.probe()
                self._house.report(node.MediaGap(self.attempt))
            case Verdict.BACK:
                self._house.report(node.MediaBack(self.attempt))
            case Verdict.LOST:
                self._end(Reason.TIMEOUT, ConnectError.TIMEOUT, lost=True)
                self._close_peer()
                self._close_socket_after(FLUSH)
                return
            case Verdict.FINE:
                pass
        peer.sweep(now)
        if now >= self._next_statistics:
            self._next_statistics = max(self._next_statistics + _STATISTICS_INTERVAL, now)
            for report in self.statistics():
                self._house.report(report)

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all started tracks."""
        if self._peer is None or self._ended:
            return []
        return [track.statistics(self.attempt) for track in self._peer.tracks if track.started]

    # the end ----------------------------------------------------------------------------------------------------------

    def kick(self, reason: Reason) -> None:
        """End the stream so that its client notices."""
        if self._ended:
            return
        self._perform_now(self._talk.kicked())
        self._end(reason, ConnectError.REJECTED)
        self._after(KICK_FLUSH if self._talk.switched else 0.0, self._close_peer)
        self._close_socket_after(0.0)

    def evict(self) -> None:
        """End the stream without a word to the client or the manager. What has ended is left to its own farewell."""
        if self._ended:
            return
        self._end(Reason.TIMEOUT, ConnectError.TIMEOUT, silent=True)
        self._close_peer()
        self._close_socket_after(0.0)

    def broke(self) -> None:
        """End because of a mistake of ours, which was logged: the client must not be left waiting."""
        self._end(Reason.ORIGIN_LOST, ConnectError.ORIGIN_ERROR)
        self._close_peer()
        self._close_socket_after(0.0)

    async def shut(self, reason: Reason) -> None:
        """End because the node stops; returns when the peer is closed."""
        if not self._ended:
            self._perform_now(self._talk.kicked())
            self._end(reason, ConnectError.ORIGIN_ERROR)
            if self._talk.switched:
                await asyncio.sleep(0.01)  # two turns of the loop, for the data channel to be flushed
        self.cancel_timers()
        if self._peer is not None:
            self._peer_closing = True
            await self._peer.close()

    def _end(self, reason: Reason, error: ConnectError, *, lost: bool = False, silent: bool = False) -> None:
        """Report the end, once, and free the name."""
        if self._ended:
            return
        final = self.statistics()
        self._ended = True
        self.publishing = False
        self._forget_connecting()
        self._talk.over()
        if self._talk.stream is not None:
            self._house.streams.free(self._room, self._talk.stream, self)
        if not silent:
            if self._up:
                for report in final:
                    self._house.report(report)
                    self._house.report(node.TrackEnded(self.attempt, report.track))
                self._house.report(node.PeerEnded(self.attempt, reason, lost))
            else:
                self._house.report(node.AttemptFailed(self.attempt, error))
        self._house.changed(self)

    def _close_peer(self) -> None:
        if self._peer is not None and not self._peer_closing:
            self._peer_closing = True
            self._house.tasks.spawn(self._peer.close())
        self._house.changed(self)

    def cancel_timers(self) -> None:
        """Let nothing more happen by itself."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _close_socket_after(self, delay: float) -> None:
        if not self._socket_closed:
            self._after(delay, lambda: self._house.tasks.spawn(self._socket.close()))

    def _forget_connecting(self) -> None:
        """Cancel the time-out of the handshake, which would keep an ended session in memory until it is due."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._timers.discard(self._connecting)
            self._connecting = None

    def _after(self, delay: float, work: Callable[[], object]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()

        def due() -> None:
            self._timers.discard(timer)
            work()

        timer = loop.call_later(delay, due)
        self._timers.add(timer)
        return timer
