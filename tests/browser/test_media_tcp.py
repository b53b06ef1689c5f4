"""Pages whose UDP is blocked: they publish and play over TCP, on the port of the pages."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser
from smproxy.simulator import Simulator

from tests.browser.conftest import OpenPage, StartSimulator
from tests.browser.test_publish import config
from tests.browser.test_turn import publish
from tests.browser.web import open_tab
from tests.helpers import eventually, scaled

#: The protocol of the candidate that the SDK's publisher uses, once it has sent some media.
_PROTOCOL = """async (ms) => {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const all = [...(await sdkPublisher().getPeerConnection().getStats()).values()];
    const pair = all.find((each) => each.type === "candidate-pair" && each.nominated && each.bytesSent > 20000);
    if (pair) return all.find((each) => each.id === pair.localCandidateId).protocol;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}"""


async def test_a_page_publishes(start_simulator: StartSimulator, open_page: OpenPage) -> None:
    """Where UDP is blocked a page publishes over TCP, with WHIP and with the SDK on the WebSocket; not without --media-tcp."""
    simulator = await start_simulator(media_tcp=True)
    simulator.faults.add("udp-blocked")
    page = await open_page()
    assert await publish(page, simulator, "all", field="protocol") == "tcp"
    await eventually(lambda: len(simulator.manager.sessions.publishing()) == 1, 10)
    assert (await page.publish(config(simulator))).resolved
    assert await page.page.evaluate(_PROTOCOL, scaled(20) * 1000) == "tcp"
    assert page.errors == []


@pytest.mark.parametrize("transport", ["websocket", "whep"])
async def test_a_page_plays(transport: str, start_simulator: StartSimulator, chromium: Browser) -> None:
    """Where UDP of subscribers is blocked a page plays over TCP, with WHEP and on the WebSocket."""
    simulator: Simulator = await start_simulator(media_tcp=True)
    simulator.faults.add("udp-blocked", role="subscriber")
    options: dict[str, Any] = {"customerScope": "acme"}
    url = f"{simulator.rest_url}/subscribe?stream=cam-1&transport={transport}"
    async with simulator.publisher("cam-1", params=options), open_tab(chromium, url) as tab:
        await tab.page.click("#start")
        await tab.state("live")
        await tab.until("document.querySelector('#video').videoWidth > 0", 20)
        await tab.until("document.querySelector('#video').currentTime > 0.5", 20)
