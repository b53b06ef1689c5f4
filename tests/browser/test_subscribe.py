"""The unmodified vendor SDK in a headless Chromium watches what another page publishes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, Subscriber, WebhookReceiver, frame_code, stream_mark

from tests.browser.conftest import OpenPage, OpenSubscribePage, StartSimulator
from tests.browser.sdk_page import SdkPage
from tests.browser.subscribe_page import SubscribePage
from tests.helpers import eventually, scaled

STREAM = "camera-1"
MARK = stream_mark(STREAM)
PARAMS = {"username": "ann", "password": "secret", "customerScope": "acme"}


def config(simulator: Simulator, **changes: Any) -> dict[str, Any]:
    """Make the SDK's configuration, for either role."""
    return {
        "host": "localhost",
        "port": simulator.port,
        "streamName": STREAM,
        "connectionParams": {**PARAMS, "host": "127.0.0.1", "app": "live"},
        **changes,
    }


async def known(simulator: Simulator) -> None:
    """Wait until the manager has the stream."""
    await eventually(lambda: STREAM in [each.life.peer for each in simulator.manager.sessions.publishing()], 10)


async def publish_numbers(simulator: Simulator, page: SdkPage, **changes: Any) -> None:
    """Publish a canvas with numbered pictures and wait until it flows."""
    await page.page.evaluate("(mark) => { window.mark = mark; }", MARK)
    published = await page.publish(config(simulator, **changes))
    assert published.resolved, published
    await page.wait_bytes()
    await known(simulator)


@pytest_asyncio.fixture(loop_scope="session")
async def numbers(simulator: Simulator) -> AsyncIterator[Publisher]:
    """A headless publisher of numbered pictures, for tests in which it does not matter who publishes."""
    async with Publisher(simulator.url, stream=STREAM, params=PARAMS, pattern="counter") as publisher:
        await known(simulator)
        yield publisher


def said(page: SubscribePage) -> list[str]:
    """Return the first keys of what the page said, which name the messages."""
    return [next(iter(json.loads(frame.text))) for frame in page.ws_frames if frame.sender == "client"]


async def test_page_to_page(simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage) -> None:
    """What one page paints, another sees: the same numbers, growing, fresh, with sound, after the switch as before."""
    source, viewer = await open_page("subscribe-source.html"), await open_subscribe_page()
    await publish_numbers(simulator, source)
    subscribed = await viewer.subscribe(config(simulator))
    assert subscribed.resolved, subscribed
    first = await viewer.shown(mark=MARK)
    painted = await source.page.evaluate("painted")
    await viewer.shown(mark=MARK, after=painted)
    await viewer.wait_event("MessageTransport.Change")
    later = await viewer.shown(mark=MARK, after=painted + 15)
    assert first < later <= await source.page.evaluate("painted")
    numbers = await viewer.numbers()
    assert numbers == sorted(numbers)
    await viewer.until("(await received(0)).audioSamples > 48000 && videoOf(0).currentTime > 1")
    received = await viewer.received()
    assert received["framesDecoded"] >= 15
    assert received["lost"] == 0
    assert (await viewer.video())["videoWidth"] > 0
    assert said(viewer)[:3] == ["isAvailable", "requestOffer", "handleAnswer"]
    assert said(viewer)[-1] == "switchChannel"
    assert viewer.closed_sockets == 1
    assert viewer.errors == source.errors == []


@pytest.mark.parametrize(
    ("html", "changes"),
    [("subscribe.html", {"signalingSocketOnly": False}), ("subscribe-7.html", {})],
    ids=["sdk-11-socket", "sdk-7"],
)
async def test_without_a_data_channel(
    simulator: Simulator,
    numbers: Publisher,
    open_subscribe_page: OpenSubscribePage,
    html: str,
    changes: dict[str, Any],
) -> None:
    """A page that stays on its socket sees the stream, and its socket stays open."""
    viewer = await open_subscribe_page(html)
    subscribed = await viewer.subscribe(config(simulator, **changes))
    assert subscribed.resolved, subscribed
    first = await viewer.shown(mark=MARK)
    await viewer.shown(mark=MARK, after=first + 15)
    assert "switchChannel" not in said(viewer)
    assert viewer.closed_sockets == 0
    offer = next(frame.text for frame in viewer.ws_frames if '"offer"' in frame.text)
    assert "m=application" not in offer


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_codecs(simulator: Simulator, open_subscribe_page: OpenSubscribePage, codec: Any) -> None:
    """The browser is given the publisher's own codec and decodes it."""
    viewer = await open_subscribe_page()
    async with Publisher(simulator.url, stream=STREAM, params=PARAMS, pattern="counter", codec=codec):
        await known(simulator)
        assert (await viewer.subscribe(config(simulator))).resolved
        first = await viewer.shown(mark=MARK)
        await viewer.shown(mark=MARK, after=first + 5)
        assert f"video/{codec}" in (await viewer.received())["codecs"]


async def test_five_subscribers_in_a_page_and_two_beside(
    simulator: Simulator, numbers: Publisher, open_subscribe_page: OpenSubscribePage
) -> None:
    """Five subscribers of one page and two headless ones all see the stream; one that leaves disturbs nobody."""
    viewer = await open_subscribe_page()
    beside = [Subscriber(simulator.url, stream=STREAM, params=PARAMS, timeout=scaled(15)) for _ in range(2)]
    try:
        pages = asyncio.gather(*(viewer.subscribe(config(simulator)) for _ in range(5)))
        await asyncio.gather(*(each.subscribe() for each in beside))
        assert [each.resolved for each in await pages] == [True] * 5
        first = max(await asyncio.gather(*(viewer.shown(index, mark=MARK) for index in range(5))))
        await asyncio.gather(*(viewer.shown(index, mark=MARK, after=first) for index in range(5)))
        await viewer.unsubscribe(2)
        last = max([await viewer.shown(index, mark=MARK) for index in (0, 1, 3, 4)])
        await asyncio.gather(*(viewer.shown(index, mark=MARK, after=last + 5) for index in (0, 1, 3, 4)))
        await asyncio.gather(*(each.wait_for_picture(frame_code) for each in beside))
    finally:
        await asyncio.gather(*(each.close() for each in beside))
    assert viewer.errors == []


async def test_late_joiner_sees_a_picture_at_once(
    simulator: Simulator,
    open_page: OpenPage,
    open_subscribe_page: OpenSubscribePage,
) -> None:
    """Whoever joins late sees the running stream without waiting for the next key frame of its own accord."""
    source, viewer = await open_page("subscribe-source.html"), await open_subscribe_page()
    # The page asks for a key frame once a minute, so that what is seen is not one that happened to come.
    await publish_numbers(simulator, source, keyFramerate=60_000)
    await source.page.wait_for_function("painted > 30", timeout=scaled(15) * 1000)
    painted = await source.page.evaluate("painted")
    subscribed = await viewer.subscribe(config(simulator))
    assert subscribed.resolved, subscribed
    number = await viewer.shown(mark=MARK, after=painted, timeout=5)
    print(f"subscribed after {subscribed.ms} ms, seen {number - painted} pictures after the call")


async def test_unpublish_is_noticed(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage
) -> None:
    """The publisher's unpublish ends the subscription of SDK 11, with its events, on the data channel and on the socket."""
    source, viewer = await open_page("subscribe-source.html"), await open_subscribe_page()
    await publish_numbers(simulator, source)
    for index, changes in enumerate(({}, {"signalingSocketOnly": False})):
        assert (await viewer.subscribe(config(simulator, **changes))).resolved
        await viewer.shown(index, mark=MARK)
    await viewer.wait_event("MessageTransport.Change", 0)
    assert (await source.unpublish()).resolved
    for index in range(2):
        await viewer.wait_event("Subscribe.Play.Unpublish", index)
        await viewer.wait_event("Subscribe.Stop", index)
    assert viewer.errors == []


async def test_the_same_subscriber_sees_a_stream_that_comes_back(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage
) -> None:
    """SDK 7 stays when the stream is unpublished; when another page publishes it again, its picture goes on."""
    first, second, viewer = (
        await open_page("subscribe-source.html"),
        await open_page("subscribe-source.html"),
        await open_subscribe_page("subscribe-7.html"),
    )
    await publish_numbers(simulator, first)
    assert (await viewer.subscribe(config(simulator))).resolved
    await viewer.shown(mark=MARK)
    assert (await first.unpublish()).resolved
    await viewer.wait_event("Subscribe.Play.Unpublish")
    # Beyond what the first page painted; what was shown of it is no measure, a busy browser may have told of none yet.
    beyond = await first.page.evaluate("painted") + 10_000
    await second.page.evaluate("(number) => { window.painted = number; }", beyond)
    await publish_numbers(simulator, second)
    seen = await viewer.shown(mark=MARK, after=beyond)
    await viewer.shown(mark=MARK, after=seen + 15)
    assert "Subscribe.Connection.Closed" not in await viewer.events()


async def test_no_such_stream(simulator: Simulator, numbers: Publisher, open_subscribe_page: OpenSubscribePage) -> None:
    """A stream that is not live rejects subscribe() with Subscribe.InvalidName; the same page can watch one that is."""
    for html in ("subscribe.html", "subscribe-7.html"):
        viewer = await open_subscribe_page(html)
        refused = await viewer.subscribe(config(simulator, streamName="nobody"))
        assert not refused.resolved
        assert "Subscribe.InvalidName" in refused.events
        assert refused.reason == "Stream nobody does not exist."
        assert (await viewer.subscribe(config(simulator))).resolved
        await viewer.shown(1, mark=MARK)


@pytest.mark.parametrize("html", ["subscribe.html", "subscribe-7.html"])
async def test_refusal_rejects(
    start_simulator: StartSimulator, open_subscribe_page: OpenSubscribePage, html: str
) -> None:
    """What the stream manager does not accept rejects a subscriber with the code."""
    simulator = await start_simulator(customer_scope="required")
    viewer = await open_subscribe_page(html)
    refused = await viewer.subscribe(config(simulator, connectionParams={"host": "127.0.0.1", "app": "live"}))
    assert not refused.resolved
    assert refused.reason == "NetConnection.Connect.Rejected"


@pytest.mark.parametrize("switch", [True, False], ids=["data-channel", "socket"])
async def test_mute_and_send(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage, switch: bool
) -> None:
    """The publisher's mute is a change of the streaming mode at the viewer, and its send a call, on either channel."""
    source, viewer = await open_page("subscribe-source.html"), await open_subscribe_page()
    await publish_numbers(simulator, source, signalingSocketOnly=switch)
    assert (await viewer.subscribe(config(simulator, signalingSocketOnly=switch))).resolved
    await viewer.shown(mark=MARK)
    if switch:
        await source.wait_event("MessageTransport.Change")
        await viewer.wait_event("MessageTransport.Change")
        # The origin has to know it too: what is said in between is lost.
        await eventually(lambda: all(each.relay_ended for each in simulator.manager.sessions.attempts), 10)
    await source.page.evaluate("sdkPublisher().send('chat', { text: 'hello' })")
    [invoke] = await viewer.wait_event("Subscribe.Send.Invoke")
    assert invoke["methodName"] == "chat"
    assert invoke["data"]["text"] == "hello"
    await source.page.evaluate("sdkPublisher().muteVideo()")
    await viewer.wait_event("Subscribe.Metadata", data="data?.streamingMode === 'Audio'")
    await viewer.wait_event("Subscribe.StreamingMode.Change", data="data?.streamingMode === 'Audio'")
    await source.page.evaluate("sdkPublisher().unmuteVideo()")
    await viewer.wait_event("Subscribe.StreamingMode.Change", data="data?.streamingMode === 'Video/Audio'")
    seen = await viewer.shown(mark=MARK)
    await viewer.shown(mark=MARK, after=seen + 5)
    assert viewer.errors == source.errors == []


async def test_send_reaches_an_early_sdk(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage
) -> None:
    """What a publisher sends is a call at a viewer with SDK 7.2.2, too, which knows another form of it."""
    source, viewer = await open_page("subscribe-source.html"), await open_subscribe_page("subscribe-7.html")
    await publish_numbers(simulator, source, signalingSocketOnly=False)
    assert (await viewer.subscribe(config(simulator))).resolved
    await viewer.shown(mark=MARK)
    await source.page.evaluate("sdkPublisher().send('chat', { text: 'hello' })")
    [invoke] = await viewer.wait_event("Subscribe.Send.Invoke")
    assert invoke["methodName"] == "chat"
    assert invoke["data"]["text"] == "hello"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_headless_subscriber_of_a_page(simulator: Simulator, open_page: OpenPage, codec: str) -> None:
    """What a browser encodes, a headless subscriber decodes: the numbers that the page paints, in order and fresh."""
    source = await open_page("subscribe-source.html")
    assert await source.page.evaluate(f"onlyVideoCodec('video/{codec}')") > 0, f"this Chromium has no {codec} encoder"
    await publish_numbers(simulator, source)
    seen: list[int] = []

    def note(frame: Any) -> None:
        code = frame_code(frame)
        if code is not None:
            assert code.mark == MARK
            seen.append(code.number)

    async with Subscriber(simulator.url, stream=STREAM, params=PARAMS, on_picture=note, timeout=scaled(15)) as viewer:
        await viewer.wait_for_picture(frame_code)
        painted = await source.page.evaluate("painted")
        await viewer.wait_for_picture(lambda _: seen and seen[-1] > painted)
        assert viewer.statistics["video"].codec == codec
        assert seen == sorted(seen)
        assert seen[-1] <= await source.page.evaluate("painted")


@pytest.mark.parametrize("switch", [True, False], ids=["data-channel", "socket"])
async def test_kick_is_noticed(
    simulator: Simulator,
    numbers: Publisher,
    open_subscribe_page: OpenSubscribePage,
    receiver: WebhookReceiver,
    switch: bool,
) -> None:
    """A subscriber that is kicked is told so on whichever channel it is, and its hooks say kicked; the stream goes on."""
    viewer = await open_subscribe_page()
    assert (await viewer.subscribe(config(simulator, signalingSocketOnly=switch))).resolved
    await viewer.shown(mark=MARK)
    if switch:
        await viewer.wait_event("MessageTransport.Change")
    [attempt] = [each for each in simulator.manager.sessions.attempts if each.role == "subscriber"]
    simulator.manager.sessions.kick(attempt)
    await viewer.wait_event("Subscribe.Connection.Closed")
    ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
    assert ended.event["connection"]["role"] == "subscriber"
    assert ended.event["payload"]["reason"] == 3
    assert not numbers.closed.is_set()


@pytest.mark.parametrize("switch", [True, False], ids=["data-channel", "socket"])
async def test_closed_tab(
    start_simulator: StartSimulator, open_subscribe_page: OpenSubscribePage, receiver: WebhookReceiver, switch: bool
) -> None:
    """A subscriber whose tab is closed is gone: at once on its socket, after the media timeout on its data channel."""
    simulator = await start_simulator(media_gap=0.8, media_timeout=2.0)
    viewer = await open_subscribe_page()
    async with Publisher(simulator.url, stream=STREAM, params=PARAMS, pattern="counter") as publisher:
        await known(simulator)
        assert (await viewer.subscribe(config(simulator, signalingSocketOnly=switch))).resolved
        await viewer.shown(mark=MARK)
        if switch:
            await viewer.wait_event("MessageTransport.Change")
        await viewer.page.close(run_before_unload=False)
        ended = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
        assert ended.event["connection"]["role"] == "subscriber"
        assert ended.event["payload"]["reason"] == (1 if switch else 0)
        assert not publisher.closed.is_set()


async def test_hooks_of_a_subscriber(
    simulator: Simulator, open_page: OpenPage, open_subscribe_page: OpenSubscribePage, receiver: WebhookReceiver
) -> None:
    """A subscriber's life is told: its slots, what they are attached to, and its end when the page leaves."""
    source, viewer = await open_page("subscribe-source.html"), await open_subscribe_page()
    await publish_numbers(simulator, source)
    assert (await viewer.subscribe(config(simulator, subscriptionId="subscriber-7a"))).resolved
    await viewer.shown(mark=MARK)

    def told() -> list[Any]:
        return [hook for hook in receiver.hooks if hook.event["connection"]["id"] == "subscriber-7a"]

    await eventually(lambda: [hook.state for hook in told()].count("local_track_attached") == 2, 10)
    await viewer.unsubscribe()
    await eventually(lambda: "disconnected" in [hook.state for hook in told()], 10)
    states = [hook.state for hook in told()]
    assert states[:3] == ["connecting", "connected", "peer_joined"]
    assert states[-2:] == ["peer_leaved", "disconnected"]
    assert states.count("local_track") == states.count("local_track_attached") == 2
    assert {hook.event["connection"]["role"] for hook in told()} == {"subscriber"}
    assert {hook.session for hook in told()} != {hook.session for hook in receiver.hooks}
    attached = [hook.event["payload"] for hook in told() if hook.state == "local_track_attached"]
    assert {payload["remote_peer"] for payload in attached} == {STREAM}
    assert {payload["remote_track"] for payload in attached} == {"audio_main", "video_main"}
    assert all(b"secret" not in hook.body for hook in told())
