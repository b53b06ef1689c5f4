"""A page over IPv6: on [::1], with media on nothing else."""

from __future__ import annotations

from playwright.async_api import Browser

from tests.browser.conftest import StartSimulator
from tests.browser.test_turn import WHIP
from tests.browser.web import open_tab
from tests.helpers import scaled


async def test_a_page_publishes_and_plays(start_simulator: StartSimulator, chromium: Browser) -> None:
    """A page from a server on ::1 publishes there over IPv6, and another plays."""
    simulator = await start_simulator(host="::1", media_address=("::1",))
    async with (
        open_tab(chromium, f"{simulator.rest_url}/publish") as publishing,
        open_tab(chromium, f"{simulator.rest_url}/subscribe?stream=cam&transport=whep") as watching,
    ):
        url = f"{simulator.rest_url}/live/whip/endpoint/cam"
        address = await publishing.page.evaluate(WHIP, [url, "all", scaled(15) * 1000, "address"])
        assert ":" in address
        await watching.page.click("#start")
        await watching.state("live")
        await watching.until("document.querySelector('#video').currentTime > 0.5", 20)
