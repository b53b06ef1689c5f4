"""The table of names with those who watch, and what a publisher says to them."""

from __future__ import annotations

import logging

import msgspec
import pytest
from smproxy.origin.effects import Mute, PublisherMessage
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.source import SAID_BURST, Source
from smproxy.origin.streams import Streams
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime

VP8 = PayloadFormat(96, "VP8", "VP8/90000", 90000)
OPUS = PayloadFormat(111, "OPUS", "opus/48000/2", 48000)
OWNER = object()


class Watching:
    """Notes what it is told."""

    def __init__(self, *, fails: bool = False) -> None:
        self.heard: list[str] = []
        self.fails = fails

    def _note(self, what: str) -> None:
        if self.fails:
            raise RuntimeError(what)
        self.heard.append(what)

    def published(self, source: Source) -> None:
        self._note(f"published {source.scope}/{source.name}")

    def unpublished(self, source: Source) -> None:
        self._note(f"unpublished {source.name}")

    def inserted(self) -> None:
        self._note("inserted")

    def informed(self) -> None:
        self._note("informed")

    def told(self, said: PublisherMessage, sender: str) -> None:
        self._note(f"{sender}: {said.method} {bytes(said.data).decode()}")

    def broke(self) -> None:
        self.heard.append("broke")


def source(clock: FakeTime | None = None, *kinds: Kind) -> Source:
    clock = clock or FakeTime()
    tracks = []
    if Kind.AUDIO in (kinds or Kind):
        tracks.append(Track("audio_main", Kind.AUDIO, "opus", 48000, clock))
    if Kind.VIDEO in (kinds or Kind):
        tracks.append(Track("video_main", Kind.VIDEO, "VP8", 90000, clock))
    return Source(tracks, {Kind.AUDIO: OPUS, Kind.VIDEO: VP8}, clock)


def live(streams: Streams, what: Source, name: str = "s1") -> None:
    assert streams.claim("live", name, OWNER)
    streams.go_live("live", name, OWNER, what)


def test_who_watches_a_name_hears_of_it() -> None:
    """Published and unpublished are told once each, to those who watch this name in this scope and only as long as they do."""
    streams, first, other = Streams(), Watching(), Watching()
    unwatch = streams.watch("live", "s1", first)
    streams.watch("live", "s2", other)
    what = source()
    live(streams, what)
    streams.go_live("live", "s1", OWNER, what)
    assert streams.source("live", "s1") is what
    streams.free("live", "s1", object())
    streams.free("live", "s1", OWNER)
    streams.free("live", "s1", OWNER)
    assert first.heard == ["published live/s1", "unpublished s1"]
    assert other.heard == []
    unwatch()
    unwatch()
    live(streams, source())
    assert len(first.heard) == 2
    assert streams.source("live", "s2") is None


def test_nothing_is_kept_of_names_that_nobody_has_or_watches() -> None:
    """The table does not grow with the names that were."""
    streams = Streams()
    for number in range(50):
        name = f"s{number}"
        unwatch = streams.watch("live", name, Watching())
        live(streams, source(), name)
        if number % 2:
            unwatch()
            streams.free("live", name, OWNER)
        else:
            streams.free("live", name, OWNER)
            unwatch()
    assert len(streams) == 0
    assert streams._watchers == {}
    assert not streams._viewers


def test_viewers_are_counted() -> None:
    """Each once, however often it begins or ends; who only passes the stream on is none."""
    streams, again = Streams(), Watching()
    ends = [streams.watch("live", "s1", Watching()) for _ in range(3)]
    ends.append(streams.watch("live", "s1", again))
    ends.append(streams.watch("live", "s1", again))
    streams.watch("live", "s1", Watching(), viewer=False)
    streams.watch("live", "s2", Watching())
    assert (streams.watchers("live", "s1"), streams.watchers("live", "s2"), streams.watchers("live", "s3")) == (4, 1, 0)
    for number, end in enumerate(ends):
        end()
        end()
        assert streams.watchers("live", "s1") == max(0, 3 - number)


def test_a_watcher_that_fails_touches_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """It is ended and logged; the publisher and the others go on."""
    streams, bad, good = Streams(), Watching(fails=True), Watching()
    streams.watch("live", "s1", bad)
    streams.watch("live", "s1", good)
    with caplog.at_level(logging.ERROR, "smproxy.origin.source"):
        live(streams, source())
    assert bad.heard == ["broke"]
    assert good.heard == ["published live/s1"]
    assert caplog.records


def test_the_live_streams_of_a_room_are_listed() -> None:
    """Names that are only claimed, and other rooms', are not among them."""
    streams = Streams()
    live(streams, source(), "b")
    live(streams, source(), "a")
    streams.claim("live", "c", OWNER)
    streams.claim("other", "d", OWNER)
    streams.go_live("other", "d", OWNER, source())
    assert streams.live("live") == ["a", "b"]


@pytest.mark.parametrize(
    ("muted", "mode"),
    [
        (Mute(), "Video/Audio"),
        (Mute(audio=True), "Video"),
        (Mute(video=True), "Audio"),
        (Mute(True, True), "Empty"),
        (Mute(False, False), "Video/Audio"),
    ],
)
def test_mute_shows_in_the_streaming_mode(muted: Mute, mode: str) -> None:
    """The mode says what comes; those who watch are told to look."""
    what, watching = source(), Watching()
    what.watchers = {watching: None}
    what.mute(muted)
    assert what.metadata() == {"streamingMode": mode}
    assert watching.heard == ["informed"]


def test_the_metadata_has_what_is_known() -> None:
    """The resolution once there was a key frame, the orientation once the publisher said it, the mode of what there is."""
    what = source(None, Kind.VIDEO)
    what.tracks[Kind.VIDEO].width, what.tracks[Kind.VIDEO].height = 640, 480
    what.turn(-90)
    assert what.metadata() == {"streamingMode": "Video", "resolution": "640,480", "orientation": -90}
    assert source(None, Kind.AUDIO).metadata() == {"streamingMode": "Audio"}


def test_what_a_publisher_says_is_bounded_in_rate() -> None:
    """A burst is passed on, the rest is dropped until time has passed; nothing is made for nobody."""
    clock = FakeTime()
    what, watching = source(clock), Watching()
    what.say(PublisherMessage("m", msgspec.Raw(b"{}")))
    what.name = "s1"
    what.watchers = {watching: None}
    for _ in range(1000):
        what.say(PublisherMessage("m", msgspec.Raw(b'{"a":1}')))
    assert len(watching.heard) == SAID_BURST - 1
    clock.now += 1
    for _ in range(1000):
        what.say(PublisherMessage("m", msgspec.Raw(b"{}")))
    assert len(watching.heard) == SAID_BURST - 1 + 50
    assert watching.heard[0] == 's1: m {"a":1}'


def test_forwarders_are_shared_and_closed_after_the_last_user() -> None:
    """One forwarder for all of a kind, none for a kind that there is not, and of sound none kept for nobody."""
    what = source(None, Kind.AUDIO)
    forwarder = what.forwarder(Kind.AUDIO, "a")
    assert forwarder is what.forwarder(Kind.AUDIO, "b")
    assert what.forwarder(Kind.VIDEO, "a") is None
    track = what.tracks[Kind.AUDIO]
    what.leave("a")
    assert track._sinks
    what.leave("b")
    assert not track._sinks
    assert what.forwarder(Kind.AUDIO, "c") is not forwarder


class Owner:
    """A client that has taken a name, and gives it away when it must."""

    def __init__(self, table: Streams) -> None:
        self.table = table
        self.displaced_times = 0

    def displaced(self) -> None:
        self.displaced_times += 1
        self.table.free("live", "s1", self)


@pytest.mark.parametrize(
    ("takeover", "after", "taken"), [(None, 1e6, False), (0.0, 0.0, True), (5.0, 4.0, False), (5.0, 6.0, True)]
)
def test_takeover(takeover: float | None, after: float, taken: bool) -> None:
    """A name is taken over never, at once, or when its owner has had it for long enough; the owner is told first."""
    now = [100.0]
    table = Streams(takeover, lambda: now[0])
    first, second = Owner(table), Owner(table)
    assert table.claim("live", "s1", first)
    assert table.claim("live", "s1", first)
    now[0] += after
    assert table.taken_by_another("live", "s1", second) is not taken
    assert table.claim("live", "s1", second) is taken
    assert first.displaced_times == taken
