"""The scanner follows frames without changing them, and finds what is wrong before anybody else sees it."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.manager.relay.frames import close_frame, frame, ping_frame, text_frame
from smproxy.manager.relay.message_filter import MessageFilter
from smproxy.manager.relay.scanner import FrameScanner
from websockets.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Close, Frame, Opcode

LIMIT = 1000
MASK = b"\x01\x80\xff\x10"


def feed(scanner: FrameScanner | MessageFilter, data: bytes, cuts: list[int] | None = None) -> bytes:
    """Feed in pieces; every piece of output must end where the scanner says."""
    if cuts is None:
        return scanner.feed(data)
    bounds = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return b"".join(scanner.feed(data[a:b]) for a, b in itertools.pairwise(bounds))


def scan(
    data: bytes, *, masked: bool = False, cuts: list[int] | None = None, limit: int = LIMIT
) -> tuple[FrameScanner, bytes]:
    scanner = FrameScanner(masked=masked, max_message=limit)
    return scanner, feed(scanner, data, cuts)


def wire(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = False) -> bytes:
    """A frame as websockets writes it."""
    return Frame(opcode, data, fin).serialize(mask=mask)


control = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))
text = st.text(max_size=300).map(str.encode)
pieces = st.lists(st.binary(max_size=200), min_size=1, max_size=4)


@st.composite
def conversation(draw: st.DrawFn) -> tuple[list[tuple[Opcode, bytes, bool]], list[bytes | None]]:
    """Frames, and the messages they make."""
    frames: list[tuple[Opcode, bytes, bool]] = []
    said: list[bytes | None] = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from([TEXT, BINARY]))
        payload = draw(text) if kind is TEXT else draw(st.binary(max_size=300))
        said.append(payload if kind is TEXT else None)
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        bounds = [0, *cuts, len(payload)]
        for index, (start, end) in enumerate(itertools.pairwise(bounds)):
            if draw(st.booleans()):
                opcode, data = draw(control)
                frames.append((opcode, data, True))
            frames.append(
                (CONT if index else kind, payload[start:end], end == len(payload) and index == len(bounds) - 2)
            )
    return frames, said


cut_points = st.lists(st.integers(0, 10_000), max_size=20)


@given(conversation(), st.booleans(), cut_points)
def test_valid_frames_pass_unchanged(
    made: tuple[list[tuple[Opcode, bytes, bool]], list[bytes | None]], masked: bool, cuts: list[int]
) -> None:
    """However valid frames are cut into chunks, the same bytes go on and the same messages are heard."""
    frames, said = made
    data = b"".join(wire(opcode, payload, fin=fin, mask=masked) for opcode, payload, fin in frames)
    for how in (None, cuts, list(range(len(data)))):
        scanner, out = scan(data, masked=masked, cuts=how)
        assert (out, scanner.messages, scanner.violation, scanner.to_boundary, scanner.ended) == (
            data,
            said,
            None,
            0,
            False,
        )


@given(st.binary(max_size=400), st.booleans(), cut_points)
def test_garbage_byte_by_byte_agrees_with_all_at_once(data: bytes, masked: bool, cuts: list[int]) -> None:
    """Any bytes give the same messages and the same fault however they are cut, and never an exception."""
    whole, out = scan(data, masked=masked)
    for how in (cuts, list(range(len(data)))):
        parts, piecewise = scan(data, masked=masked, cuts=how)
        assert (parts.messages, parts.violation, parts.close_frame, parts.to_boundary) == (
            whole.messages,
            whole.violation,
            whole.close_frame,
            whole.to_boundary,
        )
        assert piecewise.startswith(out)
        assert data.startswith(piecewise)


@given(conversation(), st.booleans(), cut_points, st.sampled_from(["pass", "drop", "replace"]))
def test_filter_decides_message_by_message(
    made: tuple[list[tuple[Opcode, bytes, bool]], list[bytes | None]], masked: bool, cuts: list[int], verdict: str
) -> None:
    """A filter decides on each message once, lets control frames by, and its output always ends at a boundary."""
    frames, said = made
    data = b"".join(wire(opcode, payload, fin=fin, mask=masked) for opcode, payload, fin in frames)
    judged: list[bytes | None] = []

    def decide(message: bytes | None, raw: bytes) -> bytes:
        judged.append(message)
        inner, _ = scan(raw, masked=masked)
        assert inner.messages == [message]
        return {"pass": raw, "drop": b"", "replace": wire(TEXT, b"other", mask=masked)}[verdict]

    message_filter = MessageFilter(FrameScanner(masked=masked, max_message=LIMIT), decide, max_message=LIMIT)
    out = feed(message_filter, data, cuts)
    after, again = scan(out, masked=masked)
    assert again == out
    assert judged == said == message_filter.messages
    expected = {"pass": said, "drop": [], "replace": [b"other" for _ in said]}[verdict]
    assert after.messages == expected
    assert after.to_boundary == message_filter.to_boundary == 0


def head(first: int, second: int, rest: bytes = b"") -> bytes:
    return bytes((first, second)) + rest


BAD_HEADS = {
    "reserved bit": (head(0xC1, 1, b"a"), 1002),
    "opcode 3": (head(0x83, 0), 1002),
    "opcode 11": (head(0x8B, 0), 1002),
    "masked from a server": (head(0x81, 0x81, MASK + b"a"), 1002),
    "fragmented ping": (head(0x09, 0), 1002),
    "ping of 126 bytes": (head(0x89, 126, struct.pack("!H", 126)), 1002),
    "continuation of nothing": (head(0x80, 0), 1002),
    "16 bits for 125": (head(0x81, 126, struct.pack("!H", 125)), 1002),
    "64 bits for 65535": (head(0x81, 127, struct.pack("!Q", 65535)), 1002),
    "whole frame of 1001 bytes": (wire(TEXT, b"a" * 1001), 1009),
    "frame of 1001 bytes": (head(0x81, 126, struct.pack("!H", 1001)), 1009),
    "frame of 2^63 bytes": (head(0x82, 127, struct.pack("!Q", 2**63)), 1009),
}


@pytest.mark.parametrize(("bad", "code"), BAD_HEADS.values(), ids=BAD_HEADS.keys())
@pytest.mark.parametrize("bytewise", [False, True])
def test_bad_header_is_not_let_through(bad: bytes, code: int, bytewise: bool) -> None:
    """Of a frame with a bad header nothing goes on, and nothing after it."""
    good = wire(TEXT, b"hello") + wire(PING, b"x")
    data = good + bad + wire(TEXT, b"never")
    scanner, out = scan(data, cuts=list(range(len(data))) if bytewise else None)
    assert scanner.violation is not None
    assert scanner.violation.code == code
    assert out == good
    assert scanner.messages == [b"hello"]
    assert scanner.feed(b"more") == b""


def test_unmasked_client_frame_is_a_fault() -> None:
    """A client's frame must be masked."""
    scanner, out = scan(wire(TEXT, b"hello"), masked=True)
    assert scanner.violation is not None
    assert (scanner.violation.code, out) == (1002, b"")


def test_new_message_within_a_fragmented_one_is_a_fault() -> None:
    """Fragments of two messages cannot be mixed."""
    start = wire(TEXT, b"a", fin=False)
    scanner, out = scan(start + wire(TEXT, b"b"))
    assert scanner.violation is not None
    assert (scanner.violation.code, out) == (1002, start)


def test_message_larger_than_the_limit_is_a_fault_though_its_frames_are_small() -> None:
    """The limit holds for the assembled message, text or binary."""
    for kind in (TEXT, BINARY):
        fits = wire(kind, b"a" * 600, fin=False) + wire(CONT, b"a" * 400, fin=False)
        scanner, out = scan(fits + wire(CONT, b"a"))
        assert scanner.violation is not None
        assert (scanner.violation.code, out) == (1009, fits)


@pytest.mark.parametrize("masked", [False, True])
def test_whole_text_larger_than_the_limit_is_a_fault(masked: bool) -> None:
    """A text that comes in one piece is measured too."""
    scanner, out = scan(wire(TEXT, b"a" * (LIMIT + 1), mask=masked), masked=masked)
    assert scanner.violation is not None
    assert (scanner.violation.code, out) == (1009, b"")


def test_message_of_just_the_limit_passes() -> None:
    """The limit is inclusive, in one frame or more."""
    data = wire(TEXT, b"a" * LIMIT) + wire(TEXT, b"a" * 999, fin=False) + wire(CONT, b"a")
    scanner, out = scan(data)
    assert (scanner.violation, out, scanner.messages) == (None, data, [b"a" * LIMIT, b"a" * LIMIT])


@pytest.mark.parametrize("masked", [False, True])
def test_text_that_is_not_utf8_is_a_fault(masked: bool) -> None:
    """Invalid UTF-8 is withheld when its frame came as a whole; of a frame that was under way the rest goes on."""
    for text in (b"\xc3", b"a longer text \xff", b"\xff" * 300):
        scanner, out = scan(wire(TEXT, text, mask=masked), masked=masked)
        assert scanner.violation is not None
        assert (scanner.violation.code, out, scanner.to_boundary) == (1007, b"", 0)
    longer = wire(TEXT, b"abc\xff", mask=masked)
    scanner, out = scan(longer, masked=masked, cuts=[len(longer) - 1])
    assert scanner.violation is not None
    assert (scanner.violation.code, out, scanner.to_boundary) == (1007, longer, 0)


def test_character_split_over_fragments_is_valid() -> None:
    """UTF-8 is checked for the message, not for its fragments."""
    data = wire(TEXT, b"\xc3", fin=False) + wire(CONT, b"\xa4")
    scanner, out = scan(data)
    assert (scanner.messages, out) == (["ä".encode()], data)


@pytest.mark.parametrize("masked", [False, True])
def test_close_frame_ends_the_direction(masked: bool) -> None:
    """A Close frame goes on, its code and reason are known, and what follows it is dropped."""
    close = wire(CLOSE, Close(4001, "bye").serialize(), mask=masked)
    scanner, out = scan(close + wire(TEXT, b"late", mask=masked), masked=masked)
    assert (out, scanner.close_frame, scanner.ended, scanner.violation, scanner.messages) == (
        close,
        Close(4001, "bye"),
        True,
        None,
        [],
    )


def test_close_frame_without_a_code_counts_as_1005() -> None:
    """An empty Close frame is valid."""
    scanner, out = scan(wire(CLOSE, b""))
    assert (scanner.close_frame, out) == (Close(1005, ""), b"\x88\x00")


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\x03", 1002), (struct.pack("!H", 1005), 1002), (struct.pack("!H", 999), 1002), (b"\x03\xe8\xff", 1007)],
)
def test_bad_close_frame_is_a_fault(payload: bytes, code: int) -> None:
    """A Close frame that a browser would not accept does not reach one."""
    scanner, out = scan(frame(CLOSE, payload))
    assert scanner.violation is not None
    assert (scanner.violation.code, scanner.close_frame, out) == (code, None, b"")


def test_gap_leads_to_the_next_boundary() -> None:
    """Within a frame the gap says how many bytes are missing; in a header that is held back it is 0."""
    data = wire(TEXT, b"a" * 200)
    scanner = FrameScanner(masked=False, max_message=LIMIT)
    assert scanner.feed(data[:3]) == b""
    assert scanner.to_boundary == 0
    assert scanner.feed(data[3:54]) == data[:54]
    assert scanner.to_boundary == 150
    assert scanner.feed(data[54:]) == data[54:]
    assert scanner.to_boundary == 0


def test_filter_holds_no_endless_row_of_empty_fragments() -> None:
    """Fragments without payload are not held for ever."""
    message_filter = MessageFilter(FrameScanner(masked=False, max_message=LIMIT), lambda _, raw: raw, max_message=LIMIT)
    assert message_filter.feed(wire(TEXT, b"a", fin=False)) == b""
    for _ in range(40_000):
        assert message_filter.feed(b"\x00\x00") == b""
    assert message_filter.violation is not None
    assert message_filter.violation.code == 1009


def test_filter_passes_a_close_frame_and_drops_the_message_it_cuts_off() -> None:
    """A Close frame never waits."""
    message_filter = MessageFilter(FrameScanner(masked=False, max_message=LIMIT), lambda _, raw: raw, max_message=LIMIT)
    close = close_frame(1000, "")
    assert message_filter.feed(wire(TEXT, b"a", fin=False) + close) == close
    assert message_filter.close_frame == Close(1000, "")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("mask", [None, MASK])
def test_own_frames_are_what_a_scanner_accepts(size: int, mask: bytes | None) -> None:
    """The frames of the relay are valid at every length encoding, masked or not."""
    data = text_frame("a" * size, mask) + ping_frame(mask) + close_frame(1001, "gone", mask)
    scanner, out = scan(data, masked=mask is not None, limit=65536)
    assert (out, scanner.messages, scanner.close_frame) == (data, [b"a" * size], Close(1001, "gone"))


def test_close_reason_is_cut_at_a_character() -> None:
    """A reason that is too long for a control frame keeps 123 bytes at most, and stays UTF-8."""
    scanner, _ = scan(close_frame(1014, "ä" * 100))
    assert scanner.close_frame == Close(1014, "ä" * 61)
