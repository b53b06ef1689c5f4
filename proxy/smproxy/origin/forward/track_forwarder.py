"""Forward one published track to its subscribers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from smproxy.origin.forward.gop_cache import GopCache
from smproxy.origin.forward.target import CatchUp, ForwardTarget
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.rtp_packet import FrameStart, RtpPacket
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Packets that can be sent again when a subscriber asks for them. A later one from the publisher is of no use either.
HISTORY = 512
#: Packets that a newcomer gets at once: about the first key frame, and no more than a socket's buffer takes.
BURST = 48
#: Packets from the cache for each new packet of the track, until a newcomer has caught up.
CATCH_UP = 8
#: Packets that a subscriber whose socket is full may lag behind before it must wait for the next key frame.
MAX_LAG = 64
#: Packets that live senders wait for until the turn is over; with more, it is not waited for.
MAX_FRESH = 32
#: Calls something once the turn of the event loop is over; the default does at once.
Soon = Callable[[Callable[[], None]], object]
#: Missing packets just before a key frame for which its first receivers keep a place.
_MAX_HEAD = 16


def _nothing() -> None:
    pass


def at_once(call: Callable[[], None]) -> None:
    """Call it."""
    call()


class TrackForwarder:
    """Fans a track out.

    Keeps the last packets to send them again, and video from a key frame on.

    A sender is at any time one of: *live* and gets each packet as it comes; *catching up* in the cache; *waiting* for a key
    frame (of audio: for the next packet); or *paused*. One that raises is let go of, so that it cannot hurt the others.

    A frame's packets mostly come in one turn of the event loop, so live senders get them together at its end, which ``soon``
    tells: many datagrams with one system call are cheaper. Nothing else waits, and what is live changes only when none do.
    """

    def __init__(self, track: Track, soon: Soon = at_once) -> None:
        self.track = track
        self.clock_rate = track.reception.clock_rate
        self.timeline = track.unwrapper
        self._video = track.kind is Kind.VIDEO
        self._highest = -1
        self._cache = GopCache()
        self._history: list[RtpPacket | None] = [None] * HISTORY
        self._senders: dict[ForwardTarget, Callable[[], None]] = {}
        self._live: tuple[ForwardTarget, ...] = ()
        self._soon = soon
        #: What live senders get at the end of the turn: the last packets of the cache, or of audio.
        self._fresh: list[RtpPacket] = []
        self._catching: dict[ForwardTarget, CatchUp] = {}
        #: The frame at which one that was too slow was dropped; ``None`` for those that have missed nothing.
        self._waiting: dict[ForwardTarget, int | None] = {}
        self._frame_timestamp = -1
        self._frame_base = 0
        self._undecided = False
        self._frames = 0
        self._detach = track.attach(self._packet)

    # those who watch --------------------------------------------------------------------------------------------------

    def add(self, sender: ForwardTarget, gone: Callable[[], None]) -> None:
        """Let a sender have the track, unless it is paused.

        ``gone`` is called when the forwarder closes or gives it up.
        """
        self._senders[sender] = gone
        if not sender.paused:
            self.play(sender)

    def remove(self, sender: ForwardTarget) -> None:
        """Drop a sender; one that is not there is no error."""
        self._senders.pop(sender, None)
        self.hold(sender)

    def play(self, sender: ForwardTarget) -> None:
        """Begin, or go on after a pause.

        In the cache where the sender stopped, else at its key frame, else at the next one.
        """
        self.hold(sender)
        if not len(self._cache) or self.track.muted:
            self._waiting[sender] = None
            if self._video:
                self.track.want_key_frame()
            return
        place = self._cache.find(sender.resume_at)
        if place < 0:
            self._begin(sender)
        else:
            self._catching[sender] = CatchUp(place, len(self._cache) + MAX_LAG)
        self._advance(sender, BURST)

    def hold(self, sender: ForwardTarget) -> None:
        """Give a sender nothing until it plays again."""
        self._flush()
        self._end_waiting(sender, self._frames)
        self._catching.pop(sender, None)
        if sender in self._live:
            self._live = tuple(other for other in self._live if other is not sender)

    def catches_up(self, sender: ForwardTarget) -> bool:
        """Return whether a sender still gets packets from the cache."""
        return sender in self._catching

    def advance(self, sender: ForwardTarget) -> None:
        """Let a sender that catches up go on although no packet came; for a sweep."""
        self._advance(sender, BURST)

    def recall(self, number: int) -> RtpPacket | None:
        """Return a packet to be sent again, ``None`` when it is too old or never came."""
        packet = self._history[number % HISTORY]
        return packet if packet is not None and packet.number == number else None

    def report(self) -> tuple[SenderReport, float] | None:
        """Return the publisher's last sender report on this source and when it came."""
        report = self.track.last_report
        return None if report is None else (report, self.track.last_report_at)

    def close(self) -> None:
        """Detach from the track and from all senders."""
        self._detach()
        self._detach = _nothing  # it refers back to this
        self._flush()
        for sender, gone in list(self._senders.items()):
            self.remove(sender)
            gone()
        self._cache.clear()
        self._history = [None] * HISTORY

    # the track --------------------------------------------------------------------------------------------------------

    def _packet(self, packet: RtpPacket) -> None:
        """Take a packet of the track: the hot path."""
        number = packet.number
        highest = self._highest
        if number <= highest:
            if number > highest - HISTORY and self.recall(number) is None:
                self._history[number % HISTORY] = packet
                self._late(packet)
            return
        self._highest = number
        if packet.restart:
            self._flush()
            self._restarted()
        self._history[number % HISTORY] = packet
        if packet.timestamp != self._frame_timestamp:
            self._new_frame(packet, highest)
        if self._video:
            if not self._cache.append(packet):
                self._overflown()
            if self._undecided and packet.start is not None:
                self._decide(packet.start)
        if self._live:
            fresh = self._fresh
            fresh.append(packet)
            if len(fresh) == 1:
                self._soon(self._flush)
            elif len(fresh) >= MAX_FRESH:
                self._flush()
        if self._catching:
            for sender in list(self._catching):
                self._advance(sender, CATCH_UP)
        elif self._waiting and not self._video:
            self._start_audio(packet)

    def _flush(self) -> None:
        """Give the live senders what has come."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        for sender in self._live:
            try:
                if sender.forward(fresh):
                    continue
            except Exception:
                self._give_up(sender)
            else:
                self._fall_behind(sender, fresh)

    def _restarted(self) -> None:
        """Begin anew: what comes does not continue what came."""
        self._history = [None] * HISTORY
        self._frame_timestamp = -1
        if self._video:
            self._lose_cache()
            self._waiting.update(dict.fromkeys(self._live))
            self._live = ()
            if self._waiting:
                self.track.want_key_frame()

    def _new_frame(self, packet: RtpPacket, highest: int) -> None:
        self._frame_timestamp = packet.timestamp
        if self._video:
            self._cache.new_frame()
            self._undecided = True
            self._frames += 1
            head = packet.number - highest - 1
            self._frame_base = packet.number - head if head <= _MAX_HEAD and not packet.restart else packet.number

    def _decide(self, start: FrameStart) -> None:
        """Note what the current frame is.

        If it is a key frame all who are not live go on with it.
        """
        self._undecided = False
        if not start.key:
            return
        self._flush()
        for sender, progress in self._catching.items():
            sender.dropped += self._cache.frames(progress.place, until_current=True)
        self._cache.key_frame(self._frame_base)
        for sender in self._live:
            sender.key_frames += 1
        for sender in [*self._catching, *self._waiting]:
            self._begin(sender)

    def _late(self, packet: RtpPacket) -> None:
        """Take a packet that was overtaken, or sent again by the publisher.

        Everybody gets it in its place.
        """
        self._flush()
        place = -1
        if self._video:
            place = self._cache.insert(packet)
            if self._undecided and packet.start is not None and packet.timestamp == self._frame_timestamp:
                self._decide(packet.start)
        for sender in self._live:
            self._send_late(sender, packet)
        for sender, progress in list(self._catching.items()):
            if place < progress.place:
                if place >= 0:
                    progress.place += 1
                self._send_late(sender, packet)

    def _start_audio(self, packet: RtpPacket) -> None:
        """Start the waiting down tracks with the packet that just came."""
        for sender in list(self._waiting):
            del self._waiting[sender]
            try:
                sender.begin(packet.number, packet.timestamp)
                sender.forward((packet,))
            except Exception:
                self._give_up(sender)
            else:
                self._flush()
                self._live = (*self._live, sender)

    # the cache --------------------------------------------------------------------------------------------------------

    def _begin(self, sender: ForwardTarget) -> None:
        """Put a sender at the beginning of the cache."""
        self._end_waiting(sender, self._frames - 1)
        first = self._cache.packets[0]
        sender.begin(min(self._cache.base, first.number), first.timestamp)
        self._catching[sender] = CatchUp(0, len(self._cache) + MAX_LAG)

    def _end_waiting(self, sender: ForwardTarget, frame: int) -> None:
        """Let a sender wait no longer; a slow one has missed the frames up to this one."""
        since = self._waiting.pop(sender, None)
        if since is not None:
            sender.dropped += frame - since

    def _advance(self, sender: ForwardTarget, limit: int) -> None:
        """Send the next packets of the cache; at its end the sender is live."""
        progress = self._catching.get(sender)
        if progress is None:
            return
        packets = self._cache.packets
        try:
            due = packets[progress.place : progress.place + limit]
            if due:
                taken = sender.forward(due)
                if self._catching.get(sender) is not progress:
                    return  # sending has ended it
                if taken:
                    progress.place += len(due)
        except Exception:
            self._give_up(sender)
            return
        left = len(packets) - progress.place
        if not left:
            self._flush()
            if self._catching.pop(sender, None) is not None:
                self._live = (*self._live, sender)
        elif left > progress.patience:
            sender.dropped += self._cache.frames(progress.place)
            del self._catching[sender]
            self._waiting[sender] = self._frames

    def _fall_behind(self, sender: ForwardTarget, missed: Sequence[RtpPacket]) -> None:
        """Let a sender whose socket is full go on in the cache, or at the next key frame."""
        if sender not in self._senders:
            return
        self.hold(sender)
        place = self._cache.find(missed[0].number)
        if place >= 0:
            self._catching[sender] = CatchUp(place, MAX_LAG)
        else:
            sender.dropped += len({packet.timestamp for packet in missed})
            self._waiting[sender] = self._frames

    def _overflown(self) -> None:
        """The key frame is too long ago to begin with it; who was still catching up needs a new one."""
        self._lose_cache()
        if self._waiting:
            self.track.want_key_frame()

    def _lose_cache(self) -> None:
        self._cache.clear()
        for sender in self._catching:
            self._waiting[sender] = None
        self._catching.clear()

    def _send_late(self, sender: ForwardTarget, packet: RtpPacket) -> None:
        try:
            sender.late(packet)
        except Exception:
            self._give_up(sender)

    def _give_up(self, sender: ForwardTarget) -> None:
        _log.exception(
            "track %s: sending to a subscriber failed, it is let go", self.track.name, extra=self.track.log_extra
        )
        gone = self._senders.get(sender)
        self.remove(sender)
        if gone is not None:
            gone()
