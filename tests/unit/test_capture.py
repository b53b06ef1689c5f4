"""What is kept of packets, and how it is written."""

from __future__ import annotations

import struct

from smproxy.capture.file_name import file_name
from smproxy.capture.packet import Packet
from smproxy.capture.pcapng import write_kept, write_start
from smproxy.capture.ring import FIRST, MAX_ENDED, CaptureRing, CaptureRings


def _packet(number: int, size: int = 100) -> Packet:
    return Packet(1.5 + number, ("192.0.2.1", 4000), ("192.0.2.2", 5000), bytes([number % 4]) * size)


def _blocks(content: bytes) -> list[tuple[int, bytes]]:
    blocks, at = [], 0
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", content, at + length - 4) == (length,)
        blocks.append((kind, content[at + 8 : at + length - 4]))
        at += length
    return blocks


def test_the_first_and_the_latest_are_kept() -> None:
    """A full ring has the first packets and the latest ones, within its share, and says how many are missing."""
    ring = CaptureRing(share=50 * 300)
    for number in range(FIRST + 500):
        ring.add(_packet(number))
    kept = ring.since(0)
    assert [each.at for each in kept.packets[:FIRST]] == [1.5 + n for n in range(FIRST)]
    assert [each.at for each in kept.packets[FIRST:]] == [1.5 + n for n in range(FIRST + 450, FIRST + 500)]
    assert (kept.missing, kept.gap_at) == (450, FIRST)


def test_what_came_since() -> None:
    """A follower gets every packet once, and is told how many it missed."""
    ring = CaptureRing(share=50 * 300)
    for number in range(FIRST + 10):
        ring.add(_packet(number))
    assert ring.since(FIRST - 5).packets == [_packet(n) for n in range(FIRST - 5, FIRST + 10)]
    assert ring.since(FIRST + 4).packets == [_packet(n) for n in range(FIRST + 4, FIRST + 10)]
    assert ring.since(FIRST + 10) == ([], 0, 0)
    for number in range(FIRST + 10, FIRST + 110):
        ring.add(_packet(number))
    kept = ring.since(FIRST + 20)
    assert (len(kept.packets), kept.missing, kept.gap_at) == (50, 40, 0)


def test_sessions_share_the_memory() -> None:
    """All rings together keep no more than the total, however many there are; of ended ones only the latest stay."""
    rings = CaptureRings(total=120_000)
    for session in range(4):
        ring = rings.open(str(session))
        for number in range(FIRST + 1000):
            ring.add(_packet(number))
    later = [rings.find(str(session)) for session in range(4)]
    assert sum(len(each.since(0).packets) - FIRST for each in later if each) <= 120_000 / 300
    for session in range(4, MAX_ENDED + 6):
        rings.open(str(session))
        rings.end(str(session))
    assert rings.find("4") is None
    assert rings.find("0") is later[0]
    assert rings.find(str(MAX_ENDED + 5)) is not None


def test_a_file() -> None:
    """A file has a section, an interface and packets with their time and IP headers; a gap is a comment."""
    ring = CaptureRing(share=300)
    for number in range(FIRST + 3):
        ring.add(_packet(number))
    blocks = _blocks(write_start("smproxy", ["whose\x00"]) + write_kept(ring.since(0)))
    assert [kind for kind, _ in blocks] == [0x0A0D0D0A, 1, 1, *[6] * (FIRST + 1)]
    interface, high, low, captured, original = struct.unpack_from("<IIIII", blocks[3][1])
    assert interface == 0
    assert (high << 32 | low) == 1_500_000
    assert captured == original == 128
    assert blocks[3][1][20:21] == b"\x45"
    assert b"2 packets before this one" in blocks[-1][1]
    assert sum(b"packets before" in body for _, body in blocks) == 1


def test_ipv6_headers() -> None:
    """A packet between IPv6 addresses has an IPv6 header; an IPv4 address on one end is its mapped one."""
    for source in ("2001:db8::1", "192.0.2.1"):
        packet = Packet(0, (source, 1), ("2001:db8::2%eth0", 2), b"x")
        (block,) = _blocks(write_kept(CaptureRing().since(0)._replace(packets=[packet])))
        assert block[1][20] >> 4 == 6


def test_file_names() -> None:
    """A file's name has nothing of a client that a file system would take for more than a name."""
    assert file_name("../a", "publisher", "b/c\x00", 7) == "_a-publisher-b_c_-7.pcapng"
    assert file_name(None, "subscriber", None, 8) == "subscriber-8.pcapng"


def test_decrypted_media_is_an_exported_pdu() -> None:
    """Media is written with the name of its protocol, which Wireshark then needs no setting to show."""
    for second, name in ((96, b"rtp\x00"), (200, b"rtcp")):
        packet = Packet(0, ("192.0.2.1", 1), ("2001:db8::2", 2), bytes([0x80, second]) + bytes(10))
        (block,) = _blocks(write_kept(CaptureRing().since(0)._replace(packets=[packet])))
        assert struct.unpack_from("<I", block[1]) == (1,)
        assert block[1][20:28] == struct.pack("!HH", 12, 4) + name
