"""hls.js in Chromium plays live streams and recordings, from a page of another origin."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.page_server import PageServer
from tests.browser.web import Tab, open_tab
from tests.helpers import eventually, scaled

PLAYS = "document.querySelector('video').currentTime > {} && document.querySelector('video').videoWidth === 320"
HEARD = "document.querySelector('video').webkitAudioDecodedByteCount > 0"


async def play(tab: Tab, url: str, seconds: float) -> None:
    """Play until so many seconds are through, with picture and sound."""
    await tab.page.evaluate("(url) => play(url)", url)
    await tab.until(f"problems.length || ({PLAYS.format(seconds)} && {HEARD})", 40)
    assert await tab.page.evaluate("problems") == []


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_live(chromium: Browser, simulator: Simulator, page_server: PageServer, codec: str) -> None:
    """A stream of either codec plays with picture and sound, and the player sees its end."""
    async with open_tab(chromium, f"{page_server.url}/hls.html") as tab:
        async with simulator.publisher("cam", codec=codec):
            await play(tab, f"{simulator.rest_url}/live/cam.m3u8", 2)
        await tab.until("document.querySelector('video').ended", 40)


async def test_recording(
    chromium: Browser, simulator: Simulator, receiver: WebhookReceiver, page_server: PageServer
) -> None:
    """A recording that the list names plays as HLS, with a jump in it, to its end."""
    async with simulator.publisher("taken", mode="record", recording=True) as stream:
        await eventually(lambda: stream.statistics["audio"].packets > 200, 20)
    await receiver.wait_for(lambda hook: hook.state == "recording_saved", scaled(10))
    async with open_tab(chromium, f"{page_server.url}/hls.html") as tab:
        lists = "async (url) => (await (await fetch(url)).json()).playlists"
        (listed,) = await tab.page.evaluate(lists, f"{simulator.rest_url}/live/playlists")
        assert listed["name"] == "taken.m3u8"
        await play(tab, listed["url"], 0.5)
        await tab.page.evaluate("document.querySelector('video').currentTime = 2.5")
        await tab.until("document.querySelector('video').ended", 40)
        assert await tab.page.evaluate("document.querySelector('video').duration") > 3
        assert await tab.page.evaluate("problems") == []
