"""The page in the README publishes as it is printed."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser
from smproxy.simulator import Simulator
from smproxy.testing import ReceivedHook, WebhookReceiver

from tests.browser.sdk import SDKS
from tests.helpers import scaled
from tests.readme import example


def started(track: str, hook: ReceivedHook) -> bool:
    """Say whether the hook tells that a track has started."""
    return hook.state == "remote_track_started" and hook.event["payload"]["track"] == track


async def test_page(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver, tmp_path: Path) -> None:
    """The README's page, with only the port changed, publishes audio and video, and its parameters are in the hooks."""
    (sdk,) = [sdk for sdk in SDKS if sdk.version == "11.0.0"]
    html = example("html").replace("port: 5080", f"port: {simulator.port}")
    assert str(simulator.port) in html
    (tmp_path / "page.html").write_text(html)
    (tmp_path / "red5pro-sdk.min.js").write_bytes(sdk.obtain().read_bytes())
    application = web.Application()
    application.router.add_static("/", tmp_path)
    context = await chromium.new_context()
    async with TestServer(application, host="localhost") as server:
        page = await context.new_page()
        await page.goto(str(server.make_url("/page.html")))
        for track in ("audio_main", "video_main"):
            hook = await receiver.wait_for(lambda hook, track=track: started(track, hook), scaled(15))
        connection = hook.event["connection"]
        assert (connection["id"], connection["customerScope"], connection["meta"]) == (
            "mystream",
            "acme",
            {"foo": "bar"},
        )
        assert await page.evaluate("document.querySelector('video').videoWidth") > 0
        await context.close()
