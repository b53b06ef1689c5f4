"""A receiver of one customer scope gets the events of that one."""

from __future__ import annotations

import pytest
from smproxy.hooks.sink import DELIVERED, SKIPPED
from smproxy.hooks.sinks.scoped import ScopedSink

from tests.hooks_support import Collector, encoded


@pytest.mark.parametrize("scope", [None, "umbrella", "Acme", "acme ", ""])
async def test_no_event_of_another_customer_leaves(scope: str | None) -> None:
    """Events of other scopes, also of none, are skipped and never sent."""
    inner = Collector()
    sink = ScopedSink(inner, "acme")
    assert await sink.deliver(encoded(1, 1, scope)) == SKIPPED
    assert await sink.deliver(encoded(2, 1, "acme")) == DELIVERED
    assert [event.session for event in inner.events] == [2]
