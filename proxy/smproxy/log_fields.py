"""What a log line about a session has as fields, for those who read the log as JSON."""

from __future__ import annotations

from typing import NamedTuple, TypedDict


class LogFields(NamedTuple):
    """The session that a line is about. ``None``: not known, or not yet."""

    session: int | None = None
    id: str | None = None
    customer_scope: str | None = None
    stream: str | None = None


class About(TypedDict):
    """The ``extra`` of a log call."""

    about: LogFields


def about(
    session: int | None = None, id: str | None = None, customer_scope: str | None = None, stream: str | None = None
) -> About:
    """Return the ``extra`` of a log call about a session."""
    return About(about=LogFields(session, id, customer_scope, stream))
