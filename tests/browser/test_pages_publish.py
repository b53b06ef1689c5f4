"""The page ``/publish``, used as a person uses it."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Browser
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver

from tests.browser.conftest import StartSimulator
from tests.browser.sdk import SDK_11
from tests.browser.web import PHONE, Tab, open_tab
from tests.helpers import eventually, scaled


def sockets(tab: Tab) -> list[str]:
    """Collect the URLs of the sockets that the page opens."""
    urls: list[str] = []
    tab.page.on("websocket", lambda socket: urls.append(socket.url))
    return urls


async def test_pattern(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver) -> None:
    """Filling in the form and pressing Start publishes the pattern; its hooks are seen on the page, and Stop ends it."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish") as tab:
        assert await tab.page.input_value("#webhook") == f"ws://localhost:{simulator.port}/live/webhook"
        await tab.fill(stream="cam-1", username="ann", scope="acme", meta='{"room": "A"}')
        await tab.page.check("#pattern")
        await tab.page.click("#start")
        await tab.state("live")
        await receiver.wait_for(lambda hook: hook.state == "remote_track_started", scaled(10))
        await tab.sees("#hooks .what", "connected")
        await tab.sees("#hooks .what", "remote_track_started")
        await tab.sees("#statistics tr", "video")
        await tab.until("document.querySelector('#video').videoWidth > 0", 10)
        await tab.page.click("#stop")
        await tab.state("idle")
        await tab.sees("#hooks .what", "disconnected")
        last = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
        connection = last.event["connection"]
        assert (connection["id"], connection["username"], connection["meta"]) == ("cam-1", "ann", {"room": "A"})
        assert last.event["payload"]["reason"] == 0


async def test_admin_token(chromium: Browser, start_simulator: StartSimulator) -> None:
    """With an admin token the form asks for it, for the webhook socket; it is neither in a link nor to be seen."""
    simulator = await start_simulator(admin_token="open-sesame")
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern") as tab:
        urls = sockets(tab)
        await tab.fill(token="open-sesame")
        await tab.page.click("#start")
        await tab.state("live")
        await tab.sees("#hooks-state", "connected")
        await tab.sees("#hooks .what", "connected")
        await tab.page.click("#link")
        await tab.until("!document.querySelector('#note').hidden")
        assert "open-sesame" not in await tab.page.inner_text("body")
        assert [url for url in urls if "open-sesame" in url] == [urls[0]]
        await tab.page.click("#stop")
        await tab.state("idle")


async def test_form_without_a_token(chromium: Browser, simulator: Simulator) -> None:
    """Without an admin token the form asks for none."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish") as tab:
        assert not await tab.page.is_visible("#token")


async def test_whip(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver) -> None:
    """Over WHIP the page publishes with one POST and ends with DELETE; both are on the page and in the dashboard."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern&stream=cam-1") as tab:
        await tab.sees("#url-title", "WebSocket")
        await tab.page.check("[name=transport][value=whip]")
        await tab.sees("#url-title", "WHIP")
        await tab.fill(password="s3cret", meta='{"room": "A"}')
        await tab.page.click("#start")
        await tab.state("live")
        assert "s3cret" not in await tab.page.inner_text("body")
        await tab.sees("#url", "/live/whip/endpoint/cam-1?")
        await tab.sees("#messages .what", "HTTP 201")
        await tab.sees("#statistics tr", "video")
        await receiver.wait_for(lambda hook: hook.state == "remote_track_started", scaled(10))
        await tab.page.click("#stop")
        await tab.state("idle")
        await tab.sees("#messages .what", "DELETE /live/whip/")
        last = await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))
        connection = last.event["connection"]
        assert (connection["id"], connection["transport"], connection["meta"]) == ("cam-1", "whip", {"room": "A"})
        assert last.event["payload"]["reason"] == 0
        await tab.page.goto(f"{simulator.rest_url}/#/sessions/{last.session}")
        await tab.sees(".messages .title", "POST /live/whip/endpoint/cam-1")
        await tab.sees(".messages .title", "HTTP 201")
        await tab.page.click(".messages >> text=POST /live/whip/endpoint/cam-1")
        await tab.sees(".messages .payload", "m=video")


async def test_whip_name_in_use(chromium: Browser, simulator: Simulator) -> None:
    """What the server says of a refused POST is on the page."""
    publisher = Publisher(simulator.url, stream="cam-1", params={"customerScope": "acme"})
    url = f"{simulator.rest_url}/publish?source=pattern&transport=whip&stream=cam-1"
    async with publisher, open_tab(chromium, url) as tab:
        await tab.page.click("#start")
        await tab.state("failed")
        await tab.sees("#messages [data-kind=bad] .what", "HTTP 409")
        assert "cam-1" in await tab.page.inner_text("#problem")


async def test_whip_kicked(chromium: Browser, simulator: Simulator) -> None:
    """A session that the administrator ends is over on the page."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern&transport=whip") as tab:
        await tab.page.click("#start")
        await tab.state("live")
        (attempt,) = simulator.manager.sessions.attempts
        simulator.manager.sessions.kick(attempt)
        await tab.state("failed")
        await tab.sees("#problem", "The server ended the session.")


async def test_camera(chromium: Browser, simulator: Simulator, receiver: WebhookReceiver) -> None:
    """With a camera, which the test browser makes up, its picture and sound are what is published."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish", permissions=["camera", "microphone"]) as tab:
        await tab.page.click("#start")
        await tab.state("live")
        label = "document.querySelector('#video').srcObject.getVideoTracks()[0].label"
        assert "fake" in await tab.page.evaluate(label)
        for track in ("audio_main", "video_main"):
            await receiver.wait_for(
                lambda hook, track=track: (
                    hook.state == "remote_track_started" and hook.event["payload"]["track"] == track
                ),
                scaled(10),
            )


NO_CAMERA = {
    "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))": (
        "There is no camera or microphone, so a test pattern is published instead."
    ),
    "Object.defineProperty(navigator, 'mediaDevices', { value: undefined })": (  # as on http pages of another host
        "Browsers give the camera only to https pages and to localhost, so a test pattern is published instead."
    ),
}


@pytest.mark.parametrize("script", NO_CAMERA)
async def test_no_camera(chromium: Browser, simulator: Simulator, script: str) -> None:
    """Where there is no camera the page says why, and publishes the pattern."""
    async with open_tab(chromium, "about:blank") as tab:
        await tab.page.add_init_script(script)
        await tab.page.goto(f"{simulator.rest_url}/publish")
        await tab.page.click("#start")
        await tab.state("live")
        await tab.sees("#note", NO_CAMERA[script])


async def test_password_is_shown_nowhere(chromium: Browser, simulator: Simulator) -> None:
    """The password goes to the origin, and is neither in the page's text nor in its address nor in a link to it."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern&password=from-a-link") as tab:
        urls = sockets(tab)
        assert "from-a-link" not in tab.page.url
        await tab.sees("#note", "password")
        assert await tab.page.input_value("#password") == ""
        await tab.fill(stream="cam-1", password="s3cret-word")
        await tab.page.click("#start")
        await tab.state("live")
        assert any("password=s3cret-word" in url for url in urls)
        await tab.sees("#url", "password=••••••")
        for summary in await tab.page.locator("#messages summary").all():
            await summary.click()
        assert await tab.page.locator("pre.payload").count() > 3
        await tab.page.click("#link")
        assert "s3cret-word" not in await tab.page.content()
        assert "s3cret-word" not in tab.page.url
        assert "from-a-link" not in await tab.page.content()


async def test_link_fills_the_form(chromium: Browser, simulator: Simulator) -> None:
    """The parameters of a link are in the form when the page opens."""
    link = "?stream=cam-7&username=ann&customerScope=acme&meta=%7B%22a%22%3A1%7D&recording=true&app=live/room1&source=pattern"
    async with open_tab(chromium, f"{simulator.rest_url}/publish{link}") as tab:
        values = {
            name: await tab.page.input_value(f"#{name}") for name in ("stream", "username", "scope", "meta", "app")
        }
        assert values == {"stream": "cam-7", "username": "ann", "scope": "acme", "meta": '{"a":1}', "app": "live/room1"}
        assert await tab.page.is_checked("#recording")
        assert await tab.page.is_checked("#pattern")


async def test_link_to_another_server(chromium: Browser, simulator: Simulator) -> None:
    """A link that would send what is typed, a password too, to another server is said to do so; one to this server is not."""
    for link, told in [
        ("host=evil.example", "another server: evil.example."),
        ("webhook=wss://evil.example/live/webhook", "another server: evil.example."),
        ("host=user@evil.example:80&password=x", "another server: evil.example."),
    ]:
        async with open_tab(chromium, f"{simulator.rest_url}/publish?{link}") as tab:
            await tab.sees("#note", told)
    own = f"localhost:{simulator.port}"
    async with open_tab(chromium, f"{simulator.rest_url}/publish?host={own}&webhook=ws://{own}/live/webhook") as tab:
        assert await tab.page.input_value("#host") == own
        assert not await tab.page.is_visible("#note")


async def test_refusal_in_words(chromium: Browser, simulator: Simulator) -> None:
    """What the stream manager refuses, the page explains in words, and the form can be used again."""
    async with (
        Publisher(simulator.url, stream="taken", params={"customerScope": "acme"}),
        open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern&stream=taken") as tab,
    ):
        await tab.page.click("#start")
        await tab.state("failed")
        await tab.sees("#problem", "The stream name taken is in use.")
        await tab.fill(meta="[1]")
        await tab.page.click("#start")
        await tab.sees("#problem", "Meta is not a JSON object")
        await tab.fill(meta="{}", scope="x" * 300)
        await tab.page.click("#start")
        await tab.sees("#problem", "The stream manager refused the connection: customerScope")
        await tab.fill(stream="")
        await tab.page.click("#start")
        await tab.sees("#problem", "Stream name is empty")
        await tab.fill(stream="free", scope="acme")
        await tab.page.click("#start")
        await tab.state("live")


async def test_lost_stream_in_words(chromium: Browser, simulator: Simulator) -> None:
    """A stream that the administrator ends is said to have ended, and can be started again."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern&stream=cam-1") as tab:
        await tab.page.click("#start")
        await tab.state("live")
        await eventually(simulator.manager.sessions.publishing, 10)
        (session,) = simulator.manager.sessions.publishing()
        simulator.manager.sessions.kick(session.attempt)
        await tab.state("failed")
        await tab.sees("#problem", "ended")
        assert await tab.page.is_enabled("#start")


async def test_markup_stays_text(chromium: Browser, simulator: Simulator) -> None:
    """A stream named like an element is text on the page, in its hooks and in its messages."""
    name = "<img src=x onerror=alert(1)><script>document.title='broken'</script>"
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern") as tab:
        await tab.fill(stream=name, meta=json.dumps({"<b>": "<script>1</script>"}))
        await tab.page.click("#start")
        await tab.state("live")
        await tab.sees("#hooks .summary", name)
        await tab.page.locator("#hooks summary").first.click()
        assert await tab.page.locator("#hooks img, #hooks script, #hooks b").count() == 0
        assert "broken" not in await tab.page.title()


async def test_sdk(chromium: Browser, start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """With ``--sdk-file`` the page publishes and stops with the vendor's SDK, under the same content security policy."""
    simulator = await start_simulator(sdk_file=SDK_11.obtain())
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern&stream=cam-1") as tab:
        await tab.sees("#client", "red5pro-sdk.min.js")
        await tab.page.click("#start")
        await tab.state("live")
        hook = await receiver.wait_for(lambda hook: hook.state == "remote_track_started", scaled(10))
        assert hook.event["connection"]["id"] == "cam-1"
        await tab.page.click("#stop")
        await tab.state("idle")
        await receiver.wait_for(lambda hook: hook.state == "disconnected", scaled(10))


async def test_tls(chromium: Browser, start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """Over https the page uses wss for the stream and for the hooks."""
    simulator = await start_simulator(tls_self_signed=True)
    url = f"https://localhost:{simulator.tls_port}/publish?source=pattern&stream=cam-1"
    async with open_tab(chromium, url, ignore_https_errors=True) as tab:
        urls = sockets(tab)
        await tab.page.click("#start")
        await tab.state("live")
        await tab.sees("#hooks .what", "connected")
        assert {url.partition("://")[0] for url in urls} == {"wss"}


async def test_phone(chromium: Browser, simulator: Simulator) -> None:
    """On a phone's width nothing of the page lies beside the screen."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern", viewport=PHONE) as tab:
        await tab.page.click("#start")
        await tab.state("live")
        assert await tab.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
