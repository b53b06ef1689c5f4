"""What the hook commands read and write: times, and events in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.commands.describe import clock, describe, identity
from smproxy.commands.output import note, write
from smproxy.commands.parse_time import milliseconds
from smproxy.hooks.event import encode
from smproxy.printable import printable
from smproxy.signaling.payload_words import payload_words

from tests.hooks_support import NOW, encoded, hook_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", 1_789_999_400_123),
        ("90s", 1_789_999_910_123),
        ("2h", 1_789_992_800_123),
        ("1d", 1_789_913_600_123),
        ("99999999d", 0),
        ("1790000000123", 1_790_000_000_123),
        ("2026-09-21T12:00:00Z", 1_789_992_000_000),
        ("2026-09-21T12:00:00.5+02:00", 1_789_984_800_500),
    ],
)
def test_times(text: str, expected: int) -> None:
    """A time is so long ago, an ISO 8601 moment, or Unix milliseconds."""
    assert milliseconds(text, NOW) == expected


def test_local_times() -> None:
    """A moment without a zone is local, a date alone is its midnight."""
    assert milliseconds("2026-11-21T20:15", NOW) == int(datetime(2026, 11, 21, 20, 15).timestamp() * 1000)
    assert milliseconds("2026-11-21", NOW) == int(datetime(2026, 11, 21).timestamp() * 1000)


@pytest.mark.parametrize(
    "text", ["", "now", "10", "10w", "-5m", "²m", "1790000000", "20261121", "2026-13-01", "9" * 30]
)
def test_no_times(text: str) -> None:
    """Anything else is refused with what can be written."""
    with pytest.raises(ValueError, match="10m, 2026-"):
        milliseconds(text, NOW)


def test_an_event_in_words() -> None:
    """The line has what identifies the event and every field of the payload that is not null."""
    event = json.loads(encode(hook_event(7, 3, state="disconnected", remote_ip=None, duration=5, reason=0)).body)
    line = describe(event, date=True)
    assert line.startswith("2026-")
    assert line.split()[2:] == ["acme", "cam-1", "7", "#3", "disconnected", "duration=5", "reason=user_action"]
    assert identity(event) == event["uuid"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"session": 1, "state": "disconnected", "reason": 2, "error": None}, ["reason=node_shutdown"]),
        ({"event": "route_error", "error": 0, "after_ms": 3}, ["error=pool_empty", "after_ms=3"]),
        (
            {"reason": 0, "media": {"packets": 9, "bytes": 99, "lost": 0, "bitrate": 8}},
            ["reason=user_action", "packets=9", "bytes=99", "lost=0", "bitrate=8"],
        ),
        ({"media": [1]}, ["media=[1]"]),
        ({"error": 4, "kind": 0, "track": 1}, ["error=name_in_use", "kind=audio", "track=1"]),
        (
            {"error": "the disk is full", "reason": 99, "kind": True},
            ["error=the disk is full", "reason=99", "kind=True"],
        ),
    ],
)
def test_numbers_have_names(payload: dict[str, Any], words: list[str]) -> None:
    """Reasons, errors and kinds are told by their names; what has none stays as it is; media is its numbers."""
    assert payload_words(payload) == words


def test_nothing_acts_on_the_terminal() -> None:
    """Control characters and direction marks of a client do not reach the terminal (A13)."""
    assert printable("a\x1b[2Jb\u202ec\nd\x9be") == r"a\u001b[2Jb\u202ec\nd\u009be"
    assert printable("blue é 𝄞") == "blue é 𝄞"


@pytest.mark.parametrize("line", [write, lambda line: note("smproxy", line)], ids=["stdout", "stderr"])
def test_every_line_is_shown(line: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a command prints, control characters are shown, and a line stays one line (A13)."""
    line("a\x1b[2Jb\nc")
    assert "".join(capsys.readouterr()).endswith("a\\u001b[2Jb\\nc\n")


@pytest.mark.parametrize("ts", [10**18, -(10**18), 10**300, 1e300, float("nan")])
def test_a_time_that_is_none(ts: float) -> None:
    """A number that is no time of a calendar is shown as it is."""
    assert clock(ts) == str(ts)
    event = json.loads(encoded(7, 1).body) | {"ts": ts}
    assert describe(event).startswith(str(ts))


KEYS = [
    *["uuid", "ts", "payload", "connection", "seq", "event"],
    *["specversion", "time", "type", "id", "data", "timestamp"],
]


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_every_object_has_a_line(event: dict[str, Any]) -> None:
    """Whatever comes, it is shown on one line."""
    line = describe(event)
    assert line
    assert "Traceback" not in line
