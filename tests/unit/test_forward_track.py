"""How a wish for a key frame gets from those who watch to the publisher."""

from __future__ import annotations

import pytest
from smproxy.origin.forward import TrackForwarder
from smproxy.origin.forward.track_forwarder import MAX_FRESH
from smproxy.origin.track import PLI_SPACING, Track
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime
from tests.unit.forward_rig import INTER, KEY, PER_FRAME, TICKS, Publisher, Subscriber, Turn, rtp


def test_a_wish_is_told_at_once_and_granted_once_in_a_while() -> None:
    """Every newcomer's wish is passed on without waiting for a sweep; requests keep their spacing, however many come."""
    clock = FakeTime()
    publisher = Publisher(clock)
    asked: list[float] = []

    def wanted(track: Track) -> None:
        if track.needs_pli(clock.now, 1e9):
            asked.append(clock.now)

    publisher.track.on_wanted = wanted
    publisher.track.packet(rtp(1, 0, INTER))
    begin = clock.now
    for _ in range(100):
        Subscriber(clock).sender.attach(publisher.forwarder)
        clock.now += 0.01
    assert asked[0] == begin
    assert len(asked) == 2
    assert asked[1] - asked[0] >= PLI_SPACING
    publisher.track.packet(rtp(2, 3000, KEY))
    clock.now += PLI_SPACING
    assert not publisher.track.needs_pli(clock.now, 1e9)


def test_audio_wishes_for_nothing() -> None:
    """A sound track has no key frames to ask for."""
    clock = FakeTime()
    track = Track("audio_main", Kind.AUDIO, "opus", 48000, clock)
    track.started = True
    told: list[Track] = []
    track.on_wanted = told.append
    TrackForwarder(track).close()
    track.want_key_frame()
    assert told == []
    assert not track.needs_pli(clock.now, 0.0)


def test_a_closed_forwarder_lets_go_of_track_and_senders() -> None:
    """After the close packets reach nobody, and every slot is free for another track."""
    clock = FakeTime()
    publisher = Publisher(clock)
    playing, paused = Subscriber(clock), Subscriber(clock)
    paused.sender.pause()
    for each in (playing, paused):
        each.sender.attach(publisher.forwarder)
    publisher.frame(key=True)
    publisher.forwarder.close()
    publisher.frame(key=True)
    assert playing.sender.attached is paused.sender.attached is None
    assert len(playing.sent) == 3
    assert paused.sent == []
    paused.sender.resume()
    playing.sender.detach()
    playing.sender.pli()
    assert playing.sender.nack([playing.sent[0].sequence]) == 0
    playing.sender.tick()


def test_what_is_muted_goes_to_nobody() -> None:
    """While the publisher has muted its video nothing of it is sent, and afterwards it goes on at a key frame, without a gap
    in the numbers, which would be asked for (M8).
    """
    clock = FakeTime()
    publisher, watching, newcomer = Publisher(clock), Subscriber(clock), Subscriber(clock)
    watching.sender.attach(publisher.forwarder)
    publisher.frame(key=True)
    before = publisher.timestamp
    publisher.track.mute(True)
    newcomer.sender.attach(publisher.forwarder)
    publisher.frames(5)
    publisher.frame(key=True)
    assert len(watching.sent) == PER_FRAME
    assert newcomer.sent == []
    publisher.wanted = 0
    publisher.track.mute(False)
    assert publisher.wanted
    publisher.frames(2)
    assert len(watching.sent) == PER_FRAME
    shown_again = publisher.timestamp
    publisher.frame(key=True)
    publisher.frames(3)
    assert [len(each.sent) for each in (watching, newcomer)] == [5 * PER_FRAME, 4 * PER_FRAME]
    assert watching.is_continuous()
    passed = (watching.sent[PER_FRAME].timestamp - watching.sent[0].timestamp) & 0xFFFFFFFF
    assert passed == (shown_again - (before - TICKS)) & 0xFFFFFFFF
    assert publisher.track.reception.lost == 0


def test_a_late_packet_of_what_was_muted_is_not_sent() -> None:
    """A packet from the time of the mute that comes after its end is withheld, too."""
    clock = FakeTime()
    publisher, watching = Publisher(clock, codec="opus"), Subscriber(clock, codec="opus")
    watching.sender.attach(publisher.forwarder)
    publisher.sound()
    publisher.track.mute(True)
    late = publisher.packet(b"private")
    publisher.sound()
    publisher.track.mute(False)
    publisher.track.packet(late)
    publisher.sound()
    assert [each.payload.partition(b"#")[0] for each in watching.sent] == [b"sound", b"sound"]
    assert watching.is_continuous()


def test_what_comes_in_one_turn_goes_out_together() -> None:
    """All subscribers get the packets of a turn with one write each, at its end or, when they are many, before it."""
    clock, turn = FakeTime(), Turn()
    publisher, watching = Publisher(clock, soon=turn.soon), [Subscriber(clock), Subscriber(clock)]
    publisher.frame(key=True)
    for each in watching:
        each.sender.attach(publisher.forwarder)
        each.written.clear()
    publisher.frames(2)
    assert all(len(each.sent) == PER_FRAME for each in watching)
    turn.end()
    publisher.frame(packets=MAX_FRESH + 1)
    assert [each.written for each in watching] == [[2 * PER_FRAME, MAX_FRESH]] * 2
    turn.end()
    turn.end()
    assert [each.written for each in watching] == [[2 * PER_FRAME, MAX_FRESH, 1]] * 2
    assert all(each.is_continuous() for each in watching)


@pytest.mark.parametrize("ends", ["close", "detach", "pause", "attach"])
def test_an_end_in_the_middle_of_a_turn_comes_after_its_packets(ends: str) -> None:
    """What came before a subscriber leaves, or its stream ends, is sent before that, and nothing afterwards."""
    clock, turn = FakeTime(), Turn()
    publisher, leaving, staying = Publisher(clock, soon=turn.soon), Subscriber(clock), Subscriber(clock)
    publisher.frame(key=True)
    for each in (leaving, staying):
        each.sender.attach(publisher.forwarder)
    publisher.frame()
    if ends == "close":
        publisher.forwarder.close()
    elif ends == "attach":
        leaving.sender.attach(Publisher(clock, soon=turn.soon).forwarder)
    else:
        getattr(leaving.sender, ends)()
    assert len(leaving.sent) == len(staying.sent) == 2 * PER_FRAME
    publisher.frame()
    turn.end()
    assert len(leaving.sent) == 2 * PER_FRAME
    assert len(staying.sent) == (2 if ends == "close" else 3) * PER_FRAME
