"""File names of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.recording.names import escape, kept_path, relative_path

_names = st.text(st.characters(), max_size=600)


@pytest.mark.parametrize(
    ("scope", "stream", "path"),
    [
        ("live", "mystream", "live/mystream.webm"),
        ("live/room 1", "Grüße-東京", "live/room 1/Grüße-東京.webm"),
        ("live", "a/b", "live/a%2Fb.webm"),
        ("live", "..", "live/%2E%2E.webm"),
        ("live", ".hidden", "live/%2Ehidden.webm"),
        ("..", "../../etc/passwd", "%2E%2E/%2E.%2F..%2Fetc%2Fpasswd.webm"),
        ("live/x.webm", "y", "live/x%2Ewebm/y.webm"),
        ("live", "100%", "live/100%25.webm"),
        ("live", "a~1", "live/a%7E1.webm"),
        ("live", "\u202egnp.exe", "live/%E2%80%AEgnp.exe.webm"),
        ("live", "null\0byte\n", "live/null%00byte%0A.webm"),
        ("live", "", "live/%-.webm"),
    ],
)
def test_paths(scope: str, stream: str, path: str) -> None:
    """Names stay readable, and what is dangerous in them is escaped."""
    assert relative_path(scope, stream, ".webm") == path


@given(_names)
def test_a_part_is_safe(name: str) -> None:
    """Whatever a stream is called, its part of a path is one visible file name that fits."""
    part = escape(name)
    assert part
    assert part.isprintable()
    assert part not in {".", ".."}
    assert not part.startswith(".")
    assert not set(part) & set('/\\:*?"<>|~')
    assert len(f"{part}~99999.webm".encode()) <= 255


@given(_names, _names)
def test_no_two_names_share_a_file(one: str, other: str) -> None:
    """Different names give different files."""
    assert (escape(one) == escape(other)) == (one == other)


def test_long_names_that_differ_at_the_end_differ() -> None:
    """A name that is cut is still told from others with the same beginning."""
    one, other = escape("x" * 400 + "1"), escape("x" * 400 + "2")
    assert one != other
    assert one.startswith("x" * 160)


def test_earlier_recordings_are_numbered(tmp_path: Path) -> None:
    """The number of a kept recording is one above the highest, so that a deleted one is not taken for a later one."""
    path = tmp_path / "s.webm"
    assert kept_path(path).name == "s~1.webm"
    for name in ("s~1.webm", "s~7.webm", "s~9.mkv", "sx~12.webm", "s~x.webm"):
        (tmp_path / name).touch()
    assert kept_path(path).name == "s~8.webm"
