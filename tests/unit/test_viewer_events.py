"""The event streams of a WHEP session."""

from __future__ import annotations

import pytest
from smproxy.origin.whip.events import MAX_STREAMS, MAX_WAITING, ViewerEvents


async def waiting(events: ViewerEvents, key: str) -> list[bytes | None]:
    """Return what waits in a stream."""
    stream = events.stream(key)
    assert stream is not None
    stream.close()
    sent: list[bytes | None] = []
    while not sent or sent[-1] is not None:
        sent.append(await stream.get())
    return sent[:-1]


async def test_only_what_was_asked_for() -> None:
    """A stream begins with what holds now, and then has each change once, of the wanted types only."""
    events = ViewerEvents()
    events.begin(live=True)
    events.viewers(2)
    assert events.open("a", None)
    assert events.open("b", ["inactive", "unknown"])
    events.active(True)
    events.viewers(2)
    events.active(False)
    events.active(False)
    events.viewers(3)
    active, inactive = b"event: active\ndata: {}\n\n", b"event: inactive\ndata: {}\n\n"
    counts = [b'event: viewercount\ndata: {"viewercount":%d}\n\n' % number for number in (2, 3)]
    assert await waiting(events, "a") == [active, counts[0], inactive, counts[1]]
    assert await waiting(events, "b") == [inactive]


async def test_no_inactive_event_at_the_beginning() -> None:
    """A session that waits for its stream hears of it when it comes, and of nothing before."""
    events = ViewerEvents()
    events.begin(live=False)
    events.open("a", None)
    events.active(True)
    assert await waiting(events, "a") == [b"event: active\ndata: {}\n\n"]


async def test_a_client_that_does_not_read() -> None:
    """Its stream is closed when too much waits, and another can be opened."""
    events = ViewerEvents()
    events.open("a", None)
    stream = events.stream("a")
    assert stream is not None
    for number in range(MAX_WAITING + 5):
        events.viewers(number + 1)
    assert events.stream("a") is None
    assert events.open("b", None)
    sent = [await stream.get() for _ in range(MAX_WAITING)]
    assert sent[-1] is None


def test_bounded() -> None:
    """A session has so many streams and no more; what is deleted makes room, once."""
    events = ViewerEvents()
    assert all(events.open(str(number), None) for number in range(MAX_STREAMS))
    assert not events.open("more", None)
    assert events.delete("0")
    assert not events.delete("0")
    assert events.open("more", None)


@pytest.mark.parametrize("count", [0, 2])
async def test_close(count: int) -> None:
    """The end of the session is the end of all its streams."""
    events = ViewerEvents()
    streams = []
    for number in range(count):
        events.open(str(number), [])
        streams.append(events.stream(str(number)))
    events.close()
    assert [await each.get() for each in streams if each is not None] == [None] * count
