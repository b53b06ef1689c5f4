"""One stream on its way to one other node. Sans-I/O."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from smproxy.origin.effects import PublisherMessage
from smproxy.origin.forward import TrackForwarder
from smproxy.origin.payload_format import carries
from smproxy.origin.pull.wire import (
    FromOwner,
    Live,
    NotLive,
    PulledPacket,
    Said,
    SourceTime,
    StreamState,
    TrackDescription,
    encode,
    read_wish,
    write_packet,
)
from smproxy.origin.rtcp_receiver import SenderReport
from smproxy.origin.rtp_packet import RtpPacket
from smproxy.origin.source import Source
from smproxy.origin.streams import Streams
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Octets that wait for a node that does not read; then packets wait in the cache of the stream, and are left out.
MAX_WAITING = 2 << 20
#: Octets of packets in one message.
MAX_BATCH = 256 << 10


class _PulledSlot:
    """One track on its way, as its forwarder sees a subscriber."""

    paused = False

    def __init__(self, kind: Kind, feed: PullFeed) -> None:
        self.dropped = self.key_frames = 0
        self._kind = kind
        self._feed = feed
        self._sent = -1
        self._restart = True
        self._report: SenderReport | None = None
        self._forwarder: TrackForwarder | None = None

    def attach(self, forwarder: TrackForwarder | None) -> None:
        """Send this track from now on; ``None``: nothing."""
        if self._forwarder is forwarder:
            return
        if self._forwarder is not None:
            self._forwarder.remove(self)
        self._forwarder, self._sent, self._restart = forwarder, -1, True
        if forwarder is not None:
            forwarder.add(self, self._left)

    def _left(self) -> None:
        self._forwarder = None

    def advance(self) -> None:
        """Go on with what waits in the cache."""
        if self._forwarder is not None and self._forwarder.catches_up(self):
            self._forwarder.advance(self)

    def want_key_frame(self) -> None:
        """Ask the publisher for a key frame."""
        if self._forwarder is not None:
            self._forwarder.track.want_key_frame()

    @property
    def resume_at(self) -> int:
        return self._sent + 1 if self._sent >= 0 else -1

    def begin(self, base: int, timestamp: int) -> None:
        self._restart = self._restart or base != self._sent + 1

    def forward(self, packets: Sequence[RtpPacket]) -> bool:
        if self._feed.full:
            return False
        for packet in packets:
            self._send(packet)
            self._sent = packet.number
        return True

    def late(self, packet: RtpPacket) -> None:
        if not self._feed.full:
            self._send(packet)

    def _send(self, packet: RtpPacket) -> None:
        forwarder = self._forwarder
        if forwarder is not None and (report := forwarder.track.last_report) is not self._report:
            self._report = report
            if report is not None:
                self._feed.send(SourceTime(self._kind, report.ntp, report.timestamp))
        restart, self._restart = self._restart or packet.restart, False
        self._feed.send_packet(
            PulledPacket(self._kind, packet.number, packet.timestamp, packet.marker, packet.payload, restart)
        )


class PullFeed:
    """What another node gets of a stream, whether it is live or not.

    ``ready`` is called when there is something to ``take``. It watches the name but counts as no viewer.
    """

    def __init__(self, streams: Streams, scope: str, name: str, ready: Callable[[], None]) -> None:
        self._streams = streams
        self._ready = ready
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._source: Source | None = None
        self._used: set[Source] = set()
        self._slots: dict[Kind, _PulledSlot] = {}
        self._state: StreamState | None = None
        self.broken = False
        self._unwatch = streams.watch(scope, name, self, viewer=False)
        source = streams.source(scope, name)
        if source is None or source.pulled:
            self.send(NotLive())
        else:
            self._show(source)

    def close(self) -> None:
        """Send nothing more."""
        self._unwatch()
        self._hide()

    @property
    def full(self) -> bool:
        """Whether so much waits that packets must wait elsewhere."""
        return self._size >= MAX_WAITING

    def take(self) -> list[str | bytes]:
        """Return the messages that wait; call it again until there are none."""
        messages: list[str | bytes] = []
        batch: list[bytes] = []
        size = 0
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, bytes) and size + len(item) <= MAX_BATCH:
                batch.append(item)
                size += len(item)
                continue
            if batch:
                messages.append(b"".join(batch))
            batch, size = ([item], len(item)) if isinstance(item, bytes) else ([], 0)
            if isinstance(item, str):
                messages.append(item)
        if batch:
            messages.append(b"".join(batch))
        self._size = 0
        for slot in self._slots.values():
            slot.advance()
        return messages

    def receive(self, text: str) -> None:
        """Take a message of the other node. Raises ``msgspec.MsgspecError``."""
        read_wish(text)
        if Kind.VIDEO in self._slots:
            self._slots[Kind.VIDEO].want_key_frame()

    def send(self, message: FromOwner) -> None:
        """Send a message in its place between the packets."""
        self._put(encode(message).decode())

    def send_packet(self, packet: PulledPacket) -> None:
        """Send a packet."""
        self._put(write_packet(packet))

    def _put(self, item: str | bytes) -> None:
        self._waiting.append(item)
        self._size += len(item)
        self._ready()

    # the stream -------------------------------------------------------------------------------------------------------

    def published(self, source: Source) -> None:
        """Send the stream: it is live now."""
        if not source.pulled:
            self._show(source)

    def unpublished(self, source: Source) -> None:
        """Send that the stream has ended."""
        if self._source is source:
            self._hide()
            self.send(NotLive())

    def inserted(self) -> None:
        """Send another stream in its place, or itself again."""
        self._attach()

    def informed(self) -> None:
        """Send what the publisher has muted, if that changed."""
        if self._source is not None and (state := _state_of(self._source)) != self._state:
            self._state = state
            self.send(state)

    def told(self, said: PublisherMessage, sender: str) -> None:
        """Send what the publisher sent."""
        self.send(Said(said.method, msgspec.Raw(said.data)))

    def broke(self) -> None:
        """End, because one of the above failed."""
        self.broken = True
        self._ready()

    def _show(self, source: Source) -> None:
        self._source, self._state = source, _state_of(source)
        tracks = [
            TrackDescription(kind, track.name, track.codec, source.formats[kind])
            for kind, track in source.tracks.items()
        ]
        self.send(Live(tuple(tracks), self._state))
        self._slots = {kind: _PulledSlot(kind, self) for kind in source.tracks}
        self._attach()

    def _attach(self) -> None:
        source = self._source
        if source is None:
            return
        shown: set[Source] = set()
        for kind, slot in self._slots.items():
            other = self._streams.shown(source, kind)
            if not carries(source.formats[kind], other.formats[kind]):
                other = source
            shown.add(other)
            slot.attach(other.forwarder(kind, self))
        for unused in self._used - shown:
            unused.leave(self)
        self._used = shown

    def _hide(self) -> None:
        for slot in self._slots.values():
            slot.attach(None)
        self._slots = {}
        for used in self._used:
            used.leave(self)
        self._used, self._source = set(), None


def _state_of(source: Source) -> StreamState:
    return StreamState(source.is_muted(Kind.AUDIO), source.is_muted(Kind.VIDEO), source.orientation)
