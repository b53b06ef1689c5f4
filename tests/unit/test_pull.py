"""A stream between two nodes, without a network: what its origin sends, and what is watched where it is pulled."""

from __future__ import annotations

import contextlib
import random

import pytest
from msgspec import Raw
from smproxy.origin.effects import Mute, PublisherMessage
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.pull import feed as feeds
from smproxy.origin.pull.feed import PullFeed
from smproxy.origin.pull.pulled_stream import WANT_KEY_FRAME, PulledStream
from smproxy.origin.pull.wanted import wanted_stream
from smproxy.origin.pull.wire import PulledPacket, read_packets, write_packet
from smproxy.origin.source import Source
from smproxy.origin.streams import Streams
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime
from tests.unit.forward_rig import Publisher

FORMATS = {Kind.VIDEO: PayloadFormat(97, "VP8", "VP8/90000", 90000)}


class Owner:
    """Has the name of a stream."""

    def displaced(self) -> None:
        """Give it up."""


class Watcher:
    """Notes what it is told of a name."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def published(self, source: Source) -> None:
        """Note it."""
        self.notes.append("published")

    def unpublished(self, source: Source) -> None:
        """Note it."""
        self.notes.append("unpublished")

    def inserted(self) -> None:
        """Note nothing."""

    def informed(self) -> None:
        """Note it."""
        self.notes.append("informed")

    def told(self, said: PublisherMessage, sender: str) -> None:
        """Note it."""
        self.notes.append(f"{sender}: {said.method} {bytes(said.data).decode()}")

    def broke(self) -> None:
        """Fail the test."""
        raise AssertionError


class TwoNodes:
    """A publisher at one node, and its stream at another."""

    def __init__(self) -> None:
        self.clock = FakeTime()
        self.here, self.there = Streams(), Streams()
        self.owner = Owner()
        self.publisher = Publisher(self.clock)
        self.asked: list[str] = []
        self.watcher = Watcher()
        self.there.watch("live", "s", self.watcher)
        self.pulled = PulledStream("live", "s", self.there, self.clock, self.asked.append)
        self.feed = self.connect()

    def connect(self) -> PullFeed:
        """Pull anew."""
        return PullFeed(self.here, "live", "s", lambda: None)

    def publish(self) -> Source:
        """Publish the stream, at its origin."""
        source = Source([self.publisher.track], FORMATS, self.clock)
        assert self.here.claim("live", "s", self.owner)
        self.here.go_live("live", "s", self.owner, source)
        return source

    def carry(self) -> None:
        """Bring over all that waits."""
        while messages := self.feed.take():
            for message in messages:
                self.pulled.receive(message)

    @property
    def track(self) -> Track:
        """The video where it is pulled."""
        source = self.there.source("live", "s")
        assert source is not None
        return source.tracks[Kind.VIDEO]


@pytest.fixture
def two() -> TwoNodes:
    """A stream that nobody publishes yet."""
    return TwoNodes()


def test_comes_as_it_was_sent(two: TwoNodes) -> None:
    """Every packet arrives with its bytes, without loss or key frame requests; the stream begins with its latest key frame."""
    two.publish()
    two.publisher.frame(key=True)
    two.publisher.frames(20)
    two.feed = two.connect()
    two.carry()
    assert (two.track.key_frames, two.track.frames, two.track.packets) == (1, 21, 63)
    two.publisher.frames(10)
    two.carry()
    assert (two.track.frames, two.track.reception.lost) == (31, 0)
    assert (two.track.width, two.track.height) == (640, 480)
    assert two.asked == []
    assert two.here.watchers("live", "s") == 0


def test_tells_of_the_stream(two: TwoNodes) -> None:
    """Subscribers see it begin, what the publisher mutes and sends, and that it ends."""
    two.carry()
    assert two.pulled.answered
    assert not two.there.is_live("live", "s")
    source = two.publish()
    two.publisher.frame(key=True)
    source.mute(Mute(video=True))
    source.say(PublisherMessage("hello", Raw(b'{"a":1}')))
    source.turn(90)
    two.carry()
    pulled = two.there.source("live", "s")
    assert pulled is not None
    assert (pulled.is_muted(Kind.VIDEO), pulled.orientation, pulled.pulled) == (True, 90, True)
    two.here.free("live", "s", two.owner)
    two.carry()
    assert two.watcher.notes == ["published", "informed", 's: hello {"a":1}', "informed", "unpublished"]
    assert not two.there.is_live("live", "s")


def test_goes_on_after_a_broken_connection(two: TwoNodes) -> None:
    """A connection that comes back with the same stream is no end to its subscribers; numbers go on at a key frame."""
    two.publish()
    two.publisher.frame(key=True)
    two.carry()
    before = two.track
    for packets in (1, 40, 400):
        two.feed.close()
        two.publisher.frames(packets)
        two.publisher.frame(key=True)
        two.feed = two.connect()
        two.carry()
    assert two.track is before
    assert (before.key_frames, before.frames) == (4, 4)
    assert before.reception.lost == 0
    assert two.watcher.notes == ["published"]


def test_asks_once_for_a_key_frame(two: TwoNodes) -> None:
    """However many subscribers want a key frame, their publisher is asked once in half a second."""
    two.publish()
    two.publisher.frame(key=True)
    two.carry()
    two.publisher.wanted = 0
    for _ in range(10):
        two.track.want_key_frame()
    assert two.asked == [WANT_KEY_FRAME]
    two.feed.receive(two.asked[0])
    assert two.publisher.wanted == 1
    two.clock.now += 1.0
    two.pulled.sweep(two.clock.now)
    assert len(two.asked) == 2


def test_a_slow_node_gets_whole_pictures(two: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a node that does not read is bounded; when it reads again it goes on at a key frame."""
    monkeypatch.setattr(feeds, "MAX_WAITING", 2000)
    two.publish()
    two.publisher.frame(key=True)
    two.carry()
    two.publisher.frames(1000)
    assert sum(len(each) for each in two.feed.take()) < 2200
    two.publisher.frame(key=True)
    two.publisher.frames(3)
    two.carry()
    assert two.track.key_frames == 2


def test_a_name_is_free_where_it_is_pulled(two: TwoNodes) -> None:
    """A name is taken by a publisher where it is only pulled once no other node has it, and not before."""
    elsewhere = True
    two.there = Streams(taken_elsewhere=lambda scope, name: elsewhere)
    two.pulled = PulledStream("live", "s", two.there, two.clock, two.asked.append)
    two.publish()
    two.carry()
    assert two.there.taken_by_another("live", "s", two.owner)
    assert not two.there.claim("live", "s", two.owner)
    elsewhere = False
    assert two.there.claim("live", "s", two.owner)
    assert not two.there.is_live("live", "s")


def test_a_pulled_stream_is_not_sent_on(two: TwoNodes) -> None:
    """A node gives away only what is published at it, so that nodes cannot pull from each other in a circle."""
    two.publish()
    two.carry()
    assert two.there.is_live("live", "s")
    messages = PullFeed(two.there, "live", "s", lambda: None).take()
    assert messages == ['{"type":"not_live"}']


def test_packets_survive_the_wire() -> None:
    """Packets of any size and flags are read as they were written; rubbish is a ``ValueError`` and nothing else."""
    rng = random.Random(1)
    packets = [
        PulledPacket(
            rng.choice([Kind.AUDIO, Kind.VIDEO]),
            rng.randrange(1 << 16),
            rng.randrange(1 << 32),
            rng.choice([0, 0x80]),
            rng.randbytes(rng.choice([0, 1, 1200, 65_000])),
            rng.random() < 0.1,
        )
        for _ in range(200)
    ]
    data = b"".join(write_packet(each) for each in packets)
    assert list(read_packets(data)) == packets
    for _ in range(300):
        cut = data[: rng.randrange(len(data))]
        with contextlib.suppress(ValueError):
            assert list(read_packets(cut)) == packets[: len(list(read_packets(cut)))]


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        ('{"requestOffer":"s","requestId":"subscriber-1"}', ("live", "s")),
        ('{"isAvailable":"s"}', ("live", "s")),
        ('{"isAvailable":"s","bundle":true}', None),
        ('{"subscribe":"s"}', ("live", "s")),
        (
            '{"callAdapter":{"method":"switchStreams","arguments":[{"path":"live/room/s2"}]},"id":"1"}',
            ("live/room", "s2"),
        ),
        ('{"publish":"s"}', None),
        ('{"requestOffer":""}', None),
        ("rubbish", None),
        (b"bytes", None),
    ],
)
def test_reads_which_stream_is_wanted(frame: str | bytes, wanted: tuple[str, str] | None) -> None:
    """The stream of a subscriber's message is known before it is answered; a publisher's question is about none."""
    assert wanted_stream(frame, "live") == wanted
