"""What an error must be."""

from __future__ import annotations


def one_line(text: str) -> None:
    """Check that an error is one line of bounded length."""
    assert text.strip(), "an error without words"
    assert not {"\n", "\r"} & set(text), f"an error of several lines: {text!r}"
    assert len(text) < 2_000, f"an error of {len(text)} characters"
