"""Replay the journal from a point on, then what happens, without gap or duplicate.

The listener begins first, held back; then the journal is read page by page at the listener's pace. An event is in the
journal before any listener is sent it, so what is held back and is not in the pages comes after them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from smproxy.hooks.broadcast import Filter, HookListener
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.journal import Journal, JournalQuery

#: Events read at a time: what a listener that does not read keeps in memory.
PAGE = 100

#: Latest replayed events that are recognised when they come once more: all that the journal may have before the hub tells.
REMEMBERED = 10_000


class SinceError(ValueError):
    """A point that cannot be replayed from: one line that says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """The point to replay from: after this journal id, or from this time on (Unix ms)."""

    after_id: int | None = None
    since_ms: int | None = None


async def find_start(journal: Journal | None, since: str) -> Start:
    """Find the point that ``since`` names: the uuid of an event, or Unix time in milliseconds.

    Who listens from then on is not told of events before it.

    Raises:
        SinceError: it is neither, or the journal does not have the event (any more).
        JournalError: the journal cannot be read.
    """
    if journal is None:
        raise SinceError("since: there is no journal to replay from")
    if since.isascii() and since.isdigit() and len(since) <= 16:
        await journal.flush()
        return Start(since_ms=int(since))
    if len(since) != 36 or since.count("-") != 4:
        raise SinceError("since: it takes the uuid of an event or Unix time in milliseconds")
    known = await journal.get(since.lower())
    await journal.flush()
    if known is None:
        raise SinceError("since: the journal does not have this event")
    return Start(after_id=known[0].id)


async def replayed(
    journal: Journal, listener: HookListener, start: Start, wanted: Filter
) -> AsyncGenerator[bytes, None]:
    """Yield the events from ``start`` on that are wanted, then release the listener.

    Raises :class:`smproxy.hooks.journal.JournalError` when the journal cannot be read.
    """
    query = JournalQuery(
        customer_scope=wanted.customer_scope, after_id=start.after_id, since_ms=start.since_ms, limit=PAGE
    )
    sent = array("Q")
    while True:
        page = await journal.find(query)
        for stored in page:
            if wanted(stored.event):
                sent.append(_key(stored.event.uuid))
                yield stored.event.body
        if len(sent) > 2 * REMEMBERED:
            del sent[:-REMEMBERED]
        if page:
            query = replace(query, after_id=page[-1].id)
        # Nothing happens between the two: what was not sent by now comes through the listener.
        if len(page) < PAGE and listener.release(_Known(sent)):
            return


class _Known:
    """The events that were sent, 8 bytes of each: there may be many, for many listeners."""

    def __init__(self, sent: array[int]) -> None:
        self._keys = array("Q", sorted(sent[-REMEMBERED:]))

    def __call__(self, event: EncodedEvent) -> bool:
        key = _key(event.uuid)
        place = bisect_left(self._keys, key)
        return place < len(self._keys) and self._keys[place] == key


def _key(uuid: str) -> int:
    """Return the last 64 bits of a UUID version 7, which are random but for two."""
    return int(uuid[19:23] + uuid[24:], 16)
