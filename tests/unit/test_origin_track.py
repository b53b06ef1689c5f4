"""A track's counters, its key frame requests and its sinks."""

from __future__ import annotations

import logging
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.rtp_packet import FrameStart, RtpPacket
from smproxy.origin.ssrc_selection import SourceSelection
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

from tests.fake_clock import FakeTime

KEY = bytes.fromhex("1050b4019d012a8002e001")
INTER = bytes.fromhex("10b1b401")
MIDDLE = b"\x00more"


def rtp(sequence: int, timestamp: int, payload: bytes, ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, 97, sequence & 0xFFFF, timestamp, ssrc) + payload


def video(clock: FakeTime | None = None) -> Track:
    track = Track("video_main", Kind.VIDEO, "VP8", 90000, clock or FakeTime())
    track.started = True
    return track


def test_frames_and_key_frames_are_counted_once() -> None:
    """A frame of several packets is one frame; a key frame gives the size."""
    track = video()
    for sequence, (timestamp, payload) in enumerate(
        [(0, KEY), (0, MIDDLE), (3000, INTER), (3000, MIDDLE), (6000, INTER), (9000, KEY)]
    ):
        track.packet(rtp(sequence, timestamp, payload))
    report = track.statistics("a1")
    assert (report.packets, report.frames, report.key_frames) == (6, 4, 2)
    assert (report.width, report.height, report.lost) == (640, 480, 0)


def test_a_key_frame_whose_start_comes_late_is_seen() -> None:
    """A retransmitted first packet still decides what its frame is."""
    track = video()
    track.packet(rtp(1, 0, INTER))
    track.packet(rtp(3, 3000, MIDDLE))
    track.packet(rtp(2, 3000, KEY))
    assert track.key_frames == 1


def test_a_gap_is_asked_for_and_then_a_key_frame() -> None:
    """Missing packets are NACKed a few times; when they do not come a key frame is wanted."""
    clock = FakeTime()
    track = video(clock)
    gaps: list[list[int]] = []
    track.can_repair = True
    track.on_gap = lambda each: gaps.append(each.nacks())
    track.packet(rtp(1, 0, KEY))
    track.packet(rtp(4, 3000, MIDDLE))
    assert gaps == [[2, 3]]
    assert not track.needs_pli(clock.now, 3.0)
    assert track.nacks() == [2, 3]
    assert track.nacks() == []
    assert track.needs_pli(clock.now, 3.0)
    assert not track.needs_pli(clock.now + 0.4, 3.0)
    assert track.needs_pli(clock.now + 0.6, 3.0)
    track.packet(rtp(5, 6000, KEY))
    assert not track.needs_pli(clock.now + 1.2, 3.0)


def test_without_nack_a_gap_wants_a_key_frame_at_once() -> None:
    """A client that cannot retransmit is asked for a key frame."""
    clock = FakeTime()
    track = video(clock)
    track.packet(rtp(1, 0, KEY))
    track.packet(rtp(3, 3000, INTER))
    assert track.needs_pli(clock.now, 3.0)


def test_key_frames_are_asked_for_until_one_came_and_then_in_the_interval() -> None:
    """Before the first key frame a PLI goes out every half second; after it, when the interval is over."""
    clock = FakeTime()
    track = video(clock)
    track.packet(rtp(1, 0, INTER))
    assert track.needs_pli(100.0, 3.0)
    assert not track.needs_pli(100.3, 3.0)
    assert track.needs_pli(100.5, 3.0)
    clock.now = 101.0
    track.packet(rtp(2, 3000, KEY))
    assert not track.needs_pli(103.9, 3.0)
    assert track.needs_pli(104.0, 3.0)
    assert not track.needs_pli(104.1, 3.0)


def test_audio_needs_no_key_frame() -> None:
    """Audio counts packets and never asks for anything."""
    track = Track("audio_main", Kind.AUDIO, "opus", 48000, FakeTime())
    track.started = True
    track.packet(rtp(1, 0, b"x"))
    track.packet(rtp(9, 960, b"x"))
    assert not track.needs_pli(1e9, 0.5)
    assert track.nacks() == []
    assert track.statistics("a").lost == 7


def test_a_sink_has_the_packets_between_attach_and_detach() -> None:
    """What is attached gets whole packets in order, after a key frame was asked for; detached it gets nothing."""
    clock = FakeTime()
    track = video(clock)
    track.packet(rtp(1, 0, KEY))
    got: list[RtpPacket] = []
    detach = track.attach(got.append)
    assert track.needs_pli(clock.now, 60.0)
    packets = [rtp(2, 3000, INTER), rtp(3, 3000, MIDDLE)]
    for packet in packets:
        track.packet(packet)
    detach()
    track.packet(rtp(4, 6000, INTER))
    assert [(each.number - got[0].number, each.timestamp, each.payload) for each in got] == [
        (0, 3000, INTER),
        (1, 3000, MIDDLE),
    ]
    assert [each.start for each in got] == [FrameStart(key=False), None]


LOW, HIGH = 11, 12


def size_key(width: int) -> bytes:
    """The first packet of a key frame of this width."""
    return bytes.fromhex("1050b4019d012a") + width.to_bytes(2, "little") + b"\xe0\x01"


class Simulcast:
    """A client that sends a small and a large picture at once, and what a sink gets of it."""

    def __init__(self, *, group: bool = True) -> None:
        self.clock = FakeTime()
        self.track = video(self.clock)
        self.got: list[RtpPacket] = []
        self.track.attach(self.got.append)
        self.asked: list[int] = []
        self.track.on_key_frame_of = self.asked.append
        self.wanted = {LOW: True, HIGH: True}
        self._numbers = {LOW: 100, HIGH: 40_000}
        self._timestamps = {LOW: 0, HIGH: 1_000_000}
        if group:
            self.track.selection = SourceSelection((LOW, HIGH))

    def run(self, frames: int, *sources: int) -> None:
        """Send frames of these sources; one that was asked for a key frame sends one."""
        for _ in range(frames):
            for source in sources:
                first = size_key(320 if source == LOW else 1280) if self.wanted.pop(source, False) else INTER
                for payload in (first, MIDDLE):
                    self.track.packet(rtp(self._numbers[source], self._timestamps[source], payload, ssrc=source))
                    self._numbers[source] += 1
                self._timestamps[source] += 3000
            self.clock.now += 1 / 30
            self.wanted.update(dict.fromkeys(self.asked, True))
            self.asked.clear()


def test_of_several_sizes_the_best_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """A client with simulcast by SSRC is one track: its best picture, counted once, and that is logged once (M4)."""
    client = Simulcast()
    with caplog.at_level(logging.INFO):
        client.run(300, LOW, HIGH)
    report = client.track.statistics("a")
    assert (report.frames, report.width, report.lost) == (301, 1280, 0)  # the first one was small
    assert report.packets == len(client.got) == 602
    assert [packet.restart for packet in client.got].count(True) == 2
    assert sum("several sources" in record.message for record in caplog.records) == 1


def test_when_the_best_stops_the_next_is_taken() -> None:
    """A size that the client's bandwidth does not allow any more is left for one that flows, and taken again when it does;
    each change is at a key frame, which is asked for (M4).
    """
    client = Simulcast()
    client.run(30, LOW, HIGH)
    client.got.clear()
    client.run(60, LOW)
    assert client.track.width == 320
    assert client.got[0].start == FrameStart(key=True, width=320, height=480)
    assert len(client.got) > 2 * 25
    client.got.clear()
    client.run(30, LOW, HIGH)
    assert client.track.width == 1280
    changed = next(index for index, packet in enumerate(client.got) if packet.restart)
    assert client.got[changed].start == FrameStart(key=True, width=1280, height=480)
    assert changed < 2 * 5


def test_sources_that_nobody_announced_do_not_take_turns() -> None:
    """Two sources of one payload type that both go on are one track; one that takes another's place is followed at once."""
    client = Simulcast(group=False)
    client.run(5, LOW)
    client.run(100, LOW, HIGH)
    assert client.track.width == 1280
    assert [packet.restart for packet in client.got].count(True) == 2
    client.got.clear()
    client.run(60, LOW)
    assert len(client.got) > 2 * 25


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 5), st.binary(max_size=30)), max_size=60))
def test_any_packets_are_counted(packets: list[tuple[int, int, bytes]]) -> None:
    """Whatever comes, in whatever order, is counted and does not raise, for both codecs."""
    for codec in ("VP8", "H264"):
        track = Track("video_main", Kind.VIDEO, codec, 90000, FakeTime())
        for sequence, timestamp, payload in packets:
            track.packet(rtp(sequence, timestamp, payload))
        assert track.packets == len(packets)
        assert track.key_frames <= track.frames
