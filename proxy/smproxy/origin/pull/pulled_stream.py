"""A stream of another node, in the table of names of this one. Sans-I/O."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable

import msgspec

from smproxy.origin.effects import Mute, PublisherMessage
from smproxy.origin.forward import Soon, at_once
from smproxy.origin.pull.wire import (
    Live,
    NotLive,
    PulledPacket,
    Said,
    SourceTime,
    StreamState,
    TrackDescription,
    WantKeyFrame,
    encode,
    read_message,
    read_packets,
)
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.source import Source
from smproxy.origin.streams import Streams
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

_RTP = struct.Struct("!BBHII")
_VERSION = 0x80
#: How far the sequence jumps where packets continue nothing, so that the track begins anew: more than loss can be.
_JUMP = 0x4000
#: No key frame is due by time: the stream's own origin sees to that.
_NEVER = float("inf")

WANT_KEY_FRAME = encode(WantKeyFrame()).decode()


class _PulledTrack:
    """A track, with the numbers that its packets have here."""

    def __init__(self, track: Track, payload_type: int) -> None:
        self.track = track
        self._payload_type = payload_type
        self._offset = 0
        self._next = 0
        #: The next packet is the first one of a connection.
        self.anew = True

    def take(self, packet: PulledPacket) -> None:
        """Take a packet as if its publisher were here."""
        if packet.restart or self.anew:
            self.anew = False
            self._offset = self._next + _JUMP - packet.number
            self._next = packet.number + self._offset
        sequence = (packet.number + self._offset) & 0xFFFF
        ahead = (sequence - self._next) & 0xFFFF
        if ahead < 0x8000:
            self._next = (sequence + 1) & 0xFFFF
        header = _RTP.pack(_VERSION, packet.marker | self._payload_type, sequence, packet.timestamp, 1)
        self.track.packet(header + packet.payload)
        self.track.started = True

    def report(self, ntp: int, timestamp: int) -> None:
        """Take a sender report of the publisher."""
        if self.track.started:
            self.track.sender_report(SenderReport(1, ntp, timestamp))


class PulledStream:
    """Takes what the owner of a stream sends, and is in the place of its publisher here.

    ``ask`` sends a message to the owner, ``soon`` tells when a turn of the event loop is over. Nothing here is reported: it is
    no session.
    """

    def __init__(
        self,
        scope: str,
        name: str,
        streams: Streams,
        monotonic: Callable[[], float],
        ask: Callable[[str], None],
        soon: Soon = at_once,
    ) -> None:
        self._soon = soon
        self.scope, self.name = scope, name
        #: The owner has said whether the stream is live.
        self.answered = False
        self._streams = streams
        self._monotonic = monotonic
        self._ask = ask
        self._described: tuple[TrackDescription, ...] = ()
        self._source: Source | None = None
        self._tracks: dict[Kind, _PulledTrack] = {}

    @property
    def live(self) -> bool:
        """Whether it can be watched here."""
        return self._source is not None

    def receive(self, message: str | bytes) -> None:
        """Take a message of the owner.

        Raises:
            ValueError: it cannot be read.
        """
        if isinstance(message, bytes):
            for packet in read_packets(message):
                if (track := self._tracks.get(packet.kind)) is not None:
                    track.take(packet)
            return
        read = read_message(message)
        source = self._source
        match read:
            case Live():
                self._published(read)
            case NotLive():
                self.answered = True
                self.end()
            case StreamState() if source is not None:
                _apply(source, read)
            case Said(method, data) if source is not None:
                source.say(PublisherMessage(method, msgspec.Raw(data)))
            case SourceTime(kind, ntp, timestamp) if kind in self._tracks:
                self._tracks[kind].report(ntp, timestamp)
            case _:
                pass

    def end(self) -> None:
        """End the stream here, which its subscribers are notified of."""
        source, self._source = self._source, None
        self._described, self._tracks = (), {}
        if source is not None:
            self._streams.free(self.scope, self.name, self)
            source.close()

    def displaced(self) -> None:
        """End: a publisher takes the name over, here."""
        self.end()

    def sweep(self, now: float) -> None:
        """Ask again for a key frame that has not come."""
        video = self._tracks.get(Kind.VIDEO)
        if video is not None and video.track.wants_key_frame and video.track.needs_pli(now, _NEVER):
            self._ask(WANT_KEY_FRAME)

    def _published(self, live: Live) -> None:
        self.answered = True
        if self._source is not None and live.tracks == self._described:
            # The connection broke and is back: what is watched goes on, at the next key frame.
            for track in self._tracks.values():
                track.anew = True
            _apply(self._source, live.state)
            return
        self.end()
        if not self._streams.claim(self.scope, self.name, self, pulled=True):
            _log.warning("%s/%s is not pulled: it is published here, too", self.scope, self.name)
            return
        self._described = live.tracks
        for each in live.tracks:
            made = Track(each.name, each.kind, each.codec, each.format.clock_rate, self._monotonic)
            made.on_wanted = self._want_key_frame
            self._tracks[each.kind] = _PulledTrack(made, each.format.payload_type & 0x7F)
        formats = {each.kind: each.format for each in live.tracks}
        tracks = [pulled.track for pulled in self._tracks.values()]
        self._source = Source(tracks, formats, self._monotonic, soon=self._soon)
        self._source.pulled = True
        _apply(self._source, live.state)
        self._streams.go_live(self.scope, self.name, self, self._source)

    def _want_key_frame(self, track: Track) -> None:
        if track.needs_pli(self._monotonic(), _NEVER):
            self._ask(WANT_KEY_FRAME)


def _apply(source: Source, state: StreamState) -> None:
    muted = {Kind.AUDIO: state.audio_muted, Kind.VIDEO: state.video_muted}
    if any(source.is_muted(kind) is not value for kind, value in muted.items()):
        source.mute(Mute(muted[Kind.AUDIO], muted[Kind.VIDEO]))
    if state.orientation is not None and state.orientation != source.orientation:
        source.turn(state.orientation)
