"""An origin without a node channel: the session lives on what the relay sees."""

from __future__ import annotations

import json

import pytest
from smproxy.testing import PublishRejected, WebhookReceiver
from websockets.asyncio.client import connect

from tests.helpers import eventually
from tests.integration.conftest import LoneOrigin, MakePublisher, StartSimulator, published
from tests.integration.lives import last, spell, story

LIFE = ["connecting", "connected", "peer_joined", "peer_leaved", "disconnected"]


async def ended(receiver: WebhookReceiver) -> None:
    """Wait for the last hook of a session."""
    await eventually(lambda: receiver.events and spell(receiver.events[-1]) == "disconnected", 10)


async def test_switch_is_withheld(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, lone_origin: LoneOrigin
) -> None:
    """The client is not told of its data channel, so it stays on the socket, and its whole session is seen."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(lone_origin.address,))
    stream = publisher(simulator, switch_delay=0.05)
    await published(simulator, stream)
    await eventually(lambda: any("IsAvailable" in frame[3] for frame in stream.frames), 10)
    assert not any("DataChannel.Available" in frame[3] for frame in stream.frames)
    await stream.unpublish()
    await ended(receiver)
    assert story(receiver) == LIFE
    assert last(receiver)["reason"] == 0


async def test_pass_switch(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    caplog: pytest.LogCaptureFixture,
    lone_origin: LoneOrigin,
) -> None:
    """With ``--pass-switch`` the client leaves the socket; its hooks end there, which the log says, and the stream goes on."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(lone_origin.address,), pass_switch=True)
    stream = publisher(simulator, switch_delay=0.05)
    await published(simulator, stream)
    await ended(receiver)
    assert stream.switched
    assert not stream.closed.is_set()
    assert "hooks end here" in caplog.text
    await stream.unpublish()


async def test_name_in_use(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, lone_origin: LoneOrigin
) -> None:
    """That a name is in use is read from the origin's answer."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(lone_origin.address,))
    await publisher(simulator, url=lone_origin.url).publish()
    with pytest.raises(PublishRejected):
        await publisher(simulator).publish()
    await eventually(lambda: len(receiver.events) == 2)
    assert story(receiver) == ["connecting", "connect_error"]
    assert last(receiver)["error"] == 4


async def test_origin_stops(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, lone_origin: LoneOrigin
) -> None:
    """When the origin goes away its sessions end with reason 4."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(lone_origin.address,))
    stream = publisher(simulator)
    await published(simulator, stream)
    await eventually(lambda: receiver.events and "peer_joined" in story(receiver))
    await lone_origin.origin.stop()
    await ended(receiver)
    assert story(receiver) == LIFE
    assert last(receiver)["reason"] == 4


async def test_kick(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, lone_origin: LoneOrigin
) -> None:
    """A kicked session of an external origin ends with reason 3, and its socket is closed."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(lone_origin.address,))
    stream = publisher(simulator)
    await published(simulator, stream)
    (attempt,) = simulator.manager.sessions.attempts
    simulator.manager.sessions.kick(attempt)
    await stream.closed.wait()
    await ended(receiver)
    assert last(receiver)["reason"] == 3


async def test_attempt_header_is_not_for_clients(start_simulator: StartSimulator) -> None:
    """A client cannot name an attempt of its own choice to the origin."""
    simulator = await start_simulator()
    headers = {"X-Stream-Manager-Attempt": "forged"}
    async with connect(f"{simulator.url}?id=s&customerScope=a", additional_headers=headers) as socket:
        assert json.loads(await socket.recv())["data"]["code"] == "NetConnection.Connect.Success"
        (attempt,) = simulator.manager.sessions.attempts
        assert attempt.token != "forged"
        await socket.send('{"handleOffer":"s","data":{"sdp":{"type":"offer","sdp":"x"}}}')
        await socket.recv()
        assert len(simulator.manager.sessions) == 0, "the origin reported under the manager's token"
