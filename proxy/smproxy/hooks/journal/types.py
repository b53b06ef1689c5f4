"""What the journal keeps, as values: attempts, deliveries, questions, limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import msgspec

from smproxy.hooks.event import EncodedEvent, Stored

#: Attempts that are kept of one delivery: the first and the last so many.
FIRST_ATTEMPTS = LAST_ATTEMPTS = 10


class JournalError(Exception):
    """The journal cannot be used: one line that says which file, why, and what to do."""


class State(IntEnum):
    """Where the delivery of one event to one sink stands. The numbers are those in the file."""

    PENDING = 0
    DELIVERED = 1
    DEAD = 2
    SKIPPED = 3


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: events, days, and bytes on disk.

    What is pending for a sink, and the events of sessions that live, are kept beyond ``events`` and ``days``, but not beyond
    ``bytes``.
    """

    events: int = 100_000
    days: float = 7.0
    bytes: int = 256 * 1024 * 1024

    @classmethod
    def of(cls, events: int, days: float) -> Retention:
        """Return limits whose bytes are enough for so many events as they usually are, 1 KiB each."""
        return cls(events, days, max(cls().bytes, events * 1024))


class AttemptRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt. ``at``: Unix time in milliseconds.

    ``outcome``: delivered, retry (another follows), dead (given up) or disabled.
    """

    at: int
    outcome: str
    detail: str
    took_ms: int


class DeliveryRecord(msgspec.Struct, frozen=True):
    """The state of an event at one sink: pending, delivered, dead or skipped.

    ``attempts`` holds the first and the last ten; ``tries`` counts all.
    """

    sink: str
    state: str
    attempts: tuple[AttemptRecord, ...]
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalQuery:
    """Which events to find; what is ``None`` does not matter.

    Times are Unix time in milliseconds.

    ``since_ms`` is the first, ``until_ms`` the last; ``after_id`` and ``before_id`` are not included themselves.
    ``dead``: given up at some sink, or at ``sink``. ``sink`` alone: events that are or were for that sink. ``internal``: also
    those that only other formats tell.
    """

    customer_scope: str | None = None
    connection_id: str | None = None
    session: int | None = None
    event: str | None = None
    state: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    after_id: int | None = None
    before_id: int | None = None
    dead: bool = False
    sink: str | None = None
    internal: bool = False
    limit: int = 100
    newest_first: bool = False


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A change of one delivery, to be written: its new state, and the attempt, if one was made."""

    event: int
    sink: str
    state: State
    attempt: AttemptRecord | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Pending events in the order of their ids.

    ``last``: the highest id that the journal held when it was read; ``complete``: there were no more than these.
    """

    events: tuple[Stored, ...]
    last: int
    complete: bool


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """How the journal is doing.

    ``journalled``: events taken since the start; ``committed``: those written; ``waiting``: not written yet; ``lost``: could
    not be kept at all; ``forced``: deleted to stay within the bytes although they were still needed. ``failures`` of writing.
    """

    healthy: bool
    journalled: int
    committed: int
    waiting: int
    failures: int
    lost: int
    forced: int
    last_error: str | None
    bytes: int
    events: int


_attempts_decoder = msgspec.json.Decoder(tuple[AttemptRecord, ...])
_encoder = msgspec.json.Encoder()


def encode_attempts(attempts: tuple[AttemptRecord, ...]) -> str:
    """Write attempts as they are in the file."""
    return _encoder.encode(attempts).decode()


def decode_attempts(text: str) -> tuple[AttemptRecord, ...]:
    """Read what :func:`encode_attempts` wrote."""
    return _attempts_decoder.decode(text)


def merge_attempts(old: str, new: str) -> str:
    """Append attempts and keep the first and the last ten; an SQL function of the journal."""
    attempts = decode_attempts(old) + decode_attempts(new)
    if len(attempts) > FIRST_ATTEMPTS + LAST_ATTEMPTS:
        attempts = attempts[:FIRST_ATTEMPTS] + attempts[-LAST_ATTEMPTS:]
    return encode_attempts(attempts)


__all__ = [
    "AttemptRecord",
    "DeliveryRecord",
    "EncodedEvent",
    "JournalError",
    "JournalStatus",
    "Mark",
    "Page",
    "JournalQuery",
    "Retention",
    "State",
    "Stored",
    "decode_attempts",
    "encode_attempts",
    "merge_attempts",
]
