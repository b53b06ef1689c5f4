"""A promise that was broken."""

from __future__ import annotations

from typing import NoReturn


class BrokenPromise(AssertionError):
    """A promise was broken: the model's name and what happened."""


def broken(model: str, what: str) -> NoReturn:
    """Report what must not happen."""
    raise BrokenPromise(f"{model}: {what}")
