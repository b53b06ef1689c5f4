"""The dashboard ``/``, used as a person uses it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser
from smproxy.settings import Settings
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, PublishError, WebhookReceiver

from tests.browser.conftest import StartSimulator
from tests.browser.web import PHONE, Tab, many_sessions, open_tab

ROW = ".space .row:not([hidden])"


def publisher(simulator: Simulator, stream: str, **params: str) -> Publisher:
    """Make a publisher of the scope that the tests use."""
    return Publisher(simulator.url, stream=stream, params={"customerScope": "acme", **params})


async def test_empty(chromium: Browser, simulator: Simulator) -> None:
    """Where nothing has happened yet the page tells the next step, and a click leads to the test page."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        await tab.sees(".empty", "Nothing has connected yet")
        await tab.page.click("text=Open the test page")
        await tab.page.wait_for_url("**/publish?source=pattern")


async def test_follows_a_session(chromium: Browser, simulator: Simulator) -> None:
    """A session is seen from its beginning to its end without a reload, with media, messages and hooks."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        stream = publisher(simulator, "cam-1", username="ann", password="s3cret-word")
        async with stream:
            await tab.sees(f"{ROW} .tag", "connected")
            await tab.page.click(f"{ROW} >> text=cam-1")
            await tab.sees(".detail h2", "cam-1")
            await tab.sees(".facts dd", "acme")
            await tab.sees(".tracks tr", "video_main")
            await tab.sees(".tracks tr", "VP8")
            await tab.sees(".messages .title", "NetStream.Publish.Start")
            await tab.sees(".messages .title", "#2 connected")
            await tab.sees("table.hooks tr", "remote_track_started")
        await tab.sees(f"{ROW} .tag", "disconnected")
        await tab.sees(".detail header .tag", "disconnected")
        await tab.sees(".detail .ending", "the user stopped or left")
        await tab.page.locator(".messages button", has_text="handleOffer").first.click()
        await tab.sees(".messages .payload", "m=video")
        assert "s3cret-word" not in await tab.page.content()


async def test_markup_stays_text(chromium: Browser, simulator: Simulator) -> None:
    """A stream named like an element is text in every view."""
    name = "<script>document.title='broken'</script><img src=x>"
    async with open_tab(chromium, simulator.rest_url) as tab, publisher(simulator, name, meta='{"<b>": "<i>x</i>"}'):
        await tab.linked()
        await tab.page.click(f"{ROW} a")
        await tab.sees(".detail h2", name)
        await tab.sees(".detail .payload", '"<b>": "<i>x</i>"')
        await tab.sees(".messages .title", "publish")
        for view in ("Hooks", "Nodes", "Faults", "Recordings", "Sessions"):
            await tab.page.click(f"#tabs >> text={view}")
            await tab.until("document.querySelector('#view').childElementCount > 0")
            assert await tab.page.locator("#view script, #view img[src=x], #view b, #view i").count() == 0
        assert "broken" not in await tab.page.title()


async def test_dead_letter_is_sent_again(
    chromium: Browser, start_simulator: StartSimulator, receiver: WebhookReceiver
) -> None:
    """A dead letter shows the receiver's answer, and a press on Resend has it delivered."""
    simulator = await start_simulator()
    receiver.respond = 400
    async with open_tab(chromium, f"{simulator.rest_url}/#/dead") as tab:
        await tab.linked()
        await tab.sees(".empty-line", "No dead letters")
        event = {"event": "connected", "params": {"id": "cam-1", "customerScope": "acme"}}
        await tab.page.request.post(f"{simulator.rest_url}/api/v1/hooks/trigger", data=event)
        await tab.sees(f"{ROW} .tag", "dead")
        await tab.page.click(f"{ROW} >> text=connected")
        await tab.sees(".sink td", "HTTP 400")
        receiver.respond = 204
        await tab.page.click(".sink >> text=Resend")
        await tab.sees(".sink .tag", "delivered")
        await tab.page.click("#tabs >> text=Hooks")
        await tab.sees(f"{ROW} .tag", "delivered")
        assert receiver.hooks[-1].state == "connected"


async def test_a_receiver_that_refuses_everything(chromium: Browser, start_simulator: StartSimulator) -> None:
    """A receiver that answers 422 to everything is shown as failing; two on one host are told apart by their paths (T8)."""
    application = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=422 if request.path == "/billing" else 204)

    application.router.add_post("/{name}", answer)
    async with TestServer(application) as server:
        urls = tuple(str(server.make_url(f"/{name}?key=value")) for name in ("audit", "billing"))
        simulator = await start_simulator(hook_uri=urls)
        await many_sessions(simulator, 1)
        async with open_tab(chromium, f"{simulator.rest_url}/#/hooks") as tab:
            await tab.linked()
            await tab.sees("tr:has-text('/billing') .tag[data-state=bad]", "failing")
            await tab.sees("tr:has-text('/billing')", "HTTP 422")
            await tab.sees("tr:has-text('/audit') .tag[data-state=live]", "up to date")
            await tab.sees(f"{ROW} .tag[data-state=bad]", "dead")
            await tab.page.click("#tabs >> text=Dead letters")
            await tab.sees(f"{ROW} [data-cell=Details]", f"HTTP 422 at {server.host}:{server.port}/billing")
            assert "/audit" not in await tab.page.inner_text(".space")
            await tab.page.click("#tabs >> text=Sessions")
            await tab.page.click(f"{ROW} a")
            await tab.sees(".note", "/audit: delivered")
            await tab.sees(".note", "/billing: ")


async def test_token(chromium: Browser, start_simulator: StartSimulator) -> None:
    """With an admin token nothing is shown until it is given; it is in no address, and a wrong one is said to be wrong."""
    simulator = await start_simulator(admin_token="open-sesame")
    async with open_tab(chromium, simulator.rest_url) as tab, publisher(simulator, "cam-1"):
        requested: list[str] = []
        tab.page.on("request", lambda request: requested.append(request.url))
        await tab.linked("refused")
        assert await tab.page.locator(ROW).count() == 0
        await tab.page.fill("#admin-token", "open")
        await tab.page.click("text=Unlock")
        await tab.sees(".token .problem", "This is not the token.")
        await tab.page.fill("#admin-token", "open-sesame")
        await tab.page.click("text=Unlock")
        await tab.linked()
        await tab.page.click(f"{ROW} >> text=cam-1")
        await tab.page.click("button >> text=Disconnect")
        await tab.page.click("button >> text=Disconnect now")
        await tab.sees(".detail .ending", "ended by the administrator")
        assert not any("sesame" in url for url in [*requested, tab.page.url])
        assert await tab.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


async def test_faults(chromium: Browser, simulator: Simulator) -> None:
    """A fault is switched on, is seen to have acted on a session, and is switched off."""
    async with open_tab(chromium, f"{simulator.rest_url}/#/faults") as tab:
        await tab.linked()
        await tab.sees("#view .empty-line", "No fault is on")
        await tab.page.get_by_label("Fault", exact=True).select_option("publish-denied")
        await tab.page.get_by_label("Customer scope").fill("acme")
        await tab.page.get_by_label("Role").select_option("publisher")
        await tab.page.get_by_label("Ends after seconds").fill("600")
        await tab.page.click("text=Switch on")
        await tab.sees("[aria-label='Faults that are on'] tr", "customerScope=acme role=publisher, until ")
        with pytest.raises(PublishError):
            await publisher(simulator, "cam-1").publish()
        await tab.sees("[aria-label='What faults did'] tr", "publish-denied")
        await tab.page.click("[aria-label='Faults that are on'] >> text=Off")
        await tab.sees("#view .empty-line", "No fault is on")
        await tab.page.get_by_label("Fault", exact=True).select_option("network")
        assert await tab.page.get_by_label("delay").get_attribute("placeholder") == "the profile's"
        await tab.page.get_by_label("loss").fill("3")
        await tab.page.click("text=Switch on")
        await tab.sees("[aria-label='Faults that are on'] td.code", "loss=3")
        (fault,) = simulator.faults.active()
        assert fault.parameters | {"loss": 3.0, "delay": -1.0} == fault.parameters


async def test_a_node_that_is_not_simulated(chromium: Browser, simulator: Simulator) -> None:
    """Without simulated nodes only what can be done is offered, and the way to the rest is told."""
    async with open_tab(chromium, f"{simulator.rest_url}/#/nodes") as tab:
        await tab.linked()
        await tab.sees("#view tbody tr", "INSERVICE")
        await tab.sees("#view p", "smproxy serve --nodes N")
        assert await tab.page.locator("#view button:visible").all_inner_texts() == ["Drain"]


async def rows(tab: Tab) -> int:
    """Count the rows that are in the page, seen or not."""
    return await tab.page.locator(".space .row").count()


async def test_thousands_of_sessions(chromium: Browser, simulator: Simulator) -> None:
    """Of 2,000 sessions all can be scrolled to and found, while only what fits the screen is in the page."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        await many_sessions(simulator, 2_000)
        await tab.sees(".total", "2,000")
        await tab.sees(f"{ROW} a", "cam-1999")
        assert await rows(tab) < 60
        await tab.page.evaluate("document.querySelector('.rows').scrollTop = 1e9")
        await tab.sees(f"{ROW} a", "cam-0000")
        assert await rows(tab) < 60
        await tab.page.fill("input[type=search]", "cam-1234")
        await tab.sees(".total", "1 of 2,000")
        await tab.sees(f"{ROW} a", "cam-1234")
        await tab.page.click("#tabs >> text=Hooks")
        await tab.sees(".hook-list .total", "2,000")
        assert await rows(tab) < 60


FILL = """(async () => {
  const { Store } = await import("/web/dashboard/store.js");
  const store = new Store();
  store.hello({ now: Date.now(), epoch: 0, startedAt: 1 });
  const session = (number, state) => ({ session: number, state, startedAt: number, tracks: [] });
  store.addSessions(Array.from({ length: 3000 }, (_, n) => session(n + 1, "connected")));
  store.addSessions(Array.from({ length: 3000 }, (_, n) => session(n + 3001, "disconnected")));
  const track = { track: "video_main", bitrate: 1 };
  for (let n = 0; n < 500; n += 1) store.addStatistics({ sessions: { 1: [track] } });
  for (let n = 0; n < 6000; n += 1) store.addHook({ uuid: `u${n}`, ts: n, payload: { session: 1 } });
  return {
    sessions: store.sessions.size,
    oldest: store.newest.at(-1).session,
    ended: store.newest.filter(({ state }) => state === "disconnected").length,
    hooks: store.newestHooks.length,
    newest: store.newestHooks[0].uuid,
    past: store.bitrates(1, "video_main").length,
  };
})()"""


async def test_memory_is_bounded(chromium: Browser, simulator: Simulator) -> None:
    """The page keeps 5,000 sessions and hooks and two minutes of numbers; of sessions the oldest that have ended go first."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        assert await tab.page.evaluate(FILL) == {
            "sessions": 5_000,
            "oldest": 1,
            "ended": 2_000,
            "hooks": 5_000,
            "newest": "u5999",
            "past": 120,
        }


async def test_keyboard(chromium: Browser, simulator: Simulator) -> None:
    """The arrow keys choose a session, and what is chosen is told to a screen reader."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        await many_sessions(simulator, 30)
        await tab.sees(f"{ROW} a", "cam-0029")
        await tab.page.focus("[role=grid]")
        await tab.page.keyboard.press("ArrowDown")
        await tab.sees(".detail h2", "cam-0029")
        await tab.page.keyboard.press("ArrowDown")
        await tab.sees(".detail h2", "cam-0028")
        await tab.page.keyboard.press("End")
        await tab.sees(".detail h2", "cam-0000")
        active = await tab.page.get_attribute("[role=grid]", "aria-activedescendant")
        assert "cam-0000" in await tab.page.inner_text(f"#{active}")


async def test_restart(chromium: Browser, tmp_path: Path) -> None:
    """When the server restarts the page says that the connection is lost, comes back, and shows what is there now."""
    settings = {"tls_port": 0, "data_dir": tmp_path}
    async with AsyncExitStack() as stack:
        async with Simulator(Settings(port=0, **settings)) as first:
            port = first.port
            tab = await stack.enter_async_context(open_tab(chromium, first.rest_url))
            await tab.linked()
            await many_sessions(first, 3)
            await tab.sees(".total", "3")
        await tab.linked("lost")
        second = await stack.enter_async_context(Simulator(Settings(port=port, **settings)))
        await tab.linked()
        await tab.sees(".empty", "Nothing has connected yet")
        await many_sessions(second, 1)
        await tab.sees(".total", "1")
        await tab.page.click("#tabs >> text=Hooks")
        await tab.sees(f"{ROW} a", "connect_error")  # how the first server's sessions ended, from the journal


async def test_reset(chromium: Browser, simulator: Simulator) -> None:
    """After a reset the page is as empty as the server."""
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        await many_sessions(simulator, 3)
        await tab.sees(".total", "3")
        await tab.page.request.post(f"{simulator.rest_url}/api/v1/reset")
        await tab.sees(".empty", "Nothing has connected yet")
        await tab.page.click("#tabs >> text=Hooks")
        await tab.sees("#view .empty-line", "No hooks yet")


async def test_phone(chromium: Browser, simulator: Simulator) -> None:
    """On a phone the list and the session take turns, and nothing lies beside the screen."""
    async with open_tab(chromium, simulator.rest_url, viewport=PHONE) as tab, publisher(simulator, "cam-1"):
        await tab.linked()
        await tab.page.click(f"{ROW} >> text=cam-1")
        await tab.sees(".messages .title", "publish")
        assert not await tab.page.is_visible("[role=grid]")
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        await tab.page.click("text=All sessions")
        await tab.sees(f"{ROW} a", "cam-1")


async def test_recording_plays(chromium: Browser, simulator: Simulator) -> None:
    """A recording is listed when its session has ended, plays on the page, and is gone after Delete."""
    async with open_tab(chromium, f"{simulator.rest_url}/#/recordings") as tab:
        await tab.linked()
        await tab.sees("#view .empty-line", "Nothing was recorded yet")
        stream = publisher(simulator, "cam-1", recording="true")
        async with stream:
            await tab.sees("#tabs a", "Sessions1")
            await tab.page.click("#tabs >> text=Sessions")
            await tab.sees(".space [data-cell=Media]", "kbit/s")
        await tab.page.click("#tabs >> text=Recordings")
        await tab.page.click("button >> text=Play")
        await tab.until("document.querySelector('.player video').videoWidth > 0", 15)
        await tab.page.click("button >> text=Delete")
        await tab.page.click("button >> text=Delete now")
        await tab.sees("#view .empty-line", "Nothing was recorded yet")


async def test_thumbnail(chromium: Browser, simulator: Simulator) -> None:
    """A live stream's session shows its latest key frame."""
    async with open_tab(chromium, simulator.rest_url) as tab, publisher(simulator, "cam-1"):
        await tab.linked()
        await tab.page.click(f"{ROW} >> text=cam-1")
        await tab.page.wait_for_selector(".thumbnail")
        await tab.until("document.querySelector('.thumbnail').naturalWidth > 0", 15)
