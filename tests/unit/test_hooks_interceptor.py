"""The fan-out to listeners."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
from smproxy.hooks.broadcast import Filter, Interceptor, TooManyListenersError
from smproxy.hooks.event import encode

from tests.hooks_support import encoded, hook_event


async def test_listeners_get_every_event_in_order_from_then_on() -> None:
    """Each listener is sent, in order, the texts of all events after it joined, and nothing from before."""
    interceptor = Interceptor()
    interceptor.offer(encoded(1, 1))
    first = interceptor.subscribe()
    interceptor.offer(encoded(1, 2))
    second = interceptor.subscribe()
    interceptor.offer(encoded(2, 1))
    await interceptor.close(0)
    assert [text async for text in first] == [encoded(1, 2).body.decode(), encoded(2, 1).body.decode()]
    assert [text async for text in second] == [encoded(2, 1).body.decode()]
    assert not first.dropped


async def test_a_customer_scope_narrows() -> None:
    """A listener with a customer scope gets the events of exactly that scope, not those without one."""
    interceptor = Interceptor()
    narrow, wide = interceptor.subscribe(Filter("acme")), interceptor.subscribe()
    for seq, scope in enumerate(["acme", "other", None, "ACME", "acme"]):
        interceptor.offer(encoded(1, seq, scope))
    await interceptor.close(0)
    assert [text async for text in narrow] == [encoded(1, seq, "acme").body.decode() for seq in (0, 4)]
    assert len([text async for text in wide]) == 5


async def test_event_names_narrow() -> None:
    """A listener can ask for events or states by name; internal events are for nobody."""
    interceptor = Interceptor()
    kinds, states, nothing = (
        interceptor.subscribe(Filter(names=frozenset(names))) for names in (["session"], ["connected", "x"], ["peer"])
    )
    everything = interceptor.subscribe()
    texts = []
    for seq, state in enumerate(["connecting", "connected", "disconnected"]):
        event = encode(hook_event(1, seq, state=state))
        texts.append(event.body.decode())
        interceptor.offer(event)
    interceptor.offer(msgspec.structs.replace(encoded(1, 9), internal=True))
    await interceptor.close(0)
    assert [text async for text in kinds] == texts
    assert [text async for text in states] == [texts[1]]
    assert [text async for text in nothing] == []
    assert [text async for text in everything] == texts


async def test_a_slow_listener_is_dropped_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Who is more than the queue behind is dropped, which is logged; the others miss nothing."""
    interceptor = Interceptor(queue=3)
    slow, quick = interceptor.subscribe(), interceptor.subscribe()
    seen: list[str] = []
    with caplog.at_level(logging.WARNING, "smproxy.hooks"):
        for seq in range(1, 10):
            interceptor.offer(encoded(1, seq))
            seen.append(await anext(quick))
    assert seen == [encoded(1, seq).body.decode() for seq in range(1, 10)]
    assert slow.dropped
    assert not quick.dropped
    assert [text async for text in slow] == []
    slow.close()
    assert (interceptor.listeners, interceptor.dropped, len(caplog.records)) == (1, 1, 1)


async def test_a_waiting_listener_is_woken() -> None:
    """A listener that waits gets an event as it comes, and ends when it is closed."""
    interceptor = Interceptor()
    subscription = interceptor.subscribe()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.wait((waiting,), timeout=0)
    interceptor.offer(encoded(1, 1))
    assert await waiting == encoded(1, 1).body.decode()
    ending = asyncio.ensure_future(anext(subscription, None))
    await asyncio.wait((ending,), timeout=0)
    subscription.close()
    assert await ending is None
    assert interceptor.listeners == 0


async def test_there_is_a_limit_to_listeners() -> None:
    """One listener too many is refused; a place that becomes free can be taken."""
    interceptor = Interceptor(max_listeners=2)
    first, _second = interceptor.subscribe(), interceptor.subscribe()
    with pytest.raises(TooManyListenersError, match="2 listeners"):
        interceptor.subscribe()
    first.close()
    first.close()
    interceptor.subscribe()
    assert interceptor.listeners == 2


async def test_closed_is_closed() -> None:
    """A subscription made after the end ends at once."""
    interceptor = Interceptor()
    await interceptor.close(0)
    late = interceptor.subscribe()
    interceptor.offer(encoded())
    assert [text async for text in late] == []
    assert not late.dropped


async def test_close_waits_for_listeners_but_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """Close returns when the last listener has left, or after its time-out, which is logged."""
    interceptor = Interceptor()
    subscription = interceptor.subscribe()
    await interceptor.close(0.01)
    assert "1 listeners" in caplog.text
    closing = asyncio.ensure_future(interceptor.close(60))
    await asyncio.wait((closing,), timeout=0.01)
    assert not closing.done()
    subscription.close()
    await closing
