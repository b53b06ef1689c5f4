"""What a subscriber is sent: headers, the cache, slow clients, repeats, reports, changes of the source."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.forward.feedback import ReportBlock
from smproxy.origin.forward.nack_limiter import MAX_ASKED, MAX_RESENT, RESEND_SPACING
from smproxy.origin.forward.track_forwarder import BURST, HISTORY, MAX_LAG
from smproxy.origin.rtcp_receiver import SenderReport

from tests.fake_clock import FakeTime
from tests.unit.forward_rig import INTER, KEY, MIDDLE, Publisher, Subscriber, read, rtp


def watched(codec: str = "VP8") -> tuple[FakeTime, Publisher, Subscriber]:
    clock = FakeTime()
    publisher, subscriber = Publisher(clock, codec=codec), Subscriber(clock, codec=codec)
    subscriber.sender.attach(publisher.forwarder)
    return clock, publisher, subscriber


# headers --------------------------------------------------------------------------------------------------------------


def test_a_packet_has_the_slots_header_and_the_publishers_payload() -> None:
    """SSRC and payload type are the slot's, marker and payload are the publisher's."""
    _, publisher, subscriber = watched()
    publisher.frame(key=True, packets=2)
    assert [(each.ssrc, each.payload_type, each.marker) for each in subscriber.sent] == [
        (4242, 96, False),
        (4242, 96, True),
    ]
    assert subscriber.payloads == [KEY + b"#1", MIDDLE + b"#2"]


def test_extensions_sources_and_padding_stay_on_the_publishers_leg() -> None:
    """A header extension, contributing sources and padding are taken off; a packet of padding alone keeps its number."""
    _, publisher, subscriber = watched()
    fixed = struct.pack("!BHII", 97, 10, 500, 7)
    publisher.track.packet(b"\xb1" + fixed + b"CSRC" + b"\xbe\xde\x00\x01ABCD" + KEY + b"\0\0\3")
    publisher.track.packet(b"\xa0" + struct.pack("!BHII", 97, 11, 500, 7) + b"\0\0\0\4")
    publisher.track.packet(rtp(12, 500, MIDDLE))
    assert subscriber.payloads == [KEY, b"", MIDDLE]
    assert subscriber.is_continuous()


@given(
    start=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    seed=st.integers(0, 99),
    shape=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans()), min_size=1, max_size=40),
)
def test_gaps_and_order_are_the_publishers(
    start: int, timestamp: int, seed: int, shape: list[tuple[int, int, bool]]
) -> None:
    """Lost and overtaken packets are lost and overtaken alike at the subscriber, over every wrap."""
    clock = FakeTime()
    publisher = Publisher(clock, sequence=start, timestamp=timestamp)
    subscriber = Subscriber(clock, seed=seed)
    subscriber.sender.attach(publisher.forwarder)
    publisher.frame(key=True)
    head = len(subscriber.sent)
    arrived: list[bytes] = []
    for packets, lost, swapped in shape:
        frame = publisher.make_frame(packets=packets)
        if swapped:
            frame.reverse()
        publisher.sequence += lost
        arrived += frame
    for data in arrived:
        publisher.track.packet(data)
    first = subscriber.sent[0]
    expected = [
        (
            (int.from_bytes(data[2:4], "big") - start) & 0xFFFF,
            (int.from_bytes(data[4:8], "big") - timestamp) & 0xFFFFFFFF,
            data[12:],
        )
        for data in arrived
    ]
    assert [
        ((each.sequence - first.sequence) & 0xFFFF, (each.timestamp - first.timestamp) & 0xFFFFFFFF, each.payload)
        for each in subscriber.sent[head:]
    ] == expected


def test_sequences_wrap_many_times() -> None:
    """After more than two rounds of the sequence numbers each still follows the one before."""
    _, publisher, subscriber = watched("opus")
    for _ in range(140_000):
        publisher.track.packet(rtp(publisher.sequence, publisher.timestamp, b"s"))
        publisher.sequence += 1
        publisher.timestamp += 960
    assert len(subscriber.sent) == 140_000
    assert subscriber.is_continuous()
    assert subscriber.never_goes_back()


# a newcomer -----------------------------------------------------------------------------------------------------------


def test_a_newcomer_begins_with_the_last_key_frame_at_once() -> None:
    """The cached frames come without a request to the publisher, then the live ones."""
    clock, publisher, _ = watched()
    publisher.frame(key=True)
    publisher.frames(2)
    publisher.frame(key=True)
    publisher.frames(3)
    publisher.wanted = 0
    newcomer = Subscriber(clock)
    newcomer.sender.attach(publisher.forwarder)
    assert newcomer.payloads[0].startswith(KEY)
    assert len(newcomer.sent) == 12
    publisher.frame()
    assert newcomer.payloads[-3].startswith(INTER)
    assert (newcomer.sender.packets, newcomer.sender.frames, newcomer.sender.key_frames) == (15, 5, 1)
    assert newcomer.is_continuous()
    assert publisher.wanted == 0


def test_a_newcomer_to_a_track_without_key_frame_asks_for_one() -> None:
    """It gets nothing until the key frame is there, and nothing from before it."""
    clock, publisher, _ = watched()
    publisher.frames(2)
    publisher.wanted = 0
    newcomer = Subscriber(clock)
    newcomer.sender.attach(publisher.forwarder)
    assert publisher.wanted == 1
    publisher.frame()
    assert newcomer.sent == []
    publisher.frame(key=True)
    assert newcomer.payloads[0].startswith(KEY)
    assert len(newcomer.sent) == 3
    assert newcomer.sender.dropped == 0


@given(st.integers(1, 400), st.integers(1, 7))
def test_the_cached_burst_is_bounded_and_complete(frames: int, packets: int) -> None:
    """However long ago the key frame was, a newcomer gets a bounded number at a time, every packet once and in order."""
    clock = FakeTime()
    publisher, newcomer = Publisher(clock), Subscriber(clock)
    publisher.frame(key=True, packets=packets)
    for _ in range(frames):
        publisher.frame(packets=packets)
    newcomer.sender.attach(publisher.forwarder)
    assert len(newcomer.sent) == min(BURST, (frames + 1) * packets)
    while publisher.forwarder.catches_up(newcomer.sender):
        before = len(newcomer.sent)
        publisher.frame(packets=packets)
        assert len(newcomer.sent) - before <= 8 * packets
    publisher.frame(packets=packets)
    assert [int(each.payload.rpartition(b"#")[2]) for each in newcomer.sent] == list(range(1, publisher.made + 1))
    assert newcomer.is_continuous()


def test_a_sweep_lets_a_newcomer_catch_up_with_a_silent_publisher() -> None:
    """The rest of the cache needs no new packet."""
    clock = FakeTime()
    publisher, newcomer = Publisher(clock), Subscriber(clock)
    publisher.frame(key=True)
    publisher.frames(40)
    newcomer.sender.attach(publisher.forwarder)
    for _ in range(3):
        newcomer.sender.tick()
    assert len(newcomer.sent) == publisher.made


def test_a_key_frame_ends_the_catching_up() -> None:
    """Who is still in the cache when a key frame comes goes on with that."""
    clock = FakeTime()
    publisher, newcomer = Publisher(clock), Subscriber(clock)
    publisher.frame(key=True)
    publisher.frames(100)
    newcomer.sender.attach(publisher.forwarder)
    publisher.frame(key=True)
    publisher.frame()
    assert len(newcomer.sent) == BURST + 6
    assert newcomer.payloads[BURST].startswith(KEY)
    assert newcomer.is_continuous()
    assert newcomer.never_goes_back()
    assert newcomer.sender.dropped == 101 - BURST // 3


@pytest.mark.parametrize(("bound", "value"), [("MAX_PACKETS", 200), ("MAX_BYTES", 2000), ("MAX_AGE", 3.0)])
def test_a_cache_that_grows_too_large_is_given_up(monkeypatch: pytest.MonkeyPatch, bound: str, value: float) -> None:
    """Beyond its bounds in packets, bytes and seconds the cache holds nothing; a newcomer then asks for a key frame."""
    monkeypatch.setattr(f"smproxy.origin.forward.gop_cache.{bound}", value)
    clock, publisher, early = watched()
    publisher.frame(key=True)
    publisher.frames(100)
    publisher.wanted = 0
    newcomer = Subscriber(clock)
    newcomer.sender.attach(publisher.forwarder)
    assert publisher.wanted == 1
    assert newcomer.sent == []
    publisher.frame(key=True)
    assert len(newcomer.sent) == 3
    assert len(early.sent) == publisher.made


def test_h264_parameter_sets_come_first_even_when_they_came_late() -> None:
    """SPS and PPS in packets of their own belong to the key frame; overtaken by its slices they still get their place."""
    clock, publisher, early = watched("H264")
    publisher.frame()
    sps, pps, idr = b"\x67\x42\x00\x1f\x8c", b"\x68\xce", b"\x65\x88"
    packets = [rtp(1000 + at, 900, unit, marker=at == 2) for at, unit in enumerate([sps, pps, idr])]
    publisher.track.packet(rtp(999, 500, b"\x41inter"))
    for data in (packets[2], packets[1], packets[0]):
        publisher.track.packet(data)
    newcomer = Subscriber(clock, codec="H264")
    newcomer.sender.attach(publisher.forwarder)
    assert newcomer.payloads == [sps, pps, idr]
    assert newcomer.is_continuous()
    assert sorted(early.sent, key=lambda each: each.sequence)[-3:] == [
        each._replace(sequence=(early.sent[0].sequence + at) & 0xFFFF, timestamp=early.sent[0].timestamp)
        for at, each in zip([-2, -1, 0], newcomer.sent, strict=True)
    ]


def test_a_late_packet_of_the_frame_before_is_not_taken_for_the_key_frames() -> None:
    """What arrives between the first packets of a key frame but belongs before it is no part of the cache."""
    clock, publisher, _ = watched("H264")
    sei, sps = b"\x06\x05", b"\x67\x42\x00\x1f\x8c"
    before = [rtp(1000 + at, 500, b"\x65key" if at == 0 else b"\x41%d" % at) for at in range(3)]
    for data in (before[0], before[1], rtp(1003, 900, sei), before[2], rtp(1004, 900, sps)):
        publisher.track.packet(data)
    newcomer = Subscriber(clock, codec="H264")
    newcomer.sender.attach(publisher.forwarder)
    assert newcomer.payloads == [sei, sps]


# late and repeated packets --------------------------------------------------------------------------------------------


def test_a_repeated_packet_is_sent_once() -> None:
    """What the publisher's network doubles is not doubled for everybody."""
    _, publisher, subscriber = watched()
    publisher.frame(key=True)
    for data in publisher.make_frame():
        publisher.track.packet(data)
        publisher.track.packet(data)
    assert len(subscriber.sent) == 6
    assert subscriber.is_continuous()


def test_a_late_packet_reaches_who_still_is_in_the_cache_once() -> None:
    """A newcomer that is past its place gets it at once, one that is not gets it in its place; neither loses another."""
    for place in (2, BURST + 20):
        clock = FakeTime()
        publisher, newcomer = Publisher(clock), Subscriber(clock)
        packets = [data for number in range(60) for data in publisher.make_frame(key=number == 0)]
        late = packets.pop(place)
        for data in packets:
            publisher.track.packet(data)
        newcomer.sender.attach(publisher.forwarder)
        publisher.track.packet(late)
        publisher.frames(20)
        assert sorted(int(each.rpartition(b"#")[2]) for each in newcomer.payloads) == list(range(1, publisher.made + 1))
        assert newcomer.is_continuous() == (place > BURST)
        assert len({each.sequence for each in newcomer.sent}) == publisher.made


def test_a_packet_from_before_the_beginning_is_not_sent() -> None:
    """A late packet of frames that a subscriber never got has no number of its own there."""
    clock, publisher, early = watched()
    publisher.frame(key=True)
    late, *others = publisher.make_frame()
    for data in others:
        publisher.track.packet(data)
    publisher.frame(key=True)
    newcomer = Subscriber(clock)
    newcomer.sender.attach(publisher.forwarder)
    publisher.frame()
    publisher.track.packet(late)
    assert late[12:] in early.payloads
    assert late[12:] not in newcomer.payloads
    assert len(newcomer.sent) == 6


def test_a_packet_that_is_far_too_late_takes_no_place_in_the_history() -> None:
    """It is dropped, and the newer packet that would share its place can still be asked for."""
    _, publisher, subscriber = watched()
    publisher.frame(key=True)
    late, *others = publisher.make_frame(packets=HISTORY + 2)
    for data in others:
        publisher.track.packet(data)
    publisher.track.packet(late)
    assert late[12:] not in subscriber.payloads
    asked = next(each for each in subscriber.sent if each.payload == others[HISTORY - 1][12:])
    assert subscriber.sender.nack([asked.sequence]) == 1


def test_audio_begins_now() -> None:
    """Sound from before a newcomer is not sent to it."""
    clock, publisher, _ = watched("opus")
    for _ in range(3):
        publisher.sound()
    newcomer = Subscriber(clock, codec="opus")
    newcomer.sender.attach(publisher.forwarder)
    assert newcomer.sent == []
    publisher.sound()
    assert newcomer.payloads == [b"sound#4"]


# slow and broken clients ----------------------------------------------------------------------------------------------


def test_a_short_stall_loses_nothing() -> None:
    """A socket that was full for a moment gets what it missed."""
    _, publisher, subscriber = watched()
    publisher.frame(key=True)
    subscriber.full = True
    publisher.frames(2)
    subscriber.full = False
    publisher.frames(2)
    assert len(subscriber.sent) == publisher.made
    assert subscriber.is_continuous()
    assert subscriber.sender.dropped == 0


def test_a_slow_subscriber_loses_whole_frames_and_goes_on_at_a_key_frame() -> None:
    """Too far behind it gets nothing until a key frame; the sequence has no gap, and nobody else notices."""
    clock, publisher, slow = watched()
    quick = Subscriber(clock, seed=2)
    quick.sender.attach(publisher.forwarder)
    publisher.frame(key=True)
    publisher.wanted = 0
    slow.full = True
    publisher.frames(MAX_LAG)
    slow.full = False
    publisher.frames(10)
    assert len(slow.sent) == 3
    publisher.frame(key=True)
    publisher.frame()
    assert len(slow.sent) == 9
    assert slow.payloads[3].startswith(KEY)
    assert slow.is_continuous()
    assert slow.sender.dropped == MAX_LAG + 10
    assert slow.sender.frames + slow.sender.dropped == quick.sender.frames
    assert len(quick.sent) == publisher.made
    assert quick.is_continuous()
    assert publisher.wanted == 0, "a slow client makes the publisher send no key frames"


def test_a_client_that_takes_no_sound_hears_a_loss() -> None:
    """Audio that cannot be sent is not sent later; its number is a gap."""
    _, publisher, subscriber = watched("opus")
    publisher.sound()
    subscriber.full = True
    publisher.sound()
    subscriber.full = False
    publisher.sound()
    first, last = subscriber.sent
    assert (last.sequence - first.sequence) & 0xFFFF == 2
    assert subscriber.sender.dropped == 1


def test_a_broken_sender_is_let_go_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """One that raises, live or at its first packet, is detached and logged; the others get everything."""
    clock, publisher, good = watched()
    bad, worse, last = Subscriber(clock), Subscriber(clock), Subscriber(clock)
    for each in (bad, last):
        each.sender.attach(publisher.forwarder)
    publisher.frame(key=True)
    bad.broken = worse.broken = True
    publisher.frames(2)
    worse.sender.attach(publisher.forwarder)
    publisher.frame()
    assert bad.sender.attached is None
    assert worse.sender.attached is None
    assert len(good.sent) == len(last.sent) == publisher.made
    assert caplog.text.count("is let go") == 2
    caplog.clear()


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_a_sender_may_be_detached_by_its_own_sending(cached: bool, taken: bool) -> None:
    """A peer that finds out while it sends that its client is gone gets nothing more, and the others get everything."""
    clock, publisher, other = watched()
    publisher.frame(key=True)
    publisher.frames(20)
    leaving = Subscriber(clock)

    def leave(packets: Sequence[bytes]) -> bool:
        calls.append(read(packets[-1]).sequence)
        leaving.sender.detach()
        return taken

    calls: list[int] = []
    if cached:
        leaving.sender._write = leave
        leaving.sender.attach(publisher.forwarder)
    else:
        leaving.sender.attach(publisher.forwarder)
        publisher.frames(2)
        leaving.sender._write = leave
        publisher.frame()
    before = len(calls)
    publisher.frames(3)
    leaving.sender.tick()
    publisher.frame(key=True)
    assert len(calls) == before == 1
    assert leaving.sender.attached is None
    leaving.sender._write = leaving._write
    leaving.sender.attach(publisher.forwarder)
    assert leaving.payloads[-3].startswith(KEY)
    assert leaving.sent[-3].sequence == (calls[0] + 1) & 0xFFFF, "a number was used twice"
    assert len(other.sent) == publisher.made


# what subscribers ask for ---------------------------------------------------------------------------------------------


def test_a_nack_is_answered_with_the_same_packets() -> None:
    """What is asked for comes again as it was; a repeat of the question within the spacing is ignored."""
    clock, publisher, subscriber = watched()
    publisher.frame(key=True)
    publisher.frames(3)
    asked = [subscriber.sent[2], subscriber.sent[7]]
    count = len(subscriber.sent)
    numbers = [each.sequence for each in asked]
    assert subscriber.sender.nack(numbers) == 2
    assert subscriber.sent[count:] == asked
    assert subscriber.sender.nack(numbers) == 0
    clock.now += RESEND_SPACING * 1.5
    assert subscriber.sender.nack(numbers) == 2
    assert subscriber.sender.resent == 4


def test_only_what_was_sent_and_is_not_too_old_is_sent_again() -> None:
    """Numbers of the future, of before the beginning, and beyond the history bring nothing."""
    clock, publisher, _ = watched()
    publisher.frame(key=True)
    publisher.frames(10)
    subscriber = Subscriber(clock)
    subscriber.sender.attach(publisher.forwarder)
    first, last = subscriber.sent[0].sequence, subscriber.sent[-1].sequence
    assert subscriber.sender.nack([(first - 1) & 0xFFFF, (last + 1) & 0xFFFF]) == 0
    publisher.frame(packets=HISTORY)
    assert subscriber.sender.nack([first, last]) == 0
    assert subscriber.sender.nack([(last + 1) & 0xFFFF]) == 1


def test_repeats_are_bounded_in_a_second() -> None:
    """A client that asks for everything all the time is answered up to a bound."""
    clock, publisher, subscriber = watched()
    publisher.frame(key=True, packets=400)
    everything = [each.sequence for each in subscriber.sent]
    answered = 0
    for _ in range(10):
        answered += subscriber.sender.nack(everything)
        clock.now += 0.05
    assert answered == MAX_RESENT
    clock.now += 1
    assert subscriber.sender.nack(everything) == 400


def test_a_flood_of_nacks_is_not_read() -> None:
    """A client that keeps asking for what it cannot have is not listened to before the second is over, then it is."""
    clock, publisher, subscriber = watched()
    publisher.frame(key=True, packets=400)
    last = subscriber.sent[-1].sequence
    for _ in range(MAX_ASKED // 512):
        assert subscriber.sender.nack([(last + 1) & 0xFFFF] * 512) == 0
    assert subscriber.sender.nack([last]) == 0
    clock.now += 1
    assert subscriber.sender.nack([last]) == 1


@given(st.lists(st.integers(0, 0xFFFF), max_size=50))
def test_any_nack_is_harmless(sequences: list[int]) -> None:
    """Whatever numbers are asked for, only packets that were sent are sent again."""
    _, publisher, subscriber = watched()
    assert subscriber.sender.nack(sequences) == 0
    publisher.frame(key=True)
    sent = set(subscriber.sent)
    subscriber.sender.nack(sequences)
    assert set(subscriber.sent) == sent


def test_a_picture_loss_goes_to_the_publisher_unless_a_key_frame_is_on_its_way() -> None:
    """A live client's request is passed on; one from a client that is still in the cache is not, nor one for audio."""
    clock, publisher, subscriber = watched()
    publisher.frame(key=True)
    publisher.frames(50)
    publisher.wanted = 0
    newcomer = Subscriber(clock)
    newcomer.sender.attach(publisher.forwarder)
    newcomer.sender.pli()
    assert publisher.wanted == 0
    subscriber.sender.pli()
    assert publisher.wanted == 1
    _, sound, listener = watched("opus")
    listener.sender.pli()
    assert sound.wanted == 0


def test_the_statistics_are_what_was_sent_and_what_the_client_reports() -> None:
    """Counters are the slot's own, loss is the client's, the picture's size the publisher's."""
    _, publisher, subscriber = watched()
    publisher.frame(key=True)
    subscriber.sender.reported(ReportBlock(4242, 0.25, 12, 100, 0, 0, 0))
    report = subscriber.sender.statistics("a1", "video_main")
    assert (report.track, report.codec, report.packets, report.lost) == ("video_main", "VP8", 3, 12)
    assert report.bytes == sum(12 + len(each.payload) for each in subscriber.sent)
    assert (report.frames, report.key_frames, report.width, report.height) == (1, 1, 640, 480)


def test_a_muted_client_goes_on_where_it_was() -> None:
    """Paused it gets nothing; resumed, what it missed since the last key frame, which needs no request."""
    _, publisher, subscriber = watched()
    publisher.frame(key=True)
    subscriber.sender.pause()
    publisher.frames(3)
    assert len(subscriber.sent) == 3
    publisher.wanted = 0
    subscriber.sender.resume()
    publisher.frame()
    assert len(subscriber.sent) == publisher.made
    assert subscriber.is_continuous()
    assert publisher.wanted == 0
    subscriber.sender.pause()
    publisher.frames(2)
    publisher.frame(key=True)
    subscriber.sender.resume()
    assert subscriber.payloads[15].startswith(KEY)
    assert subscriber.is_continuous()
    assert subscriber.never_goes_back()


# another source -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["VP8", "opus"])
def test_a_republished_stream_goes_on_in_the_same_sequence(codec: str) -> None:
    """Another publisher's numbers and timestamps are joined to the last ones: no gap, and the time that passed."""
    clock, old, subscriber = watched(codec)
    send = (lambda each: each.sound()) if codec == "opus" else (lambda each: each.frame(key=True))
    send(old)
    send(old)
    last = subscriber.sent[-1]
    count = len(subscriber.sent)
    frame = clock.now
    old.forwarder.close()
    assert subscriber.sender.attached is None
    clock.now += 2
    new = Publisher(clock, codec=codec, sequence=5, timestamp=77)
    subscriber.sender.attach(new.forwarder)
    passed = clock.now - frame
    send(new)
    first = subscriber.sent[count]
    assert subscriber.is_continuous()
    rate = subscriber.sender.clock_rate
    shown = 0.02 if codec == "opus" else 3000 / 90000
    assert (first.timestamp - last.timestamp) & 0xFFFFFFFF == pytest.approx((passed + shown) * rate, abs=2)
    assert first.ssrc == last.ssrc


def test_a_switch_to_a_running_stream_does_not_turn_time_back() -> None:
    """A key frame from the cache may be older than what was shown last; timestamps grow all the same."""
    clock, one, subscriber = watched()
    other = Publisher(clock, sequence=5, timestamp=77)
    other.frame(key=True)
    one.frame(key=True)
    for _ in range(30):
        one.frame()
        other.frame()
    subscriber.sender.attach(other.forwarder)
    other.frame()
    assert subscriber.is_continuous()
    assert subscriber.never_goes_back()
    assert subscriber.sent[93].payload == KEY + b"#1"
    assert subscriber.sent[93].timestamp != subscriber.sent[92].timestamp
    other.frames(3)
    one.frame()
    assert subscriber.payloads[-1] == MIDDLE + b"#%d" % other.made


def test_a_track_of_which_nothing_could_be_sent_leaves_no_trace() -> None:
    """With a full socket all the while one track was attached, the next one joins what was really shown last."""
    clock, one, subscriber = watched()
    one.frame(key=True)
    last = subscriber.sent[-1]
    other = Publisher(clock, sequence=5, timestamp=0x90000000)
    other.frame(key=True)
    subscriber.full = True
    subscriber.sender.attach(other.forwarder)
    other.frames(2)
    subscriber.full = False
    subscriber.sender.attach(one.forwarder)
    one.frame()
    assert subscriber.is_continuous()
    first = subscriber.sent[3]
    assert 0 < (first.timestamp - last.timestamp) & 0xFFFFFFFF < 90000


def test_another_codec_or_clock_is_refused() -> None:
    """What the client did not negotiate is not sent to it, and what it was shown before stays."""
    clock, publisher, subscriber = watched()
    other = Publisher(clock, codec="H264")
    with pytest.raises(ValueError, match=r"track t is H264/90000, the subscriber takes VP8/90000: publish with VP8"):
        subscriber.sender.attach(other.forwarder)
    assert subscriber.sender.attached is publisher.forwarder


def test_a_publisher_that_restarts_its_source_is_followed() -> None:
    """Another SSRC, or a jump, is a new beginning: video waits for a key frame, numbers and timestamps go on."""
    clock, publisher, subscriber = watched()
    publisher.frame(key=True)
    for change in ("ssrc", "jump"):
        if change == "ssrc":
            publisher.ssrc = 99
        publisher.sequence += 20_000
        publisher.timestamp += 123_456_789
        publisher.wanted = 0
        count = len(subscriber.sent)
        publisher.frame()
        assert len(subscriber.sent) == count
        assert publisher.wanted == 1
        publisher.frame(key=True)
        assert len(subscriber.sent) == count + 3
        assert (subscriber.sent[-1].timestamp - subscriber.sent[count - 1].timestamp) & 0xFFFFFFFF == pytest.approx(
            2 * 3000, abs=4
        )
    assert subscriber.is_continuous()
    assert clock.now > 100


# sender reports -------------------------------------------------------------------------------------------------------


def relation(report: bytes) -> tuple[int, int]:
    """NTP time and timestamp of a sender report."""
    assert report[1] == 200
    ntp, timestamp = struct.unpack_from("!QI", report, 8)
    return ntp, timestamp


def test_reports_keep_the_publishers_relation_of_time_and_timestamps() -> None:
    """A subscriber that maps timestamps to NTP time gets what the publisher's own receiver would get, at any moment."""
    clock, publisher, subscriber = watched()
    assert subscriber.sender.sender_report(clock.now) is None
    publisher.frame(key=True)
    assert subscriber.sender.sender_report(clock.now) is None
    captured = publisher.timestamp - 3000
    ntp = 0xE0000000_80000000
    publisher.track.sender_report(SenderReport(7, ntp, (captured + 450) & 0xFFFFFFFF))
    report = subscriber.sender.sender_report(clock.now)
    assert report is not None
    assert relation(report) == (ntp, (subscriber.sent[0].timestamp + 450) & 0xFFFFFFFF)
    packets, octets = struct.unpack_from("!II", report, 20)
    assert (packets, octets) == (3, sum(len(each.payload) for each in subscriber.sent))
    report = subscriber.sender.sender_report(clock.now + 1.5)
    assert report is not None
    assert relation(report) == (ntp + (3 << 31), (subscriber.sent[0].timestamp + 450 + 135_000) & 0xFFFFFFFF)


def test_a_report_of_another_source_is_not_used() -> None:
    """After the publisher's source changed, the old one's report says nothing about the new timestamps."""
    clock, publisher, subscriber = watched()
    publisher.frame(key=True)
    publisher.track.sender_report(SenderReport(7, 1 << 40, 5))
    publisher.ssrc = 8
    publisher.frame(key=True)
    assert subscriber.sender.sender_report(clock.now) is None
    publisher.track.sender_report(SenderReport(8, 1 << 40, publisher.timestamp - 3000))
    report = subscriber.sender.sender_report(clock.now)
    assert report is not None
    assert relation(report)[1] == subscriber.sent[-1].timestamp
