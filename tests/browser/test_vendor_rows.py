"""What the vendor's pages put on the wire, row by row, from pages of our own on another origin, in a headless Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.conftest import OpenPage, OpenSubscribePage, StartSimulator
from tests.browser.page_server import PageServer
from tests.helpers import eventually, scaled

#: Endpoints of WHIP and WHEP: on a standalone server, through a stream manager 1.x and a stream manager 2.0.
ENDPOINTS = {
    "standalone": "/live/{protocol}/endpoint/{name}",
    "scopes": "/live/room1/{protocol}/endpoint/{name}",
    "1.x": "/streammanager/live/{protocol}/endpoint/{name}",
    "2.0": "/as/v1/proxy/{protocol}/live/{name}",
}


class FetchPage:
    """A tab of the page that speaks with ``fetch`` alone."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the page."""
        return await self.page.evaluate(f"(given) => window.{function}(...given)", list(arguments))

    async def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        await self.page.wait_for_function(expression, timeout=scaled(10) * 1000)

    async def rest(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Call the REST interface as the pages do; without an answer that a page may read, it fails."""
        return await self.call("rest", method, self.base + path, options)

    async def exchanges(self) -> list[str]:
        """Return method and status of each exchange so far."""
        return [f"{method} {status}" for method, _, status in await self.page.evaluate("exchanges")]

    async def pictures(self, count: int = 5) -> None:
        """Wait until the player has shown so many more pictures."""
        before = await self.call("shown")
        await self.until(f"window.shown() >= {before + count}")


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(chromium: Browser, page_server: PageServer, simulator: Simulator) -> AsyncIterator[list[FetchPage]]:
    """Two tabs, each in a browser profile of its own, of a page that the simulator does not serve."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            context = await chromium.new_context()
            stack.push_async_callback(context.close)
            page = await context.new_page()
            await page.goto(f"{page_server.url}/fetch.html")
            await page.wait_for_function("window.ready", timeout=scaled(10) * 1000)
            opened.append(FetchPage(page, f"http://localhost:{simulator.port}"))
        yield opened


async def live(simulator: Simulator, *names: str) -> None:
    """Wait until these streams are live."""
    await eventually(lambda: {each.life.peer for each in simulator.manager.sessions.publishing()} >= {*names}, 10)


@pytest.mark.parametrize("kind", ENDPOINTS)
async def test_sdk_15(simulator: Simulator, receiver: WebhookReceiver, tabs: list[FetchPage], kind: str) -> None:
    """SDK 15's traffic publishes and watches; both start when the data channel opens, which carries our messages."""
    publishing, watching = tabs
    whip, whep = (
        publishing.base + ENDPOINTS[kind].format(protocol=protocol, name="cam") for protocol in ("whip", "whep")
    )
    params = {"nodeGroup": "default"} if kind == "2.0" else {}
    published = await publishing.call("whip", whip, params)
    await publishing.until("events.includes('Publish.Start')")
    assert await publishing.exchanges() == ["OPTIONS 200", "POST 201", "PATCH 204"]
    await live(simulator, "cam")
    watched = await watching.call("whep", whep, params)
    await watching.until("events.includes('Subscribe.Start')")
    assert await watching.exchanges() == ["OPTIONS 200", "POST 201", "PATCH 204", "PATCH 204"]
    await watching.pictures()
    await publishing.until(
        f"messagesOf({published}).some(({{data}}) => data?.code === 'NetStream.Publish.IsAvailable')"
    )
    await publishing.call("sendOn", published, {"send": {"method": "whateverFunctionName", "data": {"n": 1}}})
    await watching.until(f"messagesOf({watched}).some(({{send}}) => send?.method === 'whateverFunctionName')")
    await publishing.call("close15", published)
    await watching.until(
        f"messagesOf({watched}).some(({{data}}) => (data?.code ?? data?.status) === 'NetStream.Play.UnpublishNotify')"
    )
    await watching.call("close15", watched)
    ends = [await tab.exchanges() for tab in tabs]
    assert [each[-1] for each in ends] == ["DELETE 200", "DELETE 200"]
    await eventually(lambda: [each["payload"].get("state") for each in receiver.events].count("disconnected") == 2, 10)


async def test_retry_page(simulator: Simulator, tabs: list[FetchPage]) -> None:
    """Who watches too early is told that the name is invalid, tries again, and sees the stream once it is there."""
    publishing, watching = tabs
    watched = asyncio.create_task(watching.call("whepWithRetries", f"{watching.base}/live/whep/endpoint/cam", 100))
    await watching.until("events.filter((event) => event === 'Subscribe.InvalidName').length >= 2")
    published = await publishing.call("whip", f"{publishing.base}/live/whip/endpoint/cam")
    await watched
    await watching.pictures()
    assert {"POST 409", "POST 201"} <= {*await watching.exchanges()}
    with pytest.raises(Exception, match="409"):
        await watching.call("whip", f"{watching.base}/live/whip/endpoint/cam")
    assert "Publish.InvalidName" in await watching.page.evaluate("events")
    await publishing.call("close15", published)


async def test_stream_manager_2(simulator: Simulator, tabs: list[FetchPage]) -> None:
    """The pages for REST 2.0: log in, provision, publish the levels, list, watch; with credentials, from another origin."""
    publishing, watching = tabs
    refused = await publishing.rest("PUT", "/as/v1/auth/login", basic="admin:wrong")
    assert refused["status"] == 401
    assert refused["json"]["errorMessage"]
    token = (await publishing.rest("PUT", "/as/v1/auth/login", basic="admin:xyz123"))["json"]["token"]
    streams = [
        {
            "streamGuid": f"live/cam_{level}",
            "abrLevel": level,
            "videoParams": {"videoWidth": 320, "videoHeight": 180, "videoBitRate": 256000},
        }
        for level in (1, 2, 3)
    ]
    provision = {"provisionGuid": "live/cam", "messageType": "ProvisionCommand", "streams": streams}
    path = "/as/v1/streams/provision/default"
    assert (await publishing.rest("POST", path, body=[provision]))["status"] == 401
    made = await publishing.rest("POST", path, token=token, body=[provision])
    assert (made["status"], made["text"]) == (201, "")
    again = await publishing.rest("POST", path, token=token, body=[provision])
    assert (again["status"], "already exists" in again["json"]["errorMessage"]) == (409, True)
    shown = await publishing.rest("GET", f"{path}/live/cam", token=token)
    assert shown["json"]["streams"] == streams

    places = await publishing.rest("GET", "/as/v1/streams/stream/default/publish/live/cam?transcode=true")
    assert [place["serverAddress"] for place in places["json"]] == ["127.0.0.1", "127.0.0.1"]
    early = await watching.rest("GET", "/as/v1/streams/stream/default/subscribe/live/cam")
    assert (early["status"], bool(early["json"]["errorMessage"])) == (404, True)
    for level in (2, 3):
        endpoint = f"{publishing.base}/as/v1/proxy/whip/live/cam_{level}"
        await publishing.call("whip", endpoint, {"nodeGroup": "default", "transcode": True})
    await live(simulator, "cam_2", "cam_3")

    (place,) = (await watching.rest("GET", "/as/v1/streams/stream/default/subscribe/live/cam"))["json"]
    assert place["streamGuid"] == "live/cam_2", "the level nearest to the best that is live"
    for query in ("", "?aggregate=true"):
        found = (await watching.rest("GET", f"/as/v1/streams/stream/default/stream/live/cam_3{query}"))["json"]
        assert [(each["nodeRole"], each["serverAddress"]) for each in found] == [("origin", "127.0.0.1")]
    listed = (await watching.rest("GET", "/as/v1/streams/stream/default?stats=true&aggregate=true"))["json"]
    assert {each["streamGuid"] for each in listed} == {"live/cam_2", "live/cam_3"}
    await watching.call("whep", f"{watching.base}/as/v1/proxy/whep/{place['streamGuid']}", {"nodeGroup": "default"})
    await watching.pictures()
    clients = await publishing.rest("GET", "/as/v1/admin/rtcproxy", token=token)
    assert {each["status"] for each in clients["json"].values()} == {"CONNECTED"}
    nodes = await publishing.rest("GET", "/as/v1/admin/nodegroup/status/default", token=token)
    assert nodes["json"][0]["scalingEvent"]["state"] == "INSERVICE"
    relayed = await publishing.rest("GET", "/as/v1/proxy/forward/?target=http%3A%2F%2F203.0.113.5%2Flive%2F")
    assert relayed["status"] == 403


async def test_provisions_of_stream_manager_1(
    simulator: Simulator, tabs: list[FetchPage], open_page: OpenPage, open_subscribe_page: OpenSubscribePage
) -> None:
    """The provision pages for REST 1.x: renditions are published by the page; a viewer is led to the nearest one."""
    page = tabs[0]
    stream = [
        {"name": f"cam_{level}", "level": level, "properties": {"videoWidth": 320, "videoHeight": 180, "videoBR": 1000}}
        for level in (1, 2, 3)
    ]
    meta = {"authentication": {"username": "u", "password": "p"}, "stream": stream, "georules": {}, "qos": 3}
    path = "/streammanager/api/3.0/admin/event/meta/live/cam"
    made = await page.rest("POST", f"{path}?accessToken=xyz123", body={"meta": meta})
    assert "errorMessage" not in made["json"]
    again = await page.rest("POST", f"{path}?accessToken=xyz123", body={"meta": meta})
    assert "Provision already exists" in again["json"]["errorMessage"]
    shown = await page.rest("GET", f"{path}?action=subscribe&accessToken=xyz123")
    assert [each["name"] for each in shown["json"]["data"]["meta"]["stream"]] == ["cam_1", "cam_2", "cam_3"]

    event = "/streammanager/api/3.0/event/live"
    place = (await page.rest("GET", f"{event}/cam?action=broadcast&transcode=true"))["json"]
    assert (place["serverAddress"], place["scope"], place["app"]) == ("127.0.0.1", "/live", "live")
    config = {"host": "localhost", "port": simulator.port, "streamName": "cam_2"}
    params = {"host": place["serverAddress"], "app": place["scope"]}
    publishing = await open_page()
    assert (await publishing.publish({**config, "connectionParams": params})).resolved
    await live(simulator, "cam_2")
    nearest = (await page.rest("GET", f"{event}/cam_3?action=subscribe"))["json"]
    assert nearest["name"] == "cam_2"
    watching = await open_subscribe_page()
    params = {"host": nearest["serverAddress"], "app": nearest["scope"]}
    watched = await watching.subscribe({**config, "streamName": nearest["name"], "connectionParams": params})
    assert watched.resolved, watched
    await watching.until("videoOf(0).videoWidth > 0")


@pytest.mark.parametrize("version", ["", "-7"])
async def test_websocket_of_stream_manager_2(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage, version: str
) -> None:
    """SDK 11 and 7.2.2 through the WebSocket proxy of a stream manager 2.0, without ``host`` and ``app``."""
    config = {"host": "localhost", "port": simulator.port, "connectionParams": {"nodeGroup": "default"}}
    publishing = await open_page(f"publish{version}.html")
    published = await publishing.publish({**config, "app": "as/v1/proxy/ws/publish/live/cam", "streamName": "cam"})
    assert published.resolved, published
    await publishing.wait_bytes()
    await live(simulator, "cam")
    watching = await open_subscribe_page(f"subscribe{version}.html")
    watched = await watching.subscribe({**config, "app": "as/v1/proxy/ws/subscribe/live/cam", "streamName": "cam"})
    assert watched.resolved, watched
    await watching.until("videoOf(0).videoWidth > 0")
    assert (await publishing.unpublish()).resolved


async def test_lists_and_cluster(simulator: Simulator, tabs: list[FetchPage]) -> None:
    """The pages for lists ask ``/live/streams.jsp`` and ``/cluster`` of a standalone server."""
    publishing, watching = tabs
    assert (await watching.rest("GET", "/live/streams.jsp"))["json"] == []
    await publishing.call("whip", f"{publishing.base}/live/whip/endpoint/cam")
    await live(simulator, "cam")
    assert (await watching.rest("GET", "/live/streams.jsp"))["json"] == [{"name": "cam"}]
    cluster = await watching.rest("GET", "/cluster")
    assert (cluster["type"].split(";")[0], cluster["text"]) == ("text/plain", f"localhost:{simulator.port}")


async def test_pages_on_the_own_port(
    start_simulator: StartSimulator, chromium: Browser, page_server: PageServer, tmp_path: Any
) -> None:
    """A directory of pages on the product's own port works like one on another server, with paths of its own only."""
    for name in ("fetch.html", "fetch.js"):
        text = (await _page_text(page_server, name)).replace('src="/', 'src="')
        (tmp_path / name).write_text(text)
    simulator = await start_simulator(pages=(("/webrtcexamples/", tmp_path),), port=(0, 0))
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"http://localhost:{simulator.ports[1]}/webrtcexamples/fetch.html")
        await page.wait_for_function("window.ready", timeout=scaled(10) * 1000)
        await page.evaluate("whip(`${location.origin}/live/whip/endpoint/cam`)")
        await page.evaluate("whep(`${location.origin}/live/whep/endpoint/cam`)")
        await page.wait_for_function("window.shown() >= 5", timeout=scaled(10) * 1000)
    finally:
        await context.close()


async def _page_text(server: PageServer, name: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/{name}") as response:
        return await response.text()
