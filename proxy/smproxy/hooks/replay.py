"""From what was to what is: the events of the journal from a point on, then those that happen, without gap or duplicate.

The listener subscribes first, held back; then the journal is read page by page at the listener's pace. An event is in the
journal before any listener is told of it, so what is held back and is not in the pages comes after them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from smproxy.hooks.broadcast import Subscription
from smproxy.hooks.journal import Journal, Query

#: Events read at a time.
PAGE = 500

#: Latest replayed events that are recognised when they come once more: all that the journal may have before the hub tells.
REMEMBERED = 10_000


class SinceError(ValueError):
    """A point that cannot be replayed from: one line that says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """The point to replay from: after the event with this journal id, or from this time on (Unix ms)."""

    after_id: int | None = None
    since_ms: int | None = None


async def find_start(journal: Journal | None, since: str) -> Start:
    """Find the point that ``since`` names: the uuid of an event, or Unix time in milliseconds.

    Raises:
        SinceError: it is neither, or the journal does not have the event (any more).
        JournalError: the journal cannot be read.
    """
    if journal is None:
        raise SinceError("since: there is no journal to replay from")
    if since.isascii() and since.isdigit() and len(since) <= 16:
        return Start(since_ms=int(since))
    if len(since) != 36 or since.count("-") != 4:
        raise SinceError("since: it takes the uuid of an event or Unix time in milliseconds")
    known = await journal.get(since.lower())
    if known is None:
        raise SinceError("since: the journal does not have this event")
    return Start(after_id=known[0].id)


async def replayed(journal: Journal, subscription: Subscription, start: Start) -> AsyncGenerator[str, None]:
    """Yield the events from ``start`` on that the subscription wants, then release it.

    Raises :class:`smproxy.hooks.journal.JournalError` when the journal cannot be read.
    """
    wanted = subscription.wanted
    query = Query(customer_scope=wanted.customer_scope, after_id=start.after_id, since_ms=start.since_ms, limit=PAGE)
    sent: deque[str] = deque(maxlen=REMEMBERED)
    while True:
        page = await journal.find(query)
        for stored in page:
            if wanted.matches(stored.event):
                sent.append(stored.event.uuid)
                yield stored.event.body.decode()
        if page:
            query = replace(query, after_id=page[-1].id)
        # Nothing happens between the two: what is not in `sent` by now comes through the subscription.
        if len(page) < PAGE and subscription.release(frozenset(sent)):
            return
