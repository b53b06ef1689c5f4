"""What comes over UDP: STUN, RTP, RTCP, the frames in it, and the recordings that are made of them."""

from __future__ import annotations

import logging
import struct
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from smproxy.origin import stun
from smproxy.origin.codecs import DEPACKETIZERS, FRAME_START
from smproxy.origin.codecs.frame import MAX_FRAME
from smproxy.origin.codecs.h264_sps import sps_size
from smproxy.origin.forward.feedback import MAX_NAMED, Nack, Remb, read_feedback
from smproxy.origin.recording.disk_space import RecordingStore
from smproxy.origin.recording.matroska import read_header
from smproxy.origin.recording.recording import QueuedPacket, Recording
from smproxy.origin.rtcp_receiver import read_sender_reports, write_nack
from smproxy.origin.rtp_packet import RtpPacket, payload_of
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

_PASSWORD = "p" * 22


def stun_messages(data: bytes) -> None:
    """A datagram: only what is addressed to us and signed with our password is a request."""
    stun.read_ufrag(data)
    stun.read_reply(data)
    assert stun.read_request(data, "abcd", "efgh", _PASSWORD) is None or _PASSWORD.encode() not in data
    body = data[: len(data) // 4 * 4][:400]
    signed = stun._sign(stun.BINDING_REQUEST, bytes(12), body, _PASSWORD)
    found = stun.read_request(signed, "abcd", "efgh", _PASSWORD)
    if found is not None:
        assert b"abcd:efgh" in body, "a request for somebody else was taken"
    assert stun.read_request(signed, "abcd", "efgh", "q" * 22) is None, "another password was taken"


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut into packets: two bytes say how long the next one is."""
    position = 0
    while position + 2 <= len(data):
        size = int.from_bytes(data[position : position + 2], "big") % 1500
        yield data[position + 2 : position + 2 + size]
        position += 2 + size


def rtp_packets(data: bytes) -> None:
    """RTP of a publisher: packets with numbers, each no longer than what came, in bounded memory."""
    for codec, kind, rate in (("VP8", Kind.VIDEO, 90000), ("opus", Kind.AUDIO, 48000)):
        now = [0.0]
        taken: list[RtpPacket] = []
        track = Track("t", kind, codec, rate, lambda now=now: now[0])
        track.attach(taken.append)
        longest = 0
        for packet in _pieces(data):
            now[0] += 0.01
            longest = max(longest, len(packet))
            assert len(payload_of(packet)) <= len(packet)
            if len(packet) >= 12 and packet[0] >> 6 == 2:
                track.packet(packet)
        assert len(track.reception.missing) <= 128
        for each in taken:
            assert len(each.payload) <= longest
            assert each.number >= 0
        track.reception.report_block(now[0])


def rtcp_packets(data: bytes) -> None:
    """RTCP of anybody: bounded lists; what NACKs name is written and read the same."""
    read_sender_reports(data)
    named = 0
    for each in read_feedback(data):
        if isinstance(each, Nack):
            named += len(each.sequences)
            ascending = sorted(set(each.sequences))[:200]
            if ascending:
                (again,) = read_feedback(write_nack(1, each.media_ssrc, ascending))
                assert isinstance(again, Nack)
                assert list(again.sequences) == ascending
        elif isinstance(each, Remb):
            assert each.bitrate >= 0
    assert named <= MAX_NAMED


def depacketizers(data: bytes) -> None:
    """Payloads of any codec: frames of bounded size, none without a key frame before it after a loss."""
    sps_size(data)
    for codec, make in DEPACKETIZERS.items():
        depacketizer = make()
        start = FRAME_START.get(codec)
        for number, payload in enumerate(_pieces(data)):
            marker, timestamp = (payload[-1:] > b"\x80", payload[-1] // 16) if payload else (False, 0)
            begins = start(payload) if start is not None else None
            packet = RtpPacket(number, timestamp, 0x80 * marker, payload, number / 100, begins)
            for frame in depacketizer.push(packet):
                assert len(frame.data) <= 2 * MAX_FRAME
                assert 0 <= frame.duration <= 0.12


def recordings(data: bytes) -> None:
    """A recording of whatever comes: a file with a header that can be read, or an error of one line."""
    logging.disable(logging.CRITICAL)
    video = "H264" if data[:1] > b"\x80" else "VP8"
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        queue: deque[QueuedPacket] = deque()
        recording = Recording(
            RecordingStore(Path(folder), 1 << 30, keep_free=0),
            "a.mkv",
            {Kind.VIDEO: (video, 90000), Kind.AUDIO: ("opus", 48000)},
            queue,
            append=False,
            ask=lambda: None,
        )
        for number, payload in enumerate(_pieces(data[1:])):
            kind = Kind.AUDIO if number % 4 == 3 else Kind.VIDEO
            start = FRAME_START[video](payload) if kind is Kind.VIDEO else None
            marker = 0x80 * bool(payload[-1:] > b"\x80")
            packet = RtpPacket(number // 4 * 3 + number % 4, number * 3000, marker, payload, number / 30, start)
            queue.append(QueuedPacket(kind, packet, None))
            recording.step(number / 30)
        recording.closed_at = 1000.0
        recording.step(1000.0)
        outcome = recording.outcome
        assert outcome is not None
        files = list(Path(folder).iterdir())
        if outcome.error is None:
            (file,) = files
            written = file.read_bytes()
            assert read_header(written) is not None, "a recording without a header"
            assert len(written) == outcome.size
        else:
            assert outcome.error == "no media came that could be recorded", outcome.error


def headers_of_files(data: bytes) -> None:
    """A file that is appended to: its header, or ``None`` when it is not one of ours."""
    read_header(data)


def _cut(*packets: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(packet)) + packet for packet in packets)


def _rtp(sequence: int, payload: bytes, timestamp: int = 0, kind: int = 96) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, sequence, timestamp, 1) + payload


_KEY = b"\x10\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00" + bytes(20) + b"\xf0"
_DELTA = b"\x10\x11\x02\x00" + bytes(20) + b"\xf0"
_SPS = bytes.fromhex("6742c01fdb014016ec0440000003004000000c83c60ca8")
_PPS = bytes.fromhex("68ce3c80")
_STAP = b"\x18" + _cut(_SPS, _PPS)
_IDR = b"\x65\x88\x84" + bytes(20) + b"\xf0"
_CHECK = (
    struct.pack("!HH", 6, 9) + b"abcd:efgh" + bytes(3) + struct.pack("!HHI", 0x24, 4, 1) + struct.pack("!HH", 0x25, 0)
)

TARGETS = {
    "stun": (
        stun_messages,
        (
            _CHECK,
            stun.write_request(bytes(12), "abcd:efgh", _PASSWORD, 7),
            stun.write_response(bytes(12), ("::1", 9), "p"),
        ),
        (b"\x00\x06", b"\x00\x08\x00\x14", b"\x80\x28", b"\x21\x12\xa4\x42", b"abcd:efgh", b"\x00\x25\x00\x00"),
    ),
    "rtp": (
        rtp_packets,
        (
            _cut(_rtp(65534, _KEY), _rtp(65535, _DELTA, 3000), _rtp(1, _DELTA, 6000), _rtp(40000, _DELTA, 9000)),
            _cut(_rtp(1, b"\xfc\x01"), b"\xb0\x60" + bytes(10) + b"\xbe\xde\x00\x01\x10\xff\x00\x00" + _KEY + b"\x01"),
        ),
        (b"\x80\x60", b"\xbe\xde", b"\xff\xff", b"\x00\x0c"),
    ),
    "rtcp": (
        rtcp_packets,
        (
            write_nack(1, 2, [1, 2, 3, 65535]),
            bytes.fromhex("81c9000700000001000000020000000300000004000000050000000600000007"),
            bytes.fromhex("8fce0006000000010000000052454d420203d09000000002000000038001cb"),
            bytes.fromhex("80c80006000000010000000200000003000000040000000500000006"),
        ),
        (b"\x81\xcd", b"\x8f\xce", b"REMB", b"\x80\xc8\x00\x06", b"\xff\xff", b"\xa1"),
    ),
    "depacketizers": (
        depacketizers,
        (
            _cut(_KEY, _DELTA, _DELTA),
            _cut(_STAP, _IDR),
            _cut(b"\x7c\x85" + bytes(9), b"\x7c\x45" + bytes(9) + b"\xf1"),
            _SPS,
        ),
        (b"\x9d\x01\x2a", b"\x18", b"\x7c\x85", b"\x7c\x45", b"\x67\x42", b"\x00\x0c", b"\xff\xff", b"\x90\x80"),
        2,
    ),
    "recordings": (
        recordings,
        (
            b"\x00" + _cut(_KEY, _DELTA, _DELTA, b"\xfc\x01", _DELTA),
            b"\xff" + _cut(_STAP, _IDR, _IDR, b"\xfc", _STAP, _IDR),
        ),
        (b"\x9d\x01\x2a", b"\x18", b"\x7c\x85", b"\x00\x0c", b"\xfc"),
        8,
    ),
    "file-headers": (
        headers_of_files,
        (
            bytes.fromhex(
                "1a45dfa39f4286810142f7810142f2810442f381084282847765626d42878104428581021853806701ffffffffffffff"
            ),
        ),
        (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\x1c\x53\xbb\x6b", b"\xff" * 8, b"\x01\x00"),
    ),
}
