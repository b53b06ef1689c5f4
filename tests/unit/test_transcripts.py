"""Transcripts of sessions: what is kept, and what is counted."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from smproxy.manager.transcript import CHUNK, FIRST, FRAME, Transcript
from smproxy.manager.transcripts import Transcripts
from smproxy.signaling.clock import Clock

from tests.fake_clock import FakeTime


def transcripts(budget: int = 64 * 1024 * 1024) -> Transcripts:
    return Transcripts(Clock(wall=FakeTime(step=0.001)), budget=budget)


def client(transcript: Transcript, text: bytes | None) -> None:
    """Have the client say something, as the relay notes it."""
    transcript.from_client(transcript.now())
    transcript.from_client(text)
    transcript.trim(len(text or b""))


def origin(transcript: Transcript, text: bytes | None) -> None:
    """Have the origin say something, as the relay notes it."""
    transcript.from_origin(transcript.now())
    transcript.from_origin(text)
    transcript.trim(len(text or b""))


def lines(transcript: Transcript | None) -> list[dict[str, Any]]:
    assert transcript is not None
    return [json.loads(line) for line in transcript.lines()]


def test_a_conversation_is_kept_in_order() -> None:
    """Frames of both sides, of the proxy and of the data channel come back in the order in which they were said."""
    transcript = transcripts().open(7, "/streammanager/?id=s")
    origin(transcript, b'{"data":{"code":"A"}}')
    client(transcript, b'{"isAvailable":"s"}')
    client(transcript, None)
    client(transcript, b"not json")
    transcript.add_proxy_message('{"data":{"code":"B"}}')
    transcript.add_channel_message("client", '{"unpublish":"s"}')
    transcript.add_close("origin", 1000, "bye")
    found = lines(transcript)
    assert [(line["from"], line["via"]) for line in found] == [
        ("origin", "socket"),
        ("client", "socket"),
        ("client", "socket"),
        ("client", "socket"),
        ("proxy", "socket"),
        ("client", "channel"),
        ("origin", "socket"),
    ]
    assert [line.get("message", line.get("text", line.get("close"))) for line in found] == [
        {"data": {"code": "A"}},
        {"isAvailable": "s"},
        None,
        "not json",
        {"data": {"code": "B"}},
        {"unpublish": "s"},
        {"code": 1000, "reason": "bye"},
    ]
    assert [line["at"] for line in found] == sorted(line["at"] for line in found)
    assert {line["session"] for line in found} == {7}


@given(st.lists(st.integers(0, 3 * FRAME), max_size=200))
def test_a_record_is_bounded(sizes: list[int]) -> None:
    """Whatever is said, a transcript holds no more than it may, and what it does not hold is counted."""
    kept = transcripts()
    transcript = kept.open(1, "/")
    for size in sizes:
        client(transcript, b"x" * size)
    held = sum(len(entry.text or b"") for entry in transcript.entries())
    assert held <= FIRST + 2 * CHUNK + 4 * FRAME
    assert len(transcript.entries()) + transcript.omitted == len(sizes)
    assert kept.held == transcript.granted <= FIRST + 2 * CHUNK


def test_the_first_and_the_last_are_kept() -> None:
    """Of a long session the beginning and the end are kept, with a line between that says how many frames are missing."""
    transcript = transcripts().open(1, "/")
    for number in range(5_000):
        client(transcript, b'{"publish":"%d"}' % number)
    found = lines(transcript)
    numbers = [int(line["message"]["publish"]) for line in found if "message" in line]
    (gap,) = [line for line in found if "omitted" in line]
    assert numbers[:100] == list(range(100))
    assert numbers[-50:] == list(range(4_950, 5_000))
    assert len(numbers) + gap["omitted"] == 5_000
    assert numbers == sorted(numbers)
    assert found.index(gap) == next(place for place, number in enumerate(numbers) if number != place)


def test_a_frame_that_is_too_long_is_cut() -> None:
    """Of a frame that is too long the beginning is kept, and it says so."""
    transcript = transcripts().open(1, "/")
    origin(transcript, b"x" * (FRAME + 1))
    (line,) = lines(transcript)
    assert (len(line["text"]), line["cut"]) == (FRAME, True)


def test_records_share_a_budget() -> None:
    """Without room the transcripts of ended sessions go first, the oldest before others; the one that asks is spared."""
    kept = transcripts(budget=3 * CHUNK)
    for session in (1, 2, 3):
        kept.open(session, "/")
    kept.ended(2)
    kept.open(4, "/")
    assert [session for session in (1, 2, 3, 4) if kept.get(session)] == [1, 3, 4]
    transcript = kept.get(4)
    assert transcript is not None
    for _ in range(1_000):
        client(transcript, b"x" * 1_000)
    assert [session for session in (1, 2, 3, 4) if kept.get(session)] == [4]
    assert kept.held == transcript.granted == 3 * CHUNK
    kept.forget(4)
    assert kept.held == 0


def test_a_forgotten_record_takes_no_room() -> None:
    """A session whose transcript was given up goes on, and what it notes is not counted as held."""
    kept = transcripts()
    transcript = kept.open(1, "/")
    kept.forget(1)
    for _ in range(1_000):
        client(transcript, b"x" * 1_000)
    assert kept.held == 0


def test_an_attempt_goes_on_with_the_record() -> None:
    """A publisher that comes back is noted in the transcript of its session."""
    kept = transcripts()
    assert kept.open(1, "/?a") is kept.open(1, "/?b")
