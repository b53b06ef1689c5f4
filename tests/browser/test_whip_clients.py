"""WHIP and WHEP clients in a headless Chromium: the vendor's SDK, and whip-whep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Page
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.page_server import PageServer
from tests.helpers import eventually, scaled


class Tab:
    """A tab of the page with both clients."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        #: Method and status of each exchange.
        self.exchanges: list[tuple[str, int]] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("response", lambda got: self.exchanges.append((got.request.method, got.status)))

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the page."""
        return await self.page.evaluate(f"(given) => window.{function}(...given)", list(arguments))

    async def until(self, expression: str, timeout: float = 10) -> None:
        """Wait until a JavaScript expression is true."""
        await self.page.wait_for_function(expression, timeout=scaled(timeout) * 1000)

    async def pictures(self, count: int = 5) -> None:
        """Wait until the player has shown so many more pictures."""
        before = await self.call("shown", "red5pro-subscriber")
        await self.until(f"window.shown('red5pro-subscriber') >= {before + count}")


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(chromium: Browser, page_server: PageServer) -> AsyncIterator[list[Tab]]:
    """Two tabs, each in a browser profile of its own."""
    async with AsyncExitStack() as stack:
        opened: list[Tab] = []
        for _ in range(2):
            context = await chromium.new_context()
            stack.push_async_callback(context.close)
            tab = Tab(await context.new_page())
            await tab.page.goto(f"{page_server.url}/whip.html")
            await tab.until("window.ready && window.red5prosdk")
            opened.append(tab)
        yield opened


def config(simulator: Simulator, **changes: Any) -> dict[str, Any]:
    """Make the SDK's configuration for a stream manager."""
    params = {"host": "127.0.0.1", "app": "live", "customerScope": "acme", "username": "ann"}
    return {
        "host": "localhost",
        "port": simulator.port,
        "app": "streammanager",
        "streamName": "cam",
        "connectionParams": params,
        **changes,
    }


async def ended(receiver: WebhookReceiver, count: int) -> None:
    """Wait until so many sessions are over."""
    await eventually(
        lambda: [each["payload"].get("state") for each in receiver.events].count("disconnected") == count, 10
    )


async def deleted(tab: Tab) -> None:
    """Wait for the answer to the page's DELETE, and check that nothing was refused."""
    await eventually(lambda: "DELETE" in [method for method, _ in tab.exchanges], 10)
    assert {status for method, status in tab.exchanges if method != "GET"} <= {200, 201, 204}, tab.exchanges


async def test_the_vendors_sdk(simulator: Simulator, receiver: WebhookReceiver, tabs: list[Tab]) -> None:
    """SDK 11.0.0 publishes with WHIPClient and watches with WHEPClient, whose server makes the offer; both leave in order."""
    publishing, watching = tabs
    published = await publishing.call("sdkPublish", config(simulator))
    assert published["resolved"], (published, publishing.errors)
    await eventually(lambda: simulator.manager.sessions.publishing(), 10)
    subscribed = await watching.call("sdkSubscribe", config(simulator, subscriptionId="subscriber-1"))
    assert subscribed["resolved"], (subscribed, watching.errors)
    await watching.until("window.sdkEvents.includes('Subscribe.Start')")
    await watching.pictures()
    assert "Publish.Start" in await publishing.page.evaluate("sdkEvents")
    assert (await watching.call("sdkUnsubscribe"))["resolved"]
    assert (await publishing.call("sdkUnpublish"))["resolved"]
    await ended(receiver, 2)
    for tab in tabs:
        await deleted(tab)
        assert tab.errors == []


async def test_whip_whep(simulator: Simulator, receiver: WebhookReceiver, tabs: list[Tab]) -> None:
    """whip-whep publishes and watches, restarts ICE with both, and gets the events of the stream."""
    publishing, watching = tabs
    base = f"http://localhost:{simulator.port}/live"
    published = await publishing.call("publish", f"{base}/whip/endpoint/cam?customerScope=acme")
    assert published["resolved"], published
    await publishing.until("pc.connectionState === 'connected'")
    seen = await watching.call("view", f"{base}/whep/endpoint/cam?customerScope=acme")
    assert seen["resolved"], seen
    await watching.pictures()
    await watching.until("serverEvents.some(([type]) => type === 'active')")
    await watching.until("serverEvents.some(([type]) => type === 'viewercount')")
    for tab in tabs:
        before = await tab.call("ufrag")
        restarted = await tab.call("restart")
        assert restarted["resolved"], (restarted, tab.exchanges)
        assert await tab.call("ufrag") != before
        assert ("PATCH", 200) in tab.exchanges
    await watching.pictures(20)
    assert (await publishing.call("stop"))["resolved"]
    await watching.until("serverEvents.some(([type]) => type === 'inactive')")
    assert (await watching.call("stop"))["resolved"]
    await ended(receiver, 2)
    await deleted(publishing)
    assert publishing.errors == []
