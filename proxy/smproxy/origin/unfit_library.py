"""The error of an origin that cannot run with what is installed."""

from __future__ import annotations


class UnfitLibraryError(RuntimeError):
    """A library is missing or not as the media path needs it; the message says which and why."""
