"""The unmodified vendor SDK in a headless Firefox publishes and plays, also from and to Chromium; so do our own pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver

from tests.browser.firefox import Firefox, FirefoxTab
from tests.browser.page_server import PageServer
from tests.browser.sdk_page import SdkPage
from tests.browser.subscribe_page import SubscribePage
from tests.browser.test_publish import LIFE, config, disconnected
from tests.browser.test_subscribe import MARK, PARAMS, known, publish_numbers
from tests.browser.test_subscribe import STREAM as WATCHED
from tests.browser.test_subscribe import config as watching
from tests.helpers import scaled

P = TypeVar("P", SdkPage, SubscribePage)
OpenIn = Callable[[str, type[P], str], Awaitable[P]]

WATCHER_LIFE = ["connecting", "connected", "peer_joined", "local_track_attached", "local_track_attached"]


@pytest_asyncio.fixture(loop_scope="session")
async def open_in(firefox: Firefox, chromium: Browser, page_server: PageServer) -> AsyncIterator[OpenIn[Any]]:
    """Opens a page in the browser of a name."""
    async with AsyncExitStack() as stack:

        async def open_(browser: str, kind: type[P], page: str) -> P:
            if browser == "firefox":
                tab = await firefox.open_tab()
                stack.push_async_callback(tab.discard)
                opened = kind(tab)
            else:
                context = await chromium.new_context()
                stack.push_async_callback(context.close)
                opened = kind(await context.new_page())
            await opened.open(f"{page_server.url}/{page}")
            return opened

        yield open_


async def frames(simulator: Simulator, session: int) -> list[dict[str, Any]]:
    """Return the signaling of a session, from its transcript."""
    async with (
        aiohttp.ClientSession(simulator.rest_url) as http,
        http.get(f"/api/v1/sessions/{session}/frames") as answer,
    ):
        return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_publish_with_the_data_channel_switch(
    simulator: Simulator, open_in: OpenIn[SdkPage], receiver: WebhookReceiver
) -> None:
    """SDK 11 in Firefox publishes, moves to its data channel, stays live there; unpublish ends the session as a user's act."""
    page = await open_in("firefox", SdkPage, "publish.html")
    published = await page.publish(config(simulator))
    assert published.resolved, published
    await page.wait_event("MessageTransport.Change")
    sent = await page.wait_bytes()
    assert await page.wait_bytes(more_than=sent) > sent
    assert "disconnected" not in [hook.state for hook in receiver.hooks]

    unpublished = await page.unpublish()

    assert unpublished.resolved, unpublished
    assert "Unpublish.Success" in unpublished.events
    event = await disconnected(receiver)
    assert event["payload"]["reason"] == 0
    assert [hook.state for hook in receiver.hooks] == LIFE
    assert [hook.event["seq"] for hook in receiver.hooks] == list(range(1, 10))
    said = [
        (line["via"], line["message"])
        for line in await frames(simulator, receiver.hooks[0].session)
        if "message" in line
    ]
    assert ("socket", {"switchChannel": "red5pro"}) in said
    assert ("channel", {"unpublish": "camera-1"}) in said
    assert page.errors == []


async def test_publish_on_the_socket_only(
    simulator: Simulator, open_in: OpenIn[SdkPage], receiver: WebhookReceiver
) -> None:
    """With signalingSocketOnly false SDK 11 in Firefox stays on its socket, on which its unpublish is answered."""
    page = await open_in("firefox", SdkPage, "publish.html")
    published = await page.publish(config(simulator, signalingSocketOnly=False))
    assert published.resolved, published
    await page.wait_bytes()
    unpublished = await page.unpublish()
    assert unpublished.resolved, unpublished
    assert (await disconnected(receiver))["payload"]["reason"] == 0
    assert {line["via"] for line in await frames(simulator, receiver.hooks[0].session)} == {"socket"}


async def test_tab_closed(simulator: Simulator, open_in: OpenIn[SdkPage], receiver: WebhookReceiver) -> None:
    """A tab of Firefox that is closed while it publishes ends its session within a time-out, as one that was lost."""
    page = await open_in("firefox", SdkPage, "publish.html")
    assert (await page.publish(config(simulator))).resolved
    await page.wait_event("MessageTransport.Change")
    await page.wait_bytes()
    await page.close_tab()
    assert (await disconnected(receiver, 30))["payload"]["reason"] in (0, 1)


async def test_feedback_for_the_encoder(
    simulator: Simulator, open_in: OpenIn[SdkPage], receiver: WebhookReceiver
) -> None:
    """The answer lets Firefox be told of lost packets and of its bandwidth, whatever the order of its offer's attributes."""
    page = await open_in("firefox", SdkPage, "publish.html")
    assert (await page.publish(config(simulator))).resolved
    said = [line["message"] for line in await frames(simulator, receiver.hooks[0].session) if "message" in line]
    (answer,) = [
        each["data"]["sdp"]["sdp"] for each in said if each.get("data", {}).get("sdp", {}).get("type") == "answer"
    ]
    for feedback in ("nack", "nack pli", "goog-remb"):
        assert f" {feedback}\r\n" in answer
    assert (await page.unpublish()).resolved


@pytest.mark.parametrize(
    ("publishing", "playing"), [("firefox", "firefox"), ("firefox", "chromium"), ("chromium", "firefox")]
)
async def test_page_to_page(simulator: Simulator, open_in: OpenIn[Any], publishing: str, playing: str) -> None:
    """What one browser publishes, another plays: the same pictures, advancing, with sound, after the switch as before."""
    source = await open_in(publishing, SdkPage, "subscribe-source.html")
    await publish_numbers(simulator, source)
    viewer = await open_in(playing, SubscribePage, "subscribe.html")
    subscribed = await viewer.subscribe(watching(simulator))
    assert subscribed.resolved, subscribed
    await viewer.shown(mark=MARK)
    await viewer.wait_event("MessageTransport.Change")
    painted = await source.page.evaluate("painted")
    await viewer.shown(mark=MARK, after=painted)
    numbers = await viewer.numbers()
    assert numbers == sorted(numbers)
    await viewer.until("(await received(0)).audioSamples > 48000 && videoOf(0).currentTime > 1")
    assert (await viewer.received())["framesDecoded"] >= 15
    assert viewer.errors == source.errors == []


async def test_play_and_leave(simulator: Simulator, open_in: OpenIn[SubscribePage], receiver: WebhookReceiver) -> None:
    """Firefox plays a publisher's stream; hooks tell of the subscriber, its tracks, and that it left as a user's act."""
    viewer = await open_in("firefox", SubscribePage, "subscribe.html")
    async with Publisher(simulator.url, stream=WATCHED, params=PARAMS, pattern="counter"):
        await known(simulator)
        assert (await viewer.subscribe(watching(simulator))).resolved
        first = await viewer.shown(mark=MARK)
        await viewer.shown(mark=MARK, after=first + 5)
        assert "video/VP8" in (await viewer.received())["codecs"]
        await viewer.unsubscribe()
        ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(15))
    assert ended.event["connection"]["role"] == "subscriber"
    assert ended.event["payload"]["reason"] == 0
    told = [hook.state for hook in receiver.hooks if hook.session == ended.session]
    assert [state for state in told if state in WATCHER_LIFE][:3] == WATCHER_LIFE[:3]
    assert told.count("local_track_attached") == told.count("local_track_detached") == 2


@pytest.mark.parametrize("transport", ["websocket", "http"])
@pytest.mark.parametrize("path", ["/publish?source=pattern", f"/subscribe?stream={WATCHED}"])
async def test_our_own_pages(
    simulator: Simulator, firefox: Firefox, receiver: WebhookReceiver, path: str, transport: str
) -> None:
    """The pages of the stream manager publish and play in Firefox, over each transport; Stop ends the session."""
    tab: FirefoxTab = await firefox.open_tab()
    errors: list[str] = []
    tab.on("pageerror", errors.append)
    role = "subscriber" if path.startswith("/subscribe") else "publisher"
    try:
        async with Publisher(simulator.url, stream=WATCHED, params=PARAMS):
            await known(simulator)
            if transport == "http":
                transport = "whip" if role == "publisher" else "whep"
            await tab.goto(f"{simulator.rest_url}{path}&transport={transport}")
            await tab.evaluate("document.getElementById('start').click()")
            state = "document.querySelector('#state').dataset.state"
            await tab.wait_for_function(f"{state} === 'live'", scaled(20) * 1000)
            video = "document.querySelector('#video')"
            await tab.wait_for_function(f"{video}.videoWidth > 0 && {video}.currentTime > 0.5", scaled(15) * 1000)
            await tab.wait_for_function(
                "document.querySelectorAll('#statistics tbody tr').length === 2", scaled(10) * 1000
            )
            await tab.evaluate("document.getElementById('stop').click()")
            await tab.wait_for_function(f"{state} === 'idle'", scaled(10) * 1000)
            ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(15))
        assert (ended.event["connection"]["role"], ended.event["connection"]["transport"]) == (role, transport)
        assert errors == []
    finally:
        await tab.discard()
