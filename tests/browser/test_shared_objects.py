"""Shared objects with the unmodified vendor SDK: two pages, on a socket of their own and beside a stream."""

from __future__ import annotations

from typing import Any

import pytest
from smproxy.simulator import Simulator

from tests.browser.conftest import OpenPage
from tests.browser.sdk_page import SdkPage
from tests.helpers import scaled

_JOIN = """async ([config, name]) => {
  const socket = config ? new red5prosdk.Red5ProSharedObjectSocket() : sdkPublisher()
  if (config) await socket.init(config)
  const seen = (window.seen = [])
  window.shared = new red5prosdk.Red5ProSharedObject(name, socket)
  shared.on('*', (event) => seen.push([event.type, event.data === undefined ? null : event.data]))
}"""


async def join(page: SdkPage, config: dict[str, Any] | None, name: str = "room") -> None:
    """Join an object on a socket of its own, or on the page's publisher; wait until it has the state."""
    await page.page.evaluate(_JOIN, [config, name])
    await seen(
        page, "['Connect.Success', 'SharedObject.PropertyUpdate'].every((t) => seen.some(([type]) => type.endsWith(t)))"
    )


async def seen(page: SdkPage, what: str) -> None:
    """Wait until an expression over what the page has seen holds."""
    await page.page.wait_for_function(f"() => {what}", timeout=scaled(10) * 1000)


@pytest.mark.parametrize("version", ["", "-7"])
async def test_two_pages_share_an_object(simulator: Simulator, open_page: OpenPage, version: str) -> None:
    """Properties and messages of one page reach both, and a page that joins later gets the state."""
    config = {"protocol": "ws", "host": "localhost", "port": simulator.port, "app": "live"}
    one = await open_page(f"publish{version}.html")
    await join(one, config)
    await one.page.evaluate("shared.setProperty('count', 7)")
    await seen(one, "seen.some(([, data]) => data && data.count === 7)")
    two = await open_page(f"publish{version}.html")
    await join(two, config)
    await seen(two, "seen.some(([, data]) => data && data.count === 7)")
    await two.page.evaluate("shared.send('messageTransmit', {user: 'two', message: 'hello'})")
    for page in (one, two):
        await seen(
            page,
            "seen.some(([, data]) => data && data.methodName === 'messageTransmit' && data.message.message === 'hello')",
        )
    await two.page.evaluate("shared.close()")
    await one.page.evaluate("shared.setProperty('count', 8)")
    await seen(one, "seen.some(([, data]) => data && data.count === 8)")
    assert not one.errors
    assert not two.errors


async def test_beside_a_stream(simulator: Simulator, open_page: OpenPage) -> None:
    """A publisher's page uses an object on the transport of its stream, on the data channel after the switch."""
    page = await open_page("publish.html")
    config = {"protocol": "ws", "host": "localhost", "port": simulator.port, "app": "live"}
    published = await page.publish({**config, "streamName": "camera-1"})
    assert published.resolved, published
    await page.wait_event("MessageTransport.Change")
    await join(page, None)
    other = await open_page("publish.html")
    await join(other, config)
    await other.page.evaluate("shared.setProperty('colour', 'red')")
    await seen(page, "seen.some(([, data]) => data && data.colour === 'red')")
    assert not any("sharedObject" in frame.text for frame in page.ws_frames)
