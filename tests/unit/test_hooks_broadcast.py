"""The fan-out to listeners."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
from smproxy.hooks.broadcast import LIMIT, OVERHEAD, Broadcast, Filter, HookBroadcast
from smproxy.hooks.event import EncodedEvent, encode

from tests.hooks_support import encoded, hook_event


async def test_listeners_get_every_event_in_order_from_then_on() -> None:
    """Each listener is sent, in order, the texts of all events after it joined, and nothing from before."""
    broadcast = HookBroadcast()
    broadcast.offer(encoded(1, 1))
    first = broadcast.listen()
    broadcast.offer(encoded(1, 2))
    second = broadcast.listen()
    broadcast.offer(encoded(2, 1))
    await broadcast.close(0)
    assert [event.body async for event in first] == [encoded(1, 2).body, encoded(2, 1).body]
    assert [event.body async for event in second] == [encoded(2, 1).body]
    assert not first.dropped


async def test_a_customer_scope_narrows() -> None:
    """A listener with a customer scope gets the events of exactly that scope, not those without one."""
    broadcast = HookBroadcast()
    narrow, wide = broadcast.listen(Filter("acme")), broadcast.listen()
    for seq, scope in enumerate(["acme", "other", None, "ACME", "acme"]):
        broadcast.offer(encoded(1, seq, scope))
    await broadcast.close(0)
    assert [event.body async for event in narrow] == [encoded(1, seq, "acme").body for seq in (0, 4)]
    assert len([event.body async for event in wide]) == 5


async def test_event_names_narrow() -> None:
    """A listener can ask for events or states by name; internal events are for nobody."""
    broadcast = HookBroadcast()
    kinds, states, nothing = (
        broadcast.listen(Filter(names=frozenset(names))) for names in (["session"], ["connected", "x"], ["peer"])
    )
    everything = broadcast.listen()
    texts = []
    for seq, state in enumerate(["connecting", "connected", "disconnected"]):
        event = encode(hook_event(1, seq, state=state))
        texts.append(event.body)
        broadcast.offer(event)
    broadcast.offer(msgspec.structs.replace(encoded(1, 9), internal=True))
    await broadcast.close(0)
    assert [event.body async for event in kinds] == texts
    assert [event.body async for event in states] == [texts[1]]
    assert [event.body async for event in nothing] == []
    assert [event.body async for event in everything] == texts


async def test_a_slow_listener_is_dropped_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Who is more than the log behind is dropped, which is logged; the others miss nothing."""
    broadcast = HookBroadcast(limit=3 * (OVERHEAD + len(encoded(1, 1).body)))
    slow, quick = broadcast.listen(), broadcast.listen()
    seen: list[EncodedEvent] = []
    with caplog.at_level(logging.WARNING, "smproxy.hooks"):
        for seq in range(1, 10):
            broadcast.offer(encoded(1, seq))
            seen.append(await anext(quick))
    assert seen == [encoded(1, seq) for seq in range(1, 10)]
    assert slow.dropped
    assert not quick.dropped
    assert [event.body async for event in slow] == []
    slow.close()
    assert (broadcast.listeners, broadcast.dropped, len(caplog.records)) == (1, 1, 1)


async def test_a_waiting_listener_is_woken() -> None:
    """A listener that waits gets an event as it comes, and ends when it is closed."""
    broadcast = HookBroadcast()
    subscription = broadcast.listen()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.wait((waiting,), timeout=0)
    broadcast.offer(encoded(1, 1))
    assert (await waiting).body == encoded(1, 1).body
    ending = asyncio.ensure_future(anext(subscription, None))
    await asyncio.wait((ending,), timeout=0)
    subscription.close()
    assert await ending is None
    assert broadcast.listeners == 0


def test_many_listeners_cost_what_one_costs() -> None:
    """Items are kept once: a hundred listeners that read nothing keep no more bytes than the limit, whatever they want."""
    broadcast: Broadcast[bytes] = Broadcast("a test", len, limit=10 * (OVERHEAD + 1000))
    listeners = [broadcast.listen(lambda item, wanted=number: item[0] % 100 == wanted) for number in range(100)]
    for number in range(99):
        broadcast.send(bytes([number]) + bytes(999))
        assert broadcast.kept <= 10 * (OVERHEAD + 1000)
    # Those whose item has fallen off are dropped; the latest ten wait for theirs, the last for what is to come.
    assert [listener.dropped for listener in listeners] == [True] * 89 + [False] * 11
    for listener in listeners:
        listener.close()
    assert (broadcast.kept, broadcast.listeners, broadcast.dropped) == (0, 0, 89)
    broadcast.send(b"nobody listens")
    assert broadcast.kept == 0


async def test_what_everybody_has_read_is_let_go_of() -> None:
    """A log of listeners that keep up stays small, long before its limit."""
    broadcast: Broadcast[bytes] = Broadcast("a test", len)
    one, other = broadcast.listen(), broadcast.listen(lambda item: False)
    for _ in range(1000):
        broadcast.send(bytes(1000))
        assert await one.batch(1) == [bytes(1000)]
    assert broadcast.kept < LIMIT / 50
    assert await other.batch(0) == []


async def test_a_batch_is_bounded() -> None:
    """However much waits, a listener is given some 64 KiB of it at a time."""
    broadcast: Broadcast[bytes] = Broadcast("a test", len)
    listener = broadcast.listen()
    for _ in range(1000):
        broadcast.send(bytes(1000))
    sizes = [len(await listener.batch(1) or []) for _ in range(16)]
    assert (sizes[0], sum(sizes)) == (66, 1000)


async def test_closed_is_closed() -> None:
    """A subscription made after the end ends at once."""
    broadcast = HookBroadcast()
    await broadcast.close(0)
    late = broadcast.listen()
    broadcast.offer(encoded())
    assert [event.body async for event in late] == []
    assert not late.dropped


async def test_close_waits_for_listeners_but_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """Close returns when the last listener has left, or after its time-out, which is logged."""
    broadcast = HookBroadcast()
    subscription = broadcast.listen()
    await broadcast.close(0.01)
    assert "1 listeners" in caplog.text
    closing = asyncio.ensure_future(broadcast.close(60))
    await asyncio.wait((closing,), timeout=0.01)
    assert not closing.done()
    subscription.close()
    await closing
