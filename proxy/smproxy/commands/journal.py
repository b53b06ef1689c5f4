"""Reading the journal of an instance, running or stopped, as JSON objects."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from smproxy.commands.output import CommandError
from smproxy.hooks.journal import FILE_NAME, JournalError, JournalQuery, JournalReader, Stored
from smproxy.hooks.views import detailed, listed

Event = dict[str, Any]

#: Events read at a time.
_PAGE = 1_000


def found(data_dir: Path, filters: dict[str, Any]) -> Iterator[Event]:
    """Yield the latest events that match the filters (fields of a ``JournalQuery``), in order."""
    with _journal(data_dir) as reader:
        for stored in _latest(reader, JournalQuery(**filters)):
            yield json.loads(listed(stored))


def found_dead(data_dir: Path, filters: dict[str, Any]) -> Iterator[Event]:
    """Yield the latest events that a sink gave up, with their deliveries, the oldest first."""
    with _journal(data_dir) as reader:
        for stored in _latest(reader, JournalQuery(**filters, dead=True)):
            known = reader.get(stored.event.uuid)
            if known is not None:
                yield json.loads(detailed(*known))


def one(data_dir: Path, uuid: str) -> Event:
    """Return one event with its deliveries.

    Raises:
        CommandError: there is none.
    """
    with _journal(data_dir) as reader:
        known = reader.get(uuid.lower())
    if known is None:
        raise CommandError(f"the journal has no event {uuid}")
    event: Event = json.loads(detailed(*known))
    return event


@contextlib.contextmanager
def _journal(data_dir: Path) -> Iterator[JournalReader]:
    path = data_dir / FILE_NAME
    if not os.path.isfile(path):
        raise CommandError(f"{data_dir} has no journal: give --data-dir as you gave it to `smproxy serve`")
    try:
        reader = JournalReader.open(path)
        try:
            yield reader
        finally:
            reader.close()
    except JournalError as error:
        raise CommandError(str(error)) from None


def _latest(reader: JournalReader, query: JournalQuery) -> Iterator[Stored]:
    """Yield the latest ``query.limit`` events in the order of the journal."""
    boundary, left = None, query.limit
    while left > 0:
        page = reader.find(replace(query, newest_first=True, before_id=boundary, limit=min(left, _PAGE)))
        if not page:
            break
        boundary, left = page[-1].id, left - len(page)
    if boundary is None:
        return
    after, left = boundary - 1, query.limit - left
    while left > 0 and (page := reader.find(replace(query, after_id=after, limit=min(left, _PAGE)))):
        yield from page
        after, left = page[-1].id, left - len(page)
