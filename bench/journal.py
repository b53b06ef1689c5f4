"""A large journal: how long an instance waits for it when it starts, what queries take, and what it takes on disk.

    python bench/journal.py [--events 1000000]

The journal is filled as sessions of eight events fill it, with one delivery of each event, and closed. Then it is opened as
``smproxy serve`` opens it, and asked what people ask; each query is measured several times, and the median counts. At last
another quarter of the events is poured in, as fast as it goes, and the file must not outgrow its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooks import lives
from results import Results
from smproxy.hooks.event import encode
from smproxy.hooks.journal import Journal, JournalQuery, Retention
from smproxy.hooks.journal.recovery import end_unfinished
from smproxy.hooks.journal.types import AttemptRecord, Mark, State
from smproxy.signaling.clock import Clock

SINK = "http://127.0.0.1:8000/hooks"
#: Sessions that are written together.
GROUP = 500


@dataclass(frozen=True)
class Target:
    """Seconds that the start may take, and a query."""

    start: float = 1.0
    query: float = 0.05


async def pour(journal: Journal, count: int, first: int) -> None:
    """Write ``count`` events and their deliveries."""
    written = 0
    while written < count:
        for event in lives(GROUP, first + written):
            stored = journal.append(encode(*event))
            journal.mark(Mark(stored.id, SINK, State.DELIVERED, AttemptRecord(event[0].ts, "delivered", "", 2)))
            written += 1
        await journal.flush()


async def opened(path: Path, events: int) -> Journal:
    """Do what an instance does with its journal before it takes connections."""
    journal = await Journal.start(path, clock=Clock(), retention=Retention.of(events, 7.0))
    await journal.begin_sinks([SINK])
    await end_unfinished(journal, lambda *_: None)
    await journal.count_pending(SINK)
    return journal


async def took(ask: Callable[[], Coroutine[Any, Any, Any]], times: int = 7) -> float:
    """Return the median of the seconds that a question takes."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        await ask()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


async def measure(path: Path, events: int) -> Results:
    """Fill, open, ask and flood a journal."""
    results = Results("journal", ["what", "takes", "target"])
    target = Target()
    journal = await opened(path, events)
    began, cpu = time.perf_counter(), time.process_time()
    await pour(journal, events, 1)
    print(
        f"filled in {time.perf_counter() - began:.1f} s, {(time.process_time() - cpu) / events * 1e6:.1f} µs an event"
    )
    await journal.stop()
    began = time.perf_counter()
    journal = await opened(path, events)
    start = time.perf_counter() - began
    results.rows.append([f"open a journal of {events:,} events", f"{start:.2f} s", f"≤ {target.start:g} s"])
    now, middle = Clock().wall_ms(), (await journal.newest()) // 2
    queries = {
        "the newest 100": JournalQuery(newest_first=True),
        "all of one session": JournalQuery(session=events // 2),
        "of a connection": JournalQuery(connection_id=f"cam-{events // 2}"),
        "of a customer scope that has none": JournalQuery(customer_scope="nobody"),
        "of a common customer scope, in a state that is rare": JournalQuery(
            customer_scope="acme", state="connect_error"
        ),
        "of an event that is rare": JournalQuery(event="recording"),
        "since a moment ago": JournalQuery(since_ms=now - 1000),
        "since the beginning, the newest first": JournalQuery(since_ms=1, newest_first=True),
        "what follows one in the middle": JournalQuery(after_id=middle),
        "what was given up": JournalQuery(dead=True),
    }
    slowest = 0.0
    for what, query in queries.items():
        seconds = await took(lambda query=query: journal.find(query))  # type: ignore[misc]
        slowest = max(slowest, seconds)
        results.rows.append([what, f"{seconds * 1000:.1f} ms", f"≤ {target.query * 1000:g} ms"])
    await pour(journal, events // 4, events + 1)
    await journal.stop()
    size, limit = sum(each.stat().st_size for each in path.parent.iterdir()), Retention.of(events, 7.0).bytes
    results.rows.append(
        ["bytes on disk after a quarter more", f"{size / 2**20:,.0f} MiB", f"≤ {limit / 2**20:,.0f} MiB"]
    )
    results.data = {"start": start, "slowest_query": slowest, "bytes": size, "limit": limit, "events": events}
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder) / "hooks.db", events))
    results.save()
    if results.data["bytes"] > results.data["limit"]:
        sys.exit("the journal has outgrown its limit")


if __name__ == "__main__":
    main()
