"""The reader of pictures for any <video>, in Chromium."""

from __future__ import annotations

from playwright.async_api import Browser
from smproxy.simulator import Simulator

from tests.browser.web import open_tab
from tests.helpers import scaled

REPORT = (
    "() => { const r = window.check.report(); return [r.latency?.p50 ?? 0, r.latency?.count ?? 0, r.freezes, r.mark]; }"
)


async def test_any_page(chromium: Browser, simulator: Simulator) -> None:
    """Put into a page by a test, it reads how late the picture is, what a bad network adds, and that the picture stands."""
    async with (
        simulator.publisher("cam", pattern="clock"),
        open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=cam") as tab,
    ):
        await tab.page.click("#start")
        await tab.state("live")
        await tab.sees("#latency", "From painted to seen: ")
        await tab.page.add_script_tag(url=f"{simulator.rest_url}/picture-check.js", type="module")
        watch = "window.check = new PictureCheck(document.querySelector('video'))"
        await tab.until(f"window.PictureCheck && ({watch})", 10)
        await tab.until("check.report().latency?.count > 20", 20)
        straight, _, _, mark = await tab.page.evaluate(REPORT)
        assert 0 <= straight < scaled(0.5)
        assert isinstance(mark, int)
        fault = simulator.faults.add("network", role="subscriber", delay=400)
        await tab.until("check.stop() ?? true", 1)
        await tab.until(f"({watch}) && check.report().pictures === 0", 1)
        await tab.until(f"check.report().latency?.p95 > {straight + 0.3}", 20)
        fault.remove()
        simulator.faults.add("network", role="subscriber", outage=3_600_000)
        await tab.until("check.report().freezes.at(-1) > 1", 20)


async def test_sound_beside_picture(chromium: Browser, simulator: Simulator) -> None:
    """By how much sound and picture are apart is read in a page, too; a delay of both is no offset."""
    async with (
        simulator.publisher("cam", pattern="clock"),
        open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=cam") as tab,
    ):
        await tab.page.click("#start")
        await tab.state("live")
        await tab.page.add_script_tag(url=f"{simulator.rest_url}/picture-check.js", type="module")
        watch = "window.check = new PictureCheck(document.querySelector('video'), { sound: true })"
        await tab.until(f"window.PictureCheck && ({watch})", 10)
        await tab.until("check.report().soundLatency?.count >= 3", 20)
        assert abs(await tab.page.evaluate("() => check.report().offset")) < scaled(0.2)
