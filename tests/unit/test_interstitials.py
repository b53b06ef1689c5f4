"""When an interstitial begins and ends, on a clock of the test, and how a request is read."""

from __future__ import annotations

import json

import pytest
from smproxy.origin.interstitials import MAX_INTERSTITIALS, Interstitials
from smproxy.origin.streams import Streams
from smproxy.signaling.interstitials import (
    MAX_INSERTS,
    Insert,
    InsertTiming,
    read_interstitial,
    read_timing,
    split_path,
)
from smproxy.signaling.node_channel import InsertStream, ResumeStream
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime
from tests.unit.test_play_streams import OWNER, Watching, source


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def streams(time: FakeTime) -> Streams:
    """The streams a, b and c are live."""
    streams = Streams(None, time)
    for name in "abc":
        publish(streams, name, time)
    return streams


@pytest.fixture
def interstitials(streams: Streams, time: FakeTime) -> Interstitials:
    return Interstitials(streams, time)


def publish(streams: Streams, name: str, time: FakeTime) -> None:
    streams.claim("live", name, OWNER)
    streams.go_live("live", name, OWNER, source(time))


def shown(streams: Streams, kind: Kind = Kind.VIDEO) -> str:
    """Return the name of the stream that subscribers of a are shown."""
    own = streams.source("live", "a")
    assert own is not None
    return streams.shown(own, kind).name


def insert(name: str, **more: object) -> InsertStream:
    return InsertStream("live", "a", "live", name, **more)  # type: ignore[arg-type]


def test_begins_and_ends_in_time(interstitials: Interstitials, streams: Streams, time: FakeTime) -> None:
    """An insert begins when it is due, lasts as long as it says, and each change is told to those who watch."""
    watching = Watching()
    streams.watch("live", "a", watching)
    interstitials.add(insert("b", starts_in=5.0, duration=10.0))
    assert interstitials.advance() == 5.0
    assert [each.shown for each in interstitials.states()] == [False]
    assert (shown(streams), watching.heard) == ("a", [])
    time.now += 5
    assert interstitials.advance() == 10.0
    assert (shown(streams), watching.heard) == ("b", ["inserted"])
    time.now += 4
    assert interstitials.advance() == 6.0
    assert interstitials.states()[0].ends_in == 6.0
    time.now += 6
    assert interstitials.advance() is None
    assert (shown(streams), watching.heard) == ("a", ["inserted", "inserted"])
    assert interstitials.states() == []


def test_resume_ends_it_and_forgets_what_waits(interstitials: Interstitials, streams: Streams) -> None:
    """One without a duration lasts until it is resumed; what was to follow does not come any more."""
    interstitials.add(insert("b"))
    interstitials.add(insert("c", starts_in=5.0, duration=1.0))
    assert interstitials.advance() == 5.0
    assert shown(streams) == "b"
    interstitials.resume(ResumeStream("live", "a"))
    assert interstitials.advance() is None
    assert shown(streams) == "a"


def test_the_latest_is_shown(interstitials: Interstitials, streams: Streams, time: FakeTime) -> None:
    """One that begins takes the place of the one before, for good."""
    interstitials.add(insert("b"))
    interstitials.add(insert("c", starts_in=1.0, duration=1.0))
    interstitials.advance()
    time.now += 1
    interstitials.advance()
    assert shown(streams) == "c"
    time.now += 1
    interstitials.advance()
    assert shown(streams) == "a"


def test_audio_or_video_alone(interstitials: Interstitials, streams: Streams) -> None:
    """What is not inserted goes on from the target."""
    interstitials.add(insert("b", video=False))
    interstitials.advance()
    assert (shown(streams, Kind.AUDIO), shown(streams, Kind.VIDEO)) == ("b", "a")


@pytest.mark.parametrize("ended", ["a", "b"])
def test_ends_with_its_streams(interstitials: Interstitials, streams: Streams, time: FakeTime, ended: str) -> None:
    """When the target or what is inserted ends, so does the interstitial; published again, the target is itself."""
    watching = Watching()
    streams.watch("live", "a", watching)
    interstitials.add(insert("b"))
    interstitials.advance()
    streams.free("live", ended, OWNER)
    assert interstitials.states() == []
    publish(streams, ended, time)
    assert shown(streams) == "a"
    assert interstitials.advance() is None
    assert watching.heard.count("inserted") == (2 if ended == "b" else 1)


def test_nothing_is_inserted_that_is_not_live(interstitials: Interstitials, streams: Streams) -> None:
    """An insert that is due when one of its streams is gone is dropped."""
    streams.free("live", "b", OWNER)
    interstitials.add(insert("b"))
    assert interstitials.advance() is None
    assert interstitials.states() == []


def test_bounded(interstitials: Interstitials) -> None:
    """Inserts that wait do not pile up."""
    for _ in range(MAX_INTERSTITIALS + 10):
        interstitials.add(insert("b", starts_in=100.0, duration=1.0))
    assert len(interstitials.states()) == MAX_INTERSTITIALS


def test_times() -> None:
    """INDEFINITE begins now and stays; the other two have their clock, and what began before now ends when it should."""
    times = {"now_ms": 100_000, "published_ms": 90_000}
    assert read_timing(Insert("t", start=9, duration=9), **times) == InsertTiming(0.0, None)
    assert read_timing(Insert("t", type="STREAM_CLOCK", start=15_000, duration=3000), **times) == InsertTiming(5.0, 3.0)
    assert read_timing(Insert("t", type="stream_clock", start=8000, duration=3000), **times) == InsertTiming(0.0, 1.0)
    assert read_timing(Insert("t", type="WALL_CLOCK", start=101_500, duration=500), **times) == InsertTiming(1.5, 0.5)
    for refused in (
        Insert("t", type="STREAM_CLOCK", start=0, duration=3000),
        Insert("t", type="WALL_CLOCK", start=101_500),
        Insert("t", type="WALL_CLOCK", start=-1, duration=1),
        Insert("t", type="WALL_CLOCK", start=10**15, duration=1),
        Insert("t", type="NOW"),
    ):
        with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
            read_timing(refused, **times)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"user":"a","digest":"b"}',
        b'{"user":"a","digest":"b","inserts":[]}',
        b'{"user":"a","digest":"b","inserts":[{}]}',
        json.dumps({"user": "a", "digest": "b", "inserts": [{"target": "t"}] * (MAX_INSERTS + 1)}).encode(),
        b"[" * 9999,
    ],
)
def test_what_is_no_request(body: bytes) -> None:
    """A body that cannot be used is refused in one line."""
    with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
        read_interstitial(body)


def test_paths() -> None:
    """A path has a scope and a name."""
    assert split_path("/live/room/a", "target") == ("live/room", "a")
    for path in ("a", "/a", "", "live/"):
        with pytest.raises(ValueError, match="target"):
            split_path(path, "target")
