"""What the settings of WHIP and WHEP do, seen by a client of the stream manager."""

from __future__ import annotations

import aiohttp
import pytest
from smproxy.signaling.whip import IceServer
from smproxy.testing import Publisher, WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import stories


@pytest.mark.parametrize(("first", "second"), [("websocket", "whip"), ("whip", "websocket"), ("whip", "whip")])
async def test_takeover(
    start_simulator: StartSimulator, receiver: WebhookReceiver, publisher: MakePublisher, first: str, second: str
) -> None:
    """Over whatever transport, the second publisher of a name ends the first, with a reason of its own."""
    simulator = await start_simulator(receiver, takeover="always")
    old = publisher(simulator, "cam", transport=first)
    await published(simulator, old)
    await publisher(simulator, "cam", transport=second).publish()
    await eventually(lambda: len(simulator.manager.sessions.publishing()) == 1)
    await eventually(lambda: [each[-1] for each in stories(receiver.events).values()].count("disconnected") == 1, 10)
    ended = next(iter(stories(receiver.events)))
    (last,) = [each["payload"] for each in receiver.events if each["payload"].get("state") == "disconnected"]
    assert (last["session"], last["reason"]) == (ended, 5)


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_no_takeover(start_simulator: StartSimulator, publisher: MakePublisher, transport: str) -> None:
    """By default a live name stays with its publisher, whatever transport the second one takes."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, "cam", transport="whip"))
    second: Publisher = publisher(simulator, "cam", transport=transport)
    with pytest.raises(Exception, match=r"(?i)in use|taken|InvalidName|409"):
        await second.publish()


async def test_ice_servers(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """ICE servers are told in OPTIONS, and not to a preflight, whose answer a page cannot read."""
    simulator = await start_simulator(ice_server=(IceServer("turn:127.0.0.1:3478", "ann", "secret"),))
    path = "/live/whip/endpoint/cam?customerScope=acme"
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as client:
        async with client.options(path) as response:
            assert response.headers["Link"].startswith('<turn:127.0.0.1:3478>; rel="ice-server"; username="ann"')
        preflight = {"Origin": "http://page.example", "Access-Control-Request-Method": "POST"}
        async with client.options(path, headers=preflight) as response:
            assert "Link" not in response.headers
