"""The unmodified vendor SDK in a headless Chromium publishes through the simulator."""

from __future__ import annotations

import json
import ssl
from typing import Any

import aiohttp
import pytest
from smproxy.certificates import server_context
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.conftest import OpenPage, StartSimulator
from tests.browser.page_server import PageServer
from tests.browser.sdk_page import SdkPage
from tests.helpers import eventually, eventually_reads, scaled

STREAM = "camera-1"
LIFE = [
    "connecting",
    "connected",
    "peer_joined",
    "remote_track_started",
    "remote_track_started",
    "remote_track_ended",
    "remote_track_ended",
    "peer_leaved",
    "disconnected",
]


def config(simulator: Simulator, **changes: Any) -> dict[str, Any]:
    """Make the SDK's configuration for a page; ``connectionParams`` are merged, ``None`` removes one."""
    params: dict[str, Any] = {"username": "ann", "password": "secret", "customerScope": "acme", "recording": False}
    params |= {"meta": '{"room":"A"}', "host": "127.0.0.1", "app": "live"}
    params |= changes.pop("connectionParams", {})
    return {
        "protocol": "ws",
        "host": "localhost",
        "port": simulator.port,
        "app": "streammanager",
        "streamName": STREAM,
        "connectionParams": {key: value for key, value in params.items() if value is not None},
        **changes,
    }


async def rest(simulator: Simulator, path: str, method: str = "GET") -> Any:
    """Call the stream manager's API and return the JSON, or the text when it is none."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{simulator.rest_url}/streammanager/api/4.0/{path}") as response,
    ):
        text = await response.text()
        assert response.status < 400, text
        return json.loads(text) if text else None


async def disconnected(receiver: WebhookReceiver, timeout: float = 10) -> dict[str, Any]:
    """Wait for the end of the session and return the event."""
    return (await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(timeout))).event


def client_texts(page: SdkPage) -> list[dict[str, Any]]:
    """Return what the page said on its socket."""
    return [json.loads(frame.text) for frame in page.ws_frames if frame.sender == "client"]


async def test_publish_with_the_data_channel_switch(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """SDK 11 publishes, moves to its data channel, stays live there, and its unpublish ends the session as a user's act."""
    page = await open_page()
    published = await page.publish(config(simulator))
    assert published.resolved, published
    await page.wait_event("MessageTransport.Change")
    sent = await page.wait_bytes()
    assert await page.wait_bytes(more_than=sent) > sent
    assert client_texts(page)[-1] == {"switchChannel": "red5pro"}
    assert "disconnected" not in [hook.state for hook in receiver.hooks]

    unpublished = await page.unpublish()

    assert unpublished.resolved, unpublished
    assert "Unpublish.Success" in unpublished.events
    event = await disconnected(receiver)
    assert event["payload"]["reason"] == 0
    assert [hook.state for hook in receiver.hooks] == LIFE
    assert [hook.event["seq"] for hook in receiver.hooks] == list(range(1, 10))
    assert page.errors == []


async def test_publish_on_the_socket_only(simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver) -> None:
    """With signalingSocketOnly false SDK 11 stays on its socket, on which its unpublish is answered."""
    page = await open_page()
    published = await page.publish(config(simulator, signalingSocketOnly=False))
    assert published.resolved, published
    await page.wait_bytes()
    unpublished = await page.unpublish()
    assert unpublished.resolved, unpublished
    assert {"unpublish": STREAM} in client_texts(page)
    assert (await disconnected(receiver))["payload"]["reason"] == 0


async def test_publish_with_sdk_7(simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver) -> None:
    """SDK 7.2.2, which knows no data channel, publishes and unpublishes."""
    page = await open_page("publish-7.html")
    published = await page.publish(config(simulator))
    assert published.resolved, published
    await page.wait_bytes()
    assert (await page.unpublish()).resolved
    assert (await disconnected(receiver))["payload"]["reason"] == 0


async def test_connection_parameters_travel_with_every_hook(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """What the page put into connectionParams is in every hook, but for the password."""
    page = await open_page()
    params = {"recording": True, "meta": '{"title":"Ümläut & co","n":1}'}
    published = await page.publish(config(simulator, streamMode="record", connectionParams=params))
    assert published.resolved, published
    assert {"publish": STREAM, "mode": "record", "keyFramerate": 3000} in client_texts(page)
    await page.wait_bytes()
    await page.unpublish()
    await disconnected(receiver)
    for hook in receiver.hooks:
        assert hook.event["connection"] == {
            "id": STREAM,
            "username": "ann",
            "customerScope": "acme",
            "recording": True,
            "meta": {"title": "Ümläut & co", "n": 1},
            "app": "live",
            "role": "publisher",
            "transport": "websocket",
        }
        assert b"secret" not in hook.body


async def test_autoscale_as_hand_written_pages_do(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """A page that asks the REST API for an origin, from another web server, is sent to one on which it can publish."""
    page = await open_page()
    params = {"host": None, "app": None}
    published = await page.autoscale_and_publish(simulator.rest_url, "live", config(simulator, connectionParams=params))
    assert published.resolved, published
    assert "app=%2Flive" in page.ws_urls[-1]
    joined = await receiver.wait_for(lambda hook: hook.state == "peer_joined", scaled(5))
    assert joined.event["payload"]["room"] == "live"
    assert (await page.unpublish()).resolved


async def test_statistics_count_what_the_browser_sends(simulator: Simulator, open_page: OpenPage) -> None:
    """The stream is listed while it is live, and the bytes that the API reports grow with those that the browser sends."""
    page = await open_page()
    assert (await page.publish(config(simulator))).resolved
    await page.wait_bytes(more_than=20_000)

    async def received() -> int:
        stats = await rest(simulator, f"event/live/{STREAM}/stats")
        return sum(track["bytes"] for track in stats["tracks"].values())

    first = await eventually_reads(received, lambda count: count > 10_000)
    assert await eventually_reads(received, lambda count: count > first)
    assert [stream["name"] for stream in await rest(simulator, "event/list")] == [STREAM]
    assert (await page.unpublish()).resolved
    assert await rest(simulator, "event/list") == []


async def test_hooks_are_equal_on_every_sink(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """The HTTP receiver and the page's own webhook socket get the same events, byte for byte and in the same order."""
    page = await open_page()
    await page.listen(f"ws://localhost:{simulator.port}/live/webhook?customerScope=acme")
    assert (await page.publish(config(simulator))).resolved
    await page.wait_bytes()
    await page.unpublish()
    await disconnected(receiver)
    await page.page.wait_for_function("hooks.length >= 9", timeout=scaled(5) * 1000)
    assert await page.hooks() == [hook.body.decode() for hook in receiver.hooks]


async def test_webhook_socket_is_narrowed_to_a_customer_scope(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """A page that listens for another customer's scope gets nothing of this one's."""
    page = await open_page()
    await page.listen(f"ws://localhost:{simulator.port}/live/webhook?customerScope=other")
    assert (await page.publish(config(simulator))).resolved
    await page.wait_bytes()
    await page.unpublish()
    await disconnected(receiver)
    assert (await page.publish(config(simulator, connectionParams={"customerScope": "other"}))).resolved
    await page.page.wait_for_function("hooks.length >= 1", timeout=scaled(5) * 1000)
    scopes = {json.loads(text)["connection"]["customerScope"] for text in await page.hooks()}
    assert scopes == {"other"}


async def test_tab_closed_after_the_switch(
    start_simulator: StartSimulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """A tab that is closed after the switch leaves no goodbye; the session ends within the media timeout and a second."""
    simulator = await start_simulator(media_gap=0.8, media_timeout=2.0)
    page = await open_page()
    assert (await page.publish(config(simulator))).resolved
    await page.wait_event("MessageTransport.Change")
    await page.wait_bytes()
    await page.close_tab()
    event = await disconnected(receiver, 2.0 + 1.0)
    assert event["payload"]["reason"] == 1
    assert await rest(simulator, "event/list") == []


async def test_tab_closed_on_the_socket(
    start_simulator: StartSimulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """A tab that is closed while it signals on the socket ends its session at once, not by a time-out."""
    simulator = await start_simulator(media_gap=60, media_timeout=120)
    page = await open_page()
    assert (await page.publish(config(simulator, signalingSocketOnly=False))).resolved
    await page.wait_bytes()
    await page.close_tab()
    event = await disconnected(receiver)
    assert event["payload"]["reason"] == 0


async def test_reload_after_the_switch(simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver) -> None:
    """A page that is reloaded can publish under the same name again, as a new session, once the old one has ended."""
    page = await open_page()
    assert (await page.publish(config(simulator))).resolved
    await page.wait_event("MessageTransport.Change")
    await page.wait_bytes()
    await page.page.reload()
    await disconnected(receiver)
    published = await page.publish(config(simulator))
    assert published.resolved, published
    await page.wait_bytes()
    assert (await page.unpublish()).resolved
    ended = lambda: [hook.session for hook in receiver.hooks if hook.state == "disconnected"]  # noqa: E731
    await eventually(lambda: len(ended()) == 2)
    assert len(set(ended())) == 2


async def test_https_page_publishes_over_wss(start_simulator: StartSimulator, open_page: OpenPage) -> None:
    """A page from https publishes over wss to the simulator's own certificate."""
    simulator = await start_simulator(tls_self_signed=True)
    assert simulator.authority is not None
    context: ssl.SSLContext = server_context(simulator.authority.certificate, simulator.authority.key)
    server = await PageServer.start(context)
    try:
        page = await open_page(base=server.url)
        published = await page.publish(config(simulator, protocol="wss", port=simulator.tls_port))
        assert published.resolved, published
        assert page.ws_urls[-1].startswith("wss://")
        assert await page.wait_bytes() > 0
        assert (await page.unpublish()).resolved
    finally:
        await server.stop()


async def test_name_in_use(simulator: Simulator, open_page: OpenPage) -> None:
    """The second publisher of a name gets Publish.InvalidName, and the first one is not disturbed."""
    first, second = await open_page(), await open_page()
    assert (await first.publish(config(simulator))).resolved
    sent = await first.wait_bytes()
    refused = await second.publish(config(simulator))
    assert not refused.resolved
    assert "Publish.InvalidName" in refused.events
    assert "already has a broadcast session" in refused.reason
    assert await first.wait_bytes(more_than=sent + 10_000) > sent
    assert (await first.unpublish()).resolved


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"customerScope": "x" * 256}, "NetConnection.Connect.Rejected", id="customerScope-too-long"),
        pytest.param({"recording": "maybe"}, "NetConnection.Connect.Rejected", id="recording-maybe"),
        pytest.param({"meta": "[1,2]"}, "NetConnection.Connect.Rejected", id="meta-not-an-object"),
        pytest.param({"host": "undefined", "app": "undefined"}, "NetConnection.Connect.Rejected", id="host-undefined"),
        pytest.param({"host": "203.0.113.9"}, "NetConnection.Connect.Rejected", id="host-unknown"),
    ],
)
@pytest.mark.parametrize("html", ["publish.html", "publish-7.html"])
async def test_refusal_rejects_publish(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver, html: str, params: dict[str, Any], code: str
) -> None:
    """What the stream manager does not accept rejects publish() with the code, and a hook says that it was refused."""
    page = await open_page(html)
    refused = await page.publish(config(simulator, connectionParams=params))
    assert not refused.resolved
    assert refused.reason == code
    assert "Connect.Failure" in refused.events
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
    assert hook.event["payload"]["error"] == 3


async def test_unreachable_origin_rejects_publish(
    start_simulator: StartSimulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """An origin that does not answer rejects publish() with Connect.Failed, and the hook says origin unreachable."""
    simulator = await start_simulator(allow_host=("127.0.0.1",), local_origin=False)
    page = await open_page()
    # Port 1 of this machine: nothing listens there.
    refused = await page.publish(config(simulator, connectionParams={"host": "127.0.0.1:1"}))
    assert not refused.resolved
    assert refused.reason == "NetConnection.Connect.Failed"
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
    assert hook.event["payload"]["error"] == 2


@pytest.mark.parametrize("switch", [True, False], ids=["data-channel", "socket"])
async def test_kick_is_noticed_by_the_page(
    simulator: Simulator, open_page: OpenPage, receiver: WebhookReceiver, switch: bool
) -> None:
    """Ending a session through the proxy API closes the page's connection, on whichever channel it is, as kicked."""
    page = await open_page()
    assert (await page.publish(config(simulator, signalingSocketOnly=switch))).resolved
    if switch:
        await page.wait_event("MessageTransport.Change")
    await page.wait_bytes()
    [client] = await rest(simulator, "admin/proxy/clients")
    await rest(simulator, f"admin/proxy/clients/{client['id']}", "DELETE")
    await page.wait_event("Publisher.Connection.Closed")
    assert (await disconnected(receiver))["payload"]["reason"] == 3
    assert await rest(simulator, "event/list") == []


async def test_h264(simulator: Simulator, open_page: OpenPage) -> None:
    """A browser that offers H264 alone is taken at its word and sends it."""
    page = await open_page()
    assert await page.page.evaluate("onlyVideoCodec('video/H264')") > 0, "this Chromium has no H264 encoder"
    published = await page.publish(config(simulator))
    assert published.resolved, published
    await page.wait_bytes(more_than=20_000)
    assert "video/H264" in (await page.stats())["codecs"]

    async def codec() -> str | None:
        stats = await rest(simulator, f"event/live/{STREAM}/stats")
        return stats["tracks"].get("video_main", {}).get("codec")

    assert await eventually_reads(codec, lambda name: name is not None) == "H264"
    assert (await page.unpublish()).resolved


async def test_stop_of_the_simulator_is_noticed_by_the_page(
    start_simulator: StartSimulator, open_page: OpenPage, receiver: WebhookReceiver
) -> None:
    """When the simulator stops, the page's connection closes and the hooks say node shutdown before it is gone."""
    simulator = await start_simulator()
    page = await open_page()
    assert (await page.publish(config(simulator))).resolved
    await page.wait_event("MessageTransport.Change")
    await simulator.stop()
    await page.wait_event("Publisher.Connection.Closed")
    assert [hook.event["payload"]["reason"] for hook in receiver.hooks if hook.state == "disconnected"] == [2]
