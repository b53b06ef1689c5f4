"""The feed of the dashboard, over all nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from smproxy.testing import WebhookReceiver

from tests.cluster.conftest import StartNode
from tests.helpers import eventually
from tests.integration.test_feed import Event, Follower, follow


async def came(feed: Follower, wanted: Callable[[str, Any], object]) -> Event:
    """Return an event that has come, or wait for it."""
    known = [event for event in feed.events if wanted(*event)]
    return known[-1] if known else await feed.until(wanted)


async def test_feed_is_of_all_nodes(start_node: StartNode) -> None:
    """Sessions, hooks, deliveries, statistics and counts of every node come at any one, and say whose they are.

    A node whose connection was lost begins anew; one that has left is named no more, nor what it counted.
    """
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(WebhookReceiver())
        one, two = await start_node("n1"), await start_node("n2", hook_uri=receiver.url)
        await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in (one, two)), 10)
        await stack.enter_async_context(one.publisher("a", host="n1"))
        await stack.enter_async_context(two.publisher("b", host="n2"))
        feed = await stack.enter_async_context(follow(one))
        await feed.until(lambda name, data: name == "ready" and data == {"node": "n2"})
        first = {view["id"]: view for name, data in feed.events if name == "sessions" for view in data}
        assert {name: view["node"] for name, view in first.items()} == {"a": "n1", "b": "n2"}
        names = [name for name, _ in feed.events]
        assert names.index("hello") < names.index("ready") < names.index("node")
        await came(feed, lambda name, data: name == "cluster" and data["partial"] == [] and "n2" in data["nodes"])
        await came(feed, lambda name, data: name == "nodes" and sum(row["publishers"] for row in data["nodes"]) == 2)
        await came(feed, lambda name, data: name == "stats" and str(first["b"]["session"]) in data["sessions"])

        await stack.enter_async_context(two.publisher("c", host="n1"))
        await came(feed, lambda name, data: name == "hook" and data["connection"]["id"] == "c" and data["node"] == 2)
        await came(feed, lambda name, data: name == "delivery" and data["state"] == "delivered")
        _, sinks = await came(feed, lambda name, data: name == "sinks" and any(row["delivered"] for row in data))
        assert {row["node"] for row in sinks} == {"n2"}

        two.manager.dashboard_events.restart()  # as a reset, or a connection that broke
        await feed.until(lambda name, data: name == "node" and data["epoch"] == 1)
        _, again = await feed.until(lambda name, data: name == "sessions")
        assert {view["id"]: view["node"] for view in again} == {"b": "n2", "c": "n2"}
        await feed.until(lambda name, data: name == "ready" and data == {"node": "n2"})

        await two.stop()
        await feed.until(lambda name, data: name == "cluster" and data["nodes"] == ["n1"])
        await came(feed, lambda name, data: name == "sinks" and data == [])
