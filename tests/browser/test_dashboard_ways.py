"""Ways through the dashboard ``/``: addresses, the Back button, the keyboard, a phone."""

from __future__ import annotations

import aiohttp
import pytest
from playwright.async_api import Browser
from smproxy.simulator import Simulator

from tests.browser.conftest import StartSimulator
from tests.browser.web import PHONE, many_sessions, open_tab
from tests.helpers import scaled

ROW = ".space .row:not([hidden])"


@pytest.mark.parametrize("address", ["constructor", "__proto__/1", "sessions/abc", "sessions/-1", "nothing/here"])
async def test_unknown_address(chromium: Browser, simulator: Simulator, address: str) -> None:
    """An address that leads nowhere shows the sessions."""
    async with open_tab(chromium, f"{simulator.rest_url}/#/{address}") as tab:
        await tab.linked()
        await tab.sees(".empty", "Nothing has connected yet")


async def test_unknown_session(chromium: Browser, simulator: Simulator) -> None:
    """A session that the server does not know is said to be unknown, with nothing beside it that looks like one."""
    async with open_tab(chromium, f"{simulator.rest_url}/#/sessions/12345") as tab:
        await tab.sees(".detail h2", "Session 12345 is not known")
        assert not await tab.page.is_visible(".detail .actions")
        assert not await tab.page.is_visible(".detail .sequence")
        await tab.page.click("text=Show all sessions")
        await tab.sees(".empty", "Nothing has connected yet")


async def test_session_that_is_forgotten(chromium: Browser, simulator: Simulator) -> None:
    """What the server forgets in a reset is not shown any more as if it were there."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        await many_sessions(simulator, 1)
        await tab.page.click(f"{ROW} >> text=cam-0000")
        await tab.sees(".facts dd", "acme")
        await tab.page.request.post(f"{simulator.rest_url}/api/v1/reset")
        await tab.sees(".detail h2", "is not known")
        assert not await tab.page.is_visible(".facts")


async def test_back(chromium: Browser, simulator: Simulator) -> None:
    """On a phone Back leads from a session to the list, and the keyboard goes along both ways."""
    async with open_tab(chromium, simulator.rest_url, viewport=PHONE) as tab:
        await tab.linked()
        await many_sessions(simulator, 3)
        await tab.sees(f"{ROW} a", "cam-0002")
        await tab.page.focus("[role=grid]")
        await tab.page.keyboard.press("ArrowDown")
        await tab.sees(".detail h2", "cam-0002")
        await tab.until("document.activeElement.matches('.detail h2')")
        await tab.page.go_back()
        await tab.sees(f"{ROW} a", "cam-0002")
        await tab.until("document.activeElement.matches('[role=grid]')")


async def test_faults_with_the_keyboard(chromium: Browser, simulator: Simulator) -> None:
    """The button that switches a fault off keeps the focus when another comes; on a phone it is on the screen."""
    simulator.faults.add("latency", id="slow-1")
    async with open_tab(chromium, f"{simulator.rest_url}/#/faults", viewport=PHONE) as tab:
        await tab.linked()
        off = tab.page.locator("[aria-label='Faults that are on'] button")
        await off.focus()
        simulator.faults.add("latency", id="slow-2")
        await tab.sees("[aria-label='Faults that are on'] tr", "slow-2")
        assert await tab.page.evaluate("document.activeElement.closest('tr').textContent.includes('slow-1')")
        for box in [await button.bounding_box() for button in await off.all()]:
            assert box is not None
            assert box["x"] + box["width"] < PHONE["width"]
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert (
            await tab.page.evaluate("document.querySelector('#tabs [aria-current]').getBoundingClientRect().right")
            < 390
        )
        await tab.page.keyboard.press("Enter")
        await tab.until("document.querySelectorAll('[aria-label=\"Faults that are on\"] tbody tr').length === 1")


async def test_token_on_any_view(chromium: Browser, start_simulator: StartSimulator) -> None:
    """A view that was opened before the token was given works after it; until then it is not shown."""
    simulator = await start_simulator(admin_token="open-sesame")
    async with open_tab(chromium, f"{simulator.rest_url}/#/faults") as tab:
        await tab.linked("refused")
        assert not await tab.page.is_visible("#view")
        await tab.page.fill("#admin-token", "open-sesame")
        await tab.page.keyboard.press("Enter")
        await tab.linked()
        await tab.page.get_by_label("Fault", exact=True).select_option("publish-denied")
        await tab.page.click("text=Switch on")
        await tab.sees("[aria-label='Faults that are on'] tr", "publish-denied")
        assert not await tab.page.is_visible("#view .problem")


async def test_messages_without_hooks(chromium: Browser, simulator: Simulator) -> None:
    """A message that brings no hook is in the sequence soon after it has passed."""
    url = f"{simulator.url}?id=cam-1&customerScope=acme&host=127.0.0.1&app=live"
    async with (
        open_tab(chromium, simulator.rest_url) as tab,
        aiohttp.ClientSession() as http,
        http.ws_connect(url) as socket,
    ):
        await tab.page.click(f"{ROW} >> text=cam-1")
        await tab.sees(".messages .title", "NetConnection.Connect.Success")
        await socket.send_str('{"isAvailable": "cam-1", "bundle": true}')
        await tab.sees(".messages .title", "isAvailable: false")


OVERFLOW = """(async () => {
  const { Store } = await import("/web/dashboard/store.js");
  const store = new Store();
  const hook = (n, state) => ({ uuid: `u${n}`, ts: n, payload: { session: 1 }, deliveries: [{ sink: "s", state, tries: 1 }] });
  for (let n = 0; n < 3; n += 1) store.addHook(hook(n, "dead"));
  for (let n = 3; n < 10000; n += 1) store.addHook(hook(n, "delivered"));
  const few = [store.dead.length, store.hooks.size];
  for (let n = 10000; n < 30000; n += 1) store.addHook(hook(n, "dead"));
  return [...few, store.dead.length, store.hooks.size];
})()"""


async def test_dead_letters_stay(chromium: Browser, simulator: Simulator) -> None:
    """Among thousands of hooks the dead letters are not forgotten before the others; however many, memory is bounded."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        assert await tab.page.evaluate(OVERFLOW) == [3, 5_000, 5_000, 5_000]


async def test_save_packets(chromium: Browser, simulator: Simulator) -> None:
    """The packets of a session that lives are saved from its page: what was captured, and the next five seconds."""
    async with simulator.publisher("cam", customerScope="acme"), open_tab(chromium, simulator.rest_url) as tab:
        await tab.page.click(f"{ROW} >> text=cam")
        async with tab.page.expect_download(timeout=scaled(30) * 1000) as download:
            await tab.page.click("text=Save packets")
            await tab.sees("button:disabled", "Save packets")
        saved = await download.value
        assert saved.suggested_filename.endswith(".pcapng")
        assert (await saved.path()).read_bytes().startswith(b"\x0a\x0d\x0d\x0a")
