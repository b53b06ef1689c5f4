"""Takes the pictures of the pages in ``docs/images``: ``make screenshots``.

A simulator with publishers, viewers, a receiver that refuses something and a fault, so that there is something to see.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright
from smproxy.settings import Settings, SettingsError
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, PublishError, ReceivedHook, WebhookReceiver

from tests.browser.conftest import FLAGS

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZES = {"1280": {"width": 1280, "height": 860}, "390": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")

STREAMS = {"lobby": "acme", "stage-left": "acme", "stage-right": "acme", "keynote": "globex"}


def respond(hook: ReceivedHook) -> int:
    """Refuse one kind of hook for good, so that there is a dead letter."""
    refused = hook.state == "peer_joined" and hook.event["connection"]["id"] == "keynote"
    return 422 if refused else 204


async def started(stack: AsyncExitStack, directory: Path, sinks: tuple[str, ...]) -> Simulator:
    """Start on the usual port, which looks best in a picture, or on another."""
    for port in (5080, 0):
        with suppress(SettingsError):
            settings = Settings(port=port, tls_port=0, data_dir=directory, hook_uri=sinks)
            return await stack.enter_async_context(Simulator(settings))
    raise SystemExit("no port can be opened")


async def busy(stack: AsyncExitStack, simulator: Simulator) -> None:
    """Let something happen."""
    for stream, scope in STREAMS.items():
        params = {"customerScope": scope, "username": "ann", "password": "s3cret", "meta": '{"room": "A"}'}
        publisher = Publisher(simulator.url, stream=stream, params=params)
        await publisher.publish()
        if stream == "stage-right":
            await publisher.close()
        else:
            stack.push_async_callback(publisher.close)
    simulator.faults.add("publish-denied", id="stranger-*")
    simulator.faults.add("latency", id="slow-*")
    for stream in ("lobby", "stranger-1"):
        with suppress(PublishError):
            await Publisher(simulator.url, stream=stream, params={"customerScope": "acme"}).publish()


async def viewer(browser: Browser, simulator: Simulator) -> None:
    """Watch a stream."""
    page = await browser.new_page()
    await page.goto(f"{simulator.rest_url}/subscribe?stream=lobby")
    await page.click("#start")
    await page.wait_for_selector('#state[data-state="live"]')


async def shoot(page: Page, name: str) -> None:
    """Take a page in each size and scheme."""
    for size, viewport in SIZES.items():
        for scheme in SCHEMES:
            await page.set_viewport_size(viewport)
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.evaluate("scrollTo(0, 0)")
            await page.mouse.move(0, 0)
            await page.wait_for_timeout(500)
            await page.screenshot(path=IMAGES / f"{name}-{size}-{scheme}.png")


async def main() -> None:
    """Write the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        receiver = await stack.enter_async_context(WebhookReceiver())
        receiver.respond = respond
        simulator = await started(stack, directory, (receiver.url,))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        stack.push_async_callback(browser.close)

        dashboard = await browser.new_page()
        await dashboard.goto(simulator.rest_url)
        await busy(stack, simulator)
        await viewer(browser, simulator)
        await dashboard.wait_for_timeout(30_000)  # so that the plots have something to show
        await dashboard.click(".space .row >> text=lobby >> nth=-1")
        await dashboard.wait_for_timeout(2_000)
        await shoot(dashboard, "dashboard")

        publish = await browser.new_page()
        await publish.goto(
            f"{simulator.rest_url}/publish?source=pattern&stream=rehearsal&customerScope=acme&username=ann"
        )
        await publish.fill("#password", "s3cret")
        await publish.click("#start")
        await publish.wait_for_selector('#state[data-state="live"]')
        await publish.wait_for_timeout(20_000)
        await shoot(publish, "publish")


if __name__ == "__main__":
    asyncio.run(main())
