"""The dashboard's tools: filters, copies, a clean slate, what clients share, and a phone of 375 pixels."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser
from smproxy.hooks.formats.registry import FORMATS
from smproxy.nodes.node_spec import read_nodes
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, Subscriber, WebhookReceiver
from websockets.asyncio.client import connect

from tests.browser.conftest import StartSimulator
from tests.browser.web import Tab, many_sessions, open_tab
from tests.integration.test_shared_objects import joined

ROW = ".space .row:not([hidden])"
SMALL = {"width": 375, "height": 720}
JOIN = {
    "messageType": "JoinConferenceRequest", "joinToken": "t1", "displayName": "Ann",
    "streamGuid": "live/room/ann", "fingerprint": "f1",
}  # fmt: skip
VIEWS = ("sessions", "hooks", "dead", "nodes", "faults", "clients", "recordings", "rooms")


def publisher(simulator: Simulator, stream: str, **params: str) -> Publisher:
    """Make a publisher of the scope that the tests use."""
    return Publisher(simulator.url, stream=stream, params={"customerScope": "acme", **params})


async def rows(tab: Tab, count: int) -> None:
    """Wait for so many rows of the list."""
    await tab.until(f"document.querySelectorAll({json.dumps(ROW)}).length === {count}")


async def test_hooks_are_filtered_by_event_and_receiver(
    chromium: Browser, start_simulator: StartSimulator, receiver: WebhookReceiver
) -> None:
    """The choices are what there is; both may be used together, and with the search."""
    async with WebhookReceiver(path="/billing") as second:
        simulator = await start_simulator(hook_uri=(receiver.url, second.url))
        await many_sessions(simulator, 3)
        async with open_tab(chromium, f"{simulator.rest_url}/#/hooks") as tab:
            await tab.linked()
            await rows(tab, 3)
            async with publisher(simulator, "cam-x"):
                await tab.page.select_option("select[aria-label=event]", "peer_joined")
                await rows(tab, 1)
                await tab.page.select_option("select[aria-label=event]", "connecting")
                await rows(tab, 4)
                await tab.page.select_option("select[aria-label=receiver]", second.url)
                await rows(tab, 4)
                await tab.page.fill(".filters input", "cam-x")
                await rows(tab, 1)
            assert await tab.page.locator("select[aria-label=receiver] option").count() == 3


async def test_copies(chromium: Browser, simulator: Simulator) -> None:
    """The number of a session and the message of a hook are on the clipboard after a press."""
    options = {"permissions": ["clipboard-read", "clipboard-write"]}
    async with open_tab(chromium, simulator.rest_url, **options) as tab, publisher(simulator, "cam-1"):
        await tab.linked()
        await tab.page.click(f"{ROW} >> text=cam-1")
        await tab.page.click("[aria-label='Copy session']")
        await tab.sees(".copy", "Copied")
        number = await tab.page.evaluate("navigator.clipboard.readText()")
        assert tab.page.url.endswith(number)
        await tab.page.click("#tabs >> text=Hooks")
        await tab.page.click(f"{ROW} >> text=connected")
        await tab.page.click("[aria-label='Copy message']")
        await tab.sees(".copy", "Copied")
        message = json.loads(await tab.page.evaluate("navigator.clipboard.readText()"))
        assert (message["payload"]["state"], str(message["payload"]["session"])) == ("connected", number)


async def test_clear_and_reset(chromium: Browser, simulator: Simulator) -> None:
    """Clear takes what has ended off the page, and the server keeps it; Reset ends and forgets everything."""
    async with open_tab(chromium, simulator.rest_url) as tab, publisher(simulator, "stays"):
        await tab.linked()
        async with publisher(simulator, "goes"):
            await rows(tab, 2)
        await tab.sees(f"{ROW} .tag", "disconnected")
        await tab.page.click("text=Clear")
        await rows(tab, 1)
        assert len(list(simulator.manager.history.newest())) == 2
        async with publisher(simulator, "comes"):
            await rows(tab, 2)
        await tab.page.click("button >> text=Reset")
        await tab.page.click("button >> text=Reset the server")
        await tab.sees("[role=status]", "1 sessions ended")
        await tab.sees(".empty", "Nothing has connected yet")
        assert list(simulator.manager.history.newest()) == []


async def test_media_in_one_line(chromium: Browser, simulator: Simulator) -> None:
    """A session shows its bitrate, loss and round-trip time."""
    async with open_tab(chromium, simulator.rest_url) as tab, publisher(simulator, "cam-1"):
        await tab.linked()
        await tab.page.click(f"{ROW} >> text=cam-1")
        await tab.until("/bit.s · loss 0 % · round trip \\d/.test(document.querySelector('.summary').textContent)")
        await tab.sees(".tracks th", "RTT")


async def test_what_clients_share(chromium: Browser, simulator: Simulator) -> None:
    """Shared objects, conferences and interstitials are there with what they hold, and gone with the last who is in them."""
    async with open_tab(chromium, f"{simulator.rest_url}/#/rooms") as tab:
        await tab.linked()
        await tab.sees(".empty-line", "No client has joined a shared object.")
        await tab.sees(".empty-line", "Nobody is in a conference.")
        await tab.sees(".empty-line", "No interstitial is shown or waits.")
        base = f"ws://127.0.0.1:{simulator.port}"
        async with AsyncExitStack() as stack:
            for stream in ("main", "advert"):
                await stack.enter_async_context(publisher(simulator, stream))
            insert = {"id": 3, "target": "live/main", "interstitial": "live/advert", "type": "INDEFINITE"}
            asked = {"user": "any", "digest": "any", "inserts": [insert]}
            answer = await tab.page.request.post(f"{simulator.rest_url}/live/interstitial", data=asked)
            assert answer.status == 200
            await tab.sees("[aria-label=Interstitials] td", "live/advert (audio, video)")
            object_socket, _ = await joined(
                stack, f"{base}/streammanager?id=one&app=live&customerScope=acme", "<b>room</b>"
            )
            change = {"name": "<b>room</b>", "key": "n", "value": 7}
            await object_socket.send(json.dumps({"sharedObjectSetProperty": change}))
            await tab.sees("[aria-label='Shared objects'] th", "<b>room</b>")
            await tab.sees("[aria-label='Shared objects'] summary", "1 properties")
            conference = await stack.enter_async_context(
                connect(f"{base}/conference-api/1.0/ws/conference?customerScope=acme", proxy=None)
            )
            await conference.send(json.dumps(JOIN))
            await tab.sees("[aria-label=Conferences] li", "Ann · ORGANIZER · live/room/ann")
            await tab.page.set_viewport_size(SMALL)
            await fits(tab)
        await tab.sees(".empty-line", "No client has joined a shared object.")
        await tab.sees(".empty-line", "Nobody is in a conference.")


async def test_recordings_have_length_and_codecs(
    chromium: Browser, start_simulator: StartSimulator, tmp_path: Path
) -> None:
    """A recording shows how long it is and what it was recorded with."""
    simulator = await start_simulator(recordings=tmp_path)
    async with open_tab(chromium, f"{simulator.rest_url}/#/recordings") as tab:
        await tab.linked()
        async with publisher(simulator, "cam-1", recording="true") as live:
            async with Subscriber(simulator.url, stream="cam-1", params={"customerScope": "acme"}) as subscriber:
                await subscriber.wait_for_frames(20)
            assert live.state == "live"
        await tab.sees(".cards td", "Opus, VP8")
        await tab.until("/^\\d+(\\.\\d)? (ms|s)$/.test(document.querySelector('.cards td.num').textContent)")


@pytest.mark.parametrize("view", VIEWS)
async def test_nothing_is_wider_than_a_phone(
    chromium: Browser, start_simulator: StartSimulator, receiver: WebhookReceiver, tmp_path: Path, view: str
) -> None:
    """At 375 pixels no view makes the page scroll sideways, and its buttons can be reached."""
    receiver.respond = lambda hook: 400 if hook.state == "peer_joined" else 204
    simulator = await start_simulator(
        hook_uri=(f"{receiver.url}/{'long-path-' * 9}",), recordings=tmp_path, nodes=read_nodes("2")
    )
    name = "a-stream-with-a-name-that-is-much-longer-than-a-phone-is-wide-0123456789"
    async with publisher(simulator, name, recording="true", meta='{"room": "A"}'):
        simulator.faults.add("latency", id="slow-*")
        await many_sessions(simulator, 3)
        async with open_tab(chromium, f"{simulator.rest_url}/#/{view}", viewport=SMALL) as tab:
            await tab.linked()
            await fits(tab)
            if view in ("sessions", "hooks", "dead"):
                await tab.page.locator(f"{ROW} a").first.click()
                await tab.page.wait_for_selector(".detail h2")
                await fits(tab)
            for button in await tab.page.locator("#view button:visible, .clean-slate button").all():
                box = await button.bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= SMALL["width"], await button.inner_text()


async def fits(tab: Tab) -> None:
    """Check that the page is not wider than the screen."""
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    await tab.until("document.querySelector('#view').childElementCount > 0")
    assert not await tab.page.evaluate(wide), await tab.page.evaluate(
        "[...document.querySelectorAll('#view *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('.scroll')).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)"
    )


async def test_receivers_come_and_go(
    chromium: Browser, start_simulator: StartSimulator, receiver: WebhookReceiver
) -> None:
    """A receiver that is added gets hooks in its format from then on, and none once it is removed; what cannot be is said."""
    simulator = await start_simulator(hook_uri=())
    panel = "[aria-label=Receivers]"
    async with open_tab(chromium, f"{simulator.rest_url}/#/hooks") as tab:
        await tab.linked()
        await tab.sees(f"{panel} .empty-line", "Hooks go to the webhook socket only")
        await tab.page.click(f"{panel} >> text=Add a receiver")
        offered = await tab.page.locator(f"{panel} [name=format] option").all_text_contents()
        assert offered == list(FORMATS)
        for uri in ("nonsense", receiver.url):
            await tab.page.fill(f"{panel} [name=uri]", uri)
            await tab.page.fill(f"{panel} [name=name]", "billing")
            await tab.page.select_option(f"{panel} [name=format]", "cloudevents")
            await tab.page.click(f"{panel} [type=submit]")
            if uri == "nonsense":
                await tab.sees(f"{panel} .problem", "Not added")
        await tab.sees(f"{panel} tbody th", "billing")
        assert await tab.page.input_value(f"{panel} [name=uri]") == ""
        await many_sessions(simulator, 1)
        await tab.sees(f"{panel} tbody tr", "up to date")
        assert "specversion" in json.loads(receiver.hooks[0].body)
        await tab.page.click(f"{panel} tbody >> text=Remove")
        await tab.page.click(f"{panel} tbody >> text=Remove it?")
        await tab.sees(f"{panel} .empty-line", "Hooks go to the webhook socket only")
        assert simulator.dispatcher.status() == []


async def test_clients_of_the_server(chromium: Browser, simulator: Simulator) -> None:
    """A publisher and a subscriber are started, seen with their media, and ended; one that is refused says why."""
    panel = "[aria-label=Clients]"
    async with open_tab(chromium, f"{simulator.rest_url}/#/clients") as tab:
        await tab.linked()
        await tab.sees(f"{panel} .empty-line", "The server runs no clients")
        await tab.page.fill(f"{panel} [name=name]", "cam-1")
        await tab.page.click("text=Start a client")
        await tab.sees(f"{panel} tr:has-text('publisher-1') .tag", "live", 20)
        await tab.page.click("text=Start a client")
        await tab.sees(f"{panel} tr:has-text('publisher-2')", "already has a broadcast session")
        await tab.page.select_option(f"{panel} [name=role]", "subscriber")
        await tab.page.select_option(f"{panel} [name=transport]", "whep")
        await tab.page.click("text=Start a client")
        watching = f"{panel} tr:has-text('subscriber-1')"
        await tab.until(f"/[1-9]\\d* pictures, \\d+ × /.test(document.querySelector('{panel}').textContent)", 20)
        await tab.page.click(f"{watching} >> text=Lose")
        await tab.page.click(f"{watching} >> text=Lose subscriber-1?")
        await tab.page.locator(watching).wait_for(state="detached")
        await tab.page.click(f"{panel} tr:has-text('publisher-1') a")
        await tab.sees(".detail", "cam-1")
