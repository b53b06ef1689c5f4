"""The unmodified vendor SDK talks to the main port as to a standalone server: app ``live``, no stream manager."""

from __future__ import annotations

import pytest
from smproxy.simulator import Simulator

from tests.browser.conftest import OpenPage, OpenSubscribePage
from tests.helpers import eventually


@pytest.mark.parametrize("version", ["", "-7"])
async def test_publish_and_watch(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage, version: str
) -> None:
    """SDK 11 and 7.2.2 publish to ``/live`` and watch it there, as ordinary pages without a ``customerScope``."""
    config = {
        "host": "localhost",
        "port": simulator.port,
        "app": "live",
        "streamName": "camera-1",
    }
    page = await open_page(f"publish{version}.html")
    published = await page.publish(config)
    assert published.resolved, published
    await page.wait_bytes()
    assert page.ws_urls[0].startswith(f"ws://localhost:{simulator.port}/live")
    await eventually(lambda: [each.life.scope for each in simulator.manager.sessions.publishing()] == ["live"], 10)
    viewer = await open_subscribe_page(f"subscribe{version}.html")
    watched = await viewer.subscribe(config)
    assert watched.resolved, watched
    await viewer.until("videoOf(0).videoWidth > 0")
    assert (await page.unpublish()).resolved
