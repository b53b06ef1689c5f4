"""What the unmodified SDKs, and the dashboard, make of an authentication back end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from smproxy.testing import Publisher, PublishRejected, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd

from tests.browser.conftest import OpenPage, OpenSubscribePage, StartSimulator
from tests.browser.test_publish import config
from tests.browser.test_whip_clients import Tab as WhipTab
from tests.browser.test_whip_clients import config as whip_config
from tests.browser.test_whip_clients import tabs as tabs
from tests.browser.web import open_tab
from tests.helpers import eventually, scaled


@pytest_asyncio.fixture(loop_scope="session")
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """A back end that denies ann."""
    async with AuthBackEnd() as back_end:
        back_end.deny("ann")
        yield back_end


async def test_websocket(
    start_simulator: StartSimulator, open_page: OpenPage, receiver: WebhookReceiver, back_end: AuthBackEnd
) -> None:
    """publish() rejects for the user that is denied, and resolves for another; each is asked about once."""
    simulator = await start_simulator(auth_uri=back_end.url)
    page = await open_page()
    refused = await page.publish(config(simulator, connectionParams={"username": "ann", "password": "hunter2"}))
    assert not refused.resolved
    assert refused.reason == "NetConnection.Connect.Rejected"
    assert "Connect.Failure" in refused.events
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
    assert hook.event["payload"]["message"] == "the back end refused the credentials"
    page = await open_page()
    allowed = await page.publish(config(simulator, connectionParams={"username": "bob", "password": "hunter2"}))
    assert allowed.resolved
    assert [(call.kind, call.username) for call in back_end.calls] == [("validate", "ann"), ("validate", "bob")]


@pytest.mark.parametrize("version", ["", "-7"], ids=["SDK 11", "SDK 7.2.2"])
@pytest.mark.parametrize("token", [None, "a token"], ids=["no token", "token"])
async def test_round_trip_pages(
    start_simulator: StartSimulator,
    open_page: OpenPage,
    open_subscribe_page: OpenSubscribePage,
    back_end: AuthBackEnd,
    version: str,
    token: str | None,
) -> None:
    """What the vendor's round-trip pages send: a REST call for an origin, then publish and watch with the form's values.

    Like those pages these send no ``customerScope``.
    """
    simulator = await start_simulator(auth_uri=back_end.url)
    credentials = {"username": "bob", "password": "p w+ü"} | ({} if token is None else {"token": token})
    given = {"connectionParams": credentials | {"usePrivateProxy": False}}
    base = {"protocol": "ws", "host": "localhost", "port": simulator.port, "streamName": "camera-1"}
    page = await open_page(f"publish{version}.html")
    published = await page.autoscale_and_publish(simulator.rest_url, "live", base | given)
    assert published.resolved, published
    await eventually(lambda: simulator.manager.sessions.publishing() != [], 10)
    viewer = await open_subscribe_page(f"subscribe{version}.html")
    watch = {"connectionParams": credentials | {"host": "127.0.0.1", "app": "live"}, "subscriptionId": "subscriber-1"}
    watched = await viewer.subscribe(base | watch | {"app": "streammanager"})
    assert watched.resolved, watched
    assert (await page.unpublish()).resolved
    calls = await back_end.wait_for_count(3, scaled(10))
    body = {"username": "bob", "password": "p w+ü", "streamID": "camera-1", "token": token or ""}
    assert [call.kind for call in calls] == ["validate", "validate", "invalidate"]
    assert list(calls[0].body.items()) == list(({"type": "publisher"} | body).items())
    assert calls[1].body == {"type": "subscriber"} | body | {"streamID": "subscriber-1"}
    assert calls[2].body == {key: value for key, value in body.items() if value}


@pytest.mark.parametrize("version", ["", "-7"], ids=["SDK 11", "SDK 7.2.2"])
async def test_round_trip_pages_are_refused(
    start_simulator: StartSimulator,
    open_page: OpenPage,
    open_subscribe_page: OpenSubscribePage,
    back_end: AuthBackEnd,
    version: str,
) -> None:
    """publish() and subscribe() of those pages reject when the back end says no."""
    simulator = await start_simulator(auth_uri=back_end.url)
    refused = {"connectionParams": {"username": "ann", "password": "x", "host": "127.0.0.1", "app": "live"}}
    base = {"protocol": "ws", "host": "localhost", "port": simulator.port, "app": "streammanager", "streamName": "cam"}
    page = await open_page(f"publish{version}.html")
    assert not (await page.publish(base | refused)).resolved
    viewer = await open_subscribe_page(f"subscribe{version}.html")
    assert not (await viewer.subscribe(base | refused)).resolved
    assert [(call.kind, call.username) for call in back_end.calls] == [("validate", "ann")] * 2


async def test_whip(
    start_simulator: StartSimulator, receiver: WebhookReceiver, tabs: list[WhipTab], back_end: AuthBackEnd
) -> None:
    """SDK 11's WHIPClient and WHEPClient: denied they reject; allowed, also late, they resolve, asked about once each."""
    simulator = await start_simulator(auth_uri=back_end.url)

    def given(username: str, **changes: Any) -> dict[str, Any]:
        params = {"host": "127.0.0.1", "app": "live", "customerScope": "acme", "username": username}
        return whip_config(simulator, connectionParams=params | {"password": "hunter2", "token": "t"}, **changes)

    publishing, watching = tabs
    refused = await publishing.call("sdkPublish", given("ann"))
    assert not refused["resolved"]
    assert ("POST", 401) in publishing.exchanges
    not_shown = await watching.call("sdkSubscribe", given("ann", subscriptionId="subscriber-0"))
    assert not not_shown["resolved"]
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
    assert hook.event["payload"]["message"] == "the back end refused the credentials"
    back_end.calls.clear()

    back_end.delay(1.0)
    published = await publishing.call("sdkPublish", given("bob"))
    assert published["resolved"], (published, publishing.errors)
    assert published["ms"] >= 1000
    back_end.delay(0)
    await eventually(lambda: simulator.manager.sessions.publishing() != [], 10)
    watched = await watching.call("sdkSubscribe", given("bob", subscriptionId="subscriber-1"))
    assert watched["resolved"], (watched, watching.errors)
    await watching.pictures()
    assert (await watching.call("sdkUnsubscribe"))["resolved"]
    assert (await publishing.call("sdkUnpublish"))["resolved"]
    calls = await back_end.wait_for_count(3, scaled(10))
    assert [(call.kind, call.username, call.body["token"], call.stream) for call in calls] == [
        ("validate", "bob", "t", "cam"),
        ("validate", "bob", "t", "cam"),
        ("invalidate", "bob", "t", "cam"),
    ]


async def test_whip_renamed(start_simulator: StartSimulator, tabs: list[WhipTab], back_end: AuthBackEnd) -> None:
    """SDK 11 publishes a renamed stream over WHIP as any other, and watches it over WHEP under its own name for it."""
    simulator = await start_simulator(auth_uri=back_end.url, auth_format="extended")
    back_end.allow(name="cam-x")
    publishing, watching = tabs
    params = {"host": "127.0.0.1", "app": "live", "customerScope": "acme", "username": "bob", "password": "x"}
    published = await publishing.call("sdkPublish", whip_config(simulator, connectionParams=params))
    assert published["resolved"], (published, publishing.errors)
    await eventually(lambda: [each.life.peer for each in simulator.manager.sessions.publishing()] == ["cam-x"], 10)
    watched = await watching.call("sdkSubscribe", whip_config(simulator, connectionParams=params))
    assert watched["resolved"], (watched, watching.errors)
    await watching.pictures()
    assert (await publishing.call("sdkUnpublish"))["resolved"]


@pytest.mark.parametrize("version", ["", "-7"], ids=["SDK 11", "SDK 7.2.2"])
async def test_websocket_renamed(
    start_simulator: StartSimulator,
    open_page: OpenPage,
    open_subscribe_page: OpenSubscribePage,
    back_end: AuthBackEnd,
    version: str,
) -> None:
    """publish(), subscribe() and unpublish() resolve although the stream has another name than the page's."""
    simulator = await start_simulator(auth_uri=back_end.url, auth_format="extended")
    back_end.allow(name="cam-x")
    page = await open_page(f"publish{version}.html")
    published = await page.publish(config(simulator))
    assert published.resolved, published
    await page.wait_bytes()
    await eventually(lambda: [each.life.peer for each in simulator.manager.sessions.publishing()] == ["cam-x"], 10)
    viewer = await open_subscribe_page(f"subscribe{version}.html")
    watched = await viewer.subscribe(config(simulator))
    assert watched.resolved, watched
    await viewer.until("videoOf(0).videoWidth > 0")
    assert (await page.unpublish()).resolved


async def test_dashboard(chromium: Browser, start_simulator: StartSimulator, back_end: AuthBackEnd) -> None:
    """A session's page shows the verdict, what was granted and the calls; no password, nor a secret of the answer's URL."""
    simulator = await start_simulator(auth_uri=back_end.url, auth_format="extended")
    back_end.allow(url="https://bucket.example.org/cam?X-Amz-Signature=s3cret-signature", lifetime=600)
    back_end.deny("ann")
    params = {"customerScope": "acme", "password": "s3cret-word"}
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        async with Publisher(simulator.url, stream="cam-1", params=params | {"username": "bob"}):
            await tab.page.click(".space .row:not([hidden]) >> text=cam-1")
            await tab.sees(".facts dd", "round-trip: allowed in")
            await tab.sees(".facts dd", "https://bucket.example.org/cam?")
            await tab.sees(".facts dt", "Lifetime")
            await tab.sees(".messages .note", "round-trip: allowed")
        await tab.sees(".messages .note", "round-trip: invalidated")
        await tab.page.locator(".messages button", has_text="round-trip: allowed").first.click()
        await tab.sees(".messages .payload", "bucket.example.org")
        text = await tab.page.content()
        assert "s3cret" not in text + tab.page.url
    async with open_tab(chromium, simulator.rest_url) as tab:
        await tab.linked()
        with pytest.raises(PublishRejected):
            await Publisher(simulator.url, stream="cam-2", params=params | {"username": "ann"}).publish()
        await tab.page.click(".space .row:not([hidden]) >> text=cam-2")
        await tab.sees(".facts dd", "round-trip: denied in")
        await tab.sees(".facts dd", "the back end refused the credentials")
        assert "s3cret" not in await tab.page.content() + tab.page.url
