"""Which publishers answer requests for key frames, and of whom pictures are kept while nobody watches (M10)."""

from __future__ import annotations

import pytest
from smproxy.origin.kept_pictures import KeptPictures
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.source import Source
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime
from tests.unit.forward_rig import INTER, KEY, Subscriber, rtp

RATE = 20
SWEEP = 0.25
#: Seconds between key frames that the origin asks for.
INTERVAL = 3.0


class Publisher:
    """20 frames a second of one packet, a key frame every ``gop`` frames, and one some time after a request or never."""

    def __init__(self, *, gop: int, answer: float | None = None, kept: KeptPictures | None = None) -> None:
        self.clock = FakeTime()
        self.track = Track("video_main", Kind.VIDEO, "VP8", 90000, self.clock)
        formats = {Kind.VIDEO: PayloadFormat(96, "VP8", "VP8/90000", 90000)}
        self.source = Source([self.track], formats, self.clock, kept=kept)
        self.track.started = True
        self.gop, self.answer = gop, answer
        self.requests = self.key_frames = 0
        self._wanted = float("inf")
        self._number = self._since = 0

    def run(self, seconds: float) -> None:
        """Send frames, and sweep as the origin does."""
        for _ in range(int(seconds * RATE)):
            key = self._since % self.gop == 0 or self.clock.now >= self._wanted
            if key:
                self._since, self._wanted = 0, float("inf")
                self.key_frames += 1
            self.track.packet(rtp(self._number, self._number * 90000 // RATE, KEY if key else INTER))
            self._number += 1
            self._since += 1
            self.clock.now += 1 / RATE
            if self._number % int(SWEEP * RATE) == 0 and self.track.needs_pli(self.clock.now, INTERVAL):
                self.requests += 1
                if self.answer is not None:
                    self._wanted = self.clock.now + self.answer

    def watch(self) -> Subscriber:
        """Let somebody watch from now on."""
        forwarder = self.source.forwarder(Kind.VIDEO, "watcher")
        assert forwarder is not None
        watching = Subscriber(self.clock)
        watching.sender.attach(forwarder)
        return watching

    @property
    def keeps(self) -> bool:
        """Whether pictures are kept."""
        return bool(self.track._sinks)


@pytest.mark.parametrize("gop", [20, 40, 90, 250])
@pytest.mark.parametrize("after", [0.5, 2.2, 7.9, 30])
def test_of_who_ignores_requests_pictures_are_kept(gop: int, after: float) -> None:
    """Whoever comes late has a picture without waiting: the first subscriber, and those after the last one left."""
    publisher = Publisher(gop=gop)
    publisher.run(after)
    assert publisher.watch().sent
    publisher.source.leave("watcher")
    publisher.run(after)
    assert publisher.watch().sent


@pytest.mark.parametrize("answer", [0.0, 0.2])
def test_of_who_answers_nothing_is_kept(answer: float) -> None:
    """From its first answer on, a publisher whose stream nobody watches costs no memory."""
    publisher = Publisher(gop=10_000, answer=answer)
    publisher.run(INTERVAL + 1)
    assert publisher.track.answers_requests
    assert not publisher.keeps
    publisher.watch()
    assert publisher.keeps
    publisher.source.leave("watcher")
    assert not publisher.keeps


def test_no_request_is_made_to_find_out() -> None:
    """Key frames come as often as without it: no recording has more of them, or at other times."""
    publisher = Publisher(gop=10_000, answer=0.0)
    publisher.run(30)
    assert publisher.requests == publisher.key_frames - 1 == 30 // INTERVAL - 1


def test_an_answer_while_somebody_watches_takes_nothing_away() -> None:
    """The subscriber sees all, and what is kept goes when it leaves."""
    publisher = Publisher(gop=10_000, answer=0.0)
    watching = publisher.watch()
    publisher.run(5)
    assert publisher.track.answers_requests
    assert len(watching.sent) == 5 * RATE
    publisher.source.leave("watcher")
    assert not publisher.keeps


def test_a_coincidence_is_found_out() -> None:
    """A key frame that came by chance after a request is no answer any more once the next request waits in vain."""
    publisher = Publisher(gop=66)
    publisher.run(INTERVAL + 0.5)
    assert publisher.track.answers_requests, "this shows nothing"
    publisher.run(0.5)
    publisher.watch()
    publisher.run(4)
    assert not publisher.track.answers_requests
    publisher.source.leave("watcher")
    assert publisher.keeps


def test_sound_is_kept_for_nobody_while_pictures_are() -> None:
    """Only pictures need what came before."""
    publisher = Publisher(gop=250)
    sound = Track("audio_main", Kind.AUDIO, "opus", 48000, publisher.clock)
    publisher.source.tracks[Kind.AUDIO] = sound
    publisher.source.forwarder(Kind.AUDIO, "watcher")
    publisher.source.leave("watcher")
    assert not sound._sinks
    assert publisher.keeps


def test_of_how_many_unwatched_streams_pictures_are_kept() -> None:
    """The oldest stream that nobody watches gives way to a new one, a watched one never. One that gave way can be watched."""
    kept = KeptPictures(limit=2)
    first, second = (Publisher(gop=250, kept=kept) for _ in range(2))
    watching = first.watch()
    third, fourth = (Publisher(gop=250, kept=kept) for _ in range(2))
    publishers = (first, second, third, fourth)
    assert [each.keeps for each in publishers] == [True, False, True, True]
    first.run(0.5)
    assert watching.sent
    first.source.leave("watcher")
    assert [each.keeps for each in publishers] == [False, False, True, True]
    late = second.watch()
    second.run(0.1)
    assert late.sent
    fourth.source.close()
    fifth = Publisher(gop=250, kept=kept)
    assert [each.keeps for each in (*publishers, fifth)] == [False, True, True, False, True]
