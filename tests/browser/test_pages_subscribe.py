"""The page ``/subscribe``, used as a person uses it."""

from __future__ import annotations

from playwright.async_api import Browser
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver

from tests.browser.web import open_tab
from tests.helpers import scaled


async def test_play(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver) -> None:
    """A stream that is live plays after a click on Start, and its end is said in words."""
    publisher = Publisher(simulator.url, stream="cam-1", params={"customerScope": "acme"})
    async with publisher, open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=cam-1") as tab:
        await tab.page.click("#start")
        await tab.state("live")
        await tab.until("document.querySelector('#video').videoWidth > 0", 15)
        await tab.sees("#statistics tr", "video")
        hook = await receiver.wait_for(
            lambda hook: hook.event["connection"]["role"] == "subscriber" and hook.state == "connected", scaled(10)
        )
        assert hook.event["connection"]["customerScope"] == "acme"
        await tab.sees("#hooks .what", "connected")
        await publisher.unpublish()
        await tab.state("failed")
        await tab.sees("#problem", "The publisher has stopped.")


async def test_whep(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver) -> None:
    """Over WHEP the page plays with one POST and leaves with DELETE."""
    publisher = Publisher(simulator.url, stream="cam-1", params={"customerScope": "acme"})
    async with publisher, open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=cam-1&transport=whep") as tab:
        await tab.page.click("#start")
        await tab.state("live")
        await tab.sees("#url", "/live/whep/endpoint/cam-1?")
        await tab.until("document.querySelector('#video').videoWidth > 0", 10)
        await tab.until("document.querySelector('#video').currentTime > 0.5", 10)
        await tab.sees("#statistics tr", "video")
        await tab.page.click("#stop")
        await tab.state("idle")
        ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
        assert (ended.event["connection"]["role"], ended.event["connection"]["transport"]) == ("subscriber", "whep")
        assert ended.event["payload"]["reason"] == 0


async def test_stop(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver) -> None:
    """Stop leaves the stream: the subscriber's session ends, the publisher's goes on."""
    publisher = Publisher(simulator.url, stream="cam-1", params={"customerScope": "acme"})
    async with publisher, open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=cam-1") as tab:
        await tab.page.click("#start")
        await tab.state("live")
        await tab.page.click("#stop")
        await tab.state("idle")
        ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
        assert ended.event["connection"]["role"] == "subscriber"
        assert len(simulator.manager.sessions.publishing()) == 1


async def test_not_live(chromium: Browser, simulator: Simulator) -> None:
    """A stream that nobody publishes is said not to be there."""
    async with open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=nobody") as tab:
        await tab.page.click("#start")
        await tab.state("failed")
        await tab.sees("#problem", "No stream found for live/nobody")


async def test_offers_what_is_live(chromium: Browser, simulator: Simulator) -> None:
    """The page fills in a stream that is live when the link names none."""
    publisher = Publisher(simulator.url, stream="cam-9", params={"customerScope": "acme"})
    async with publisher, open_tab(chromium, f"{simulator.rest_url}/subscribe") as tab:
        await tab.until("document.querySelector('#stream').value === 'cam-9'", 5)
