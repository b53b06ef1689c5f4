"""A publisher goes through the proxy to the origin, and its hooks tell its life, whatever way it ends."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from websockets.asyncio.client import connect

from proxy.simulator import Simulator
from proxy.testing import PublishRejected, WebhookReceiver
from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import check_whole_life, last, spell, stories, story


async def has(receiver: WebhookReceiver, what: str, timeout: float = 10.0) -> None:
    """Wait until the receiver has an event that is spelt so."""
    await eventually(
        lambda: any(spell(event) == what for event in receiver.events),
        timeout,
        f"no {what}; came: {[spell(event) for event in receiver.events]}",
    )


async def has_media(receiver: WebhookReceiver) -> None:
    """Wait until audio and video have started."""
    for track in ("audio_main", "video_main"):
        await has(receiver, f"remote_track_started {track}")


async def has_switched(simulator: Simulator) -> None:
    """Wait until the manager knows that the only client has left its socket for the data channel."""
    (attempt,) = simulator.manager.sessions.attempts
    await eventually(lambda: attempt.switched and attempt.relay_ended, 10)


@pytest.mark.parametrize("data_channel", [True, False], ids=["switching", "on the socket"])
async def test_publish_and_unpublish(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, data_channel: bool
) -> None:
    """A publisher's life is told from connecting to disconnected, in order, with the parameters of its URL."""
    simulator = await start_simulator(receiver)
    params = {"username": "u", "password": "hunter2", "recording": "true", "meta": '{"k":1}', "app": "/live"}
    stream = publisher(simulator, data_channel=data_channel, params=params, switch_delay=0.1)
    await published(simulator, stream)
    await has_media(receiver)
    if data_channel:
        await eventually(lambda: stream.switched, 10)
    await stream.unpublish()
    await has(receiver, "disconnected")
    check_whole_life(story(receiver))
    assert last(receiver)["reason"] == 0
    for event in receiver.events:
        assert event["connection"] == {
            "id": "s",
            "username": "u",
            "customerScope": "acme",
            "recording": True,
            "meta": {"k": 1},
            "app": "live",
            "role": "publisher",
        }
    assert not any(b"hunter2" in hook.body for hook in receiver.hooks)


async def test_socket_closed_without_switch(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A publisher whose socket closes before it has switched is gone at once, and its name is free."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, data_channel=False)
    await published(simulator, stream)
    await has_media(receiver)
    await stream.close()
    await has(receiver, "disconnected", 3)
    check_whole_life(story(receiver))
    assert last(receiver)["reason"] == 0
    await publisher(simulator).publish()


async def test_lost_network_after_the_switch(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A publisher that vanishes is ``reconnect`` after the gap and gone after the time-out, and its name is free."""
    simulator = await start_simulator(receiver, media_gap=0.5, media_timeout=1.2)
    stream = publisher(simulator, switch_delay=0.1)
    await published(simulator, stream)
    await has_media(receiver)
    await has_switched(simulator)
    stream.vanish()
    await has(receiver, "disconnected")
    told = story(receiver)
    check_whole_life([line for line in told if line not in {"reconnect", "reconnected"}])
    assert told[-5] == "reconnect"
    assert last(receiver)["reason"] == 1
    await publisher(simulator).publish()


async def test_name_in_use(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A second publisher of a live name is refused, and the first goes on."""
    simulator = await start_simulator(receiver)
    first = publisher(simulator)
    await first.publish()
    with pytest.raises(PublishRejected):
        await publisher(simulator).publish()
    await has(receiver, "connect_error")
    assert [event["payload"]["error"] for event in receiver.events if spell(event) == "connect_error"] == [4]
    assert not first.closed.is_set()
    await first.unpublish()
    await has(receiver, "disconnected")


@pytest.mark.parametrize("data_channel", [True, False], ids=["switched", "on the socket"])
async def test_kick(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, data_channel: bool
) -> None:
    """Deleting its proxy client ends a session with reason 3, and its publisher notices."""
    simulator = await start_simulator(receiver, admin_token="t0ken")
    stream = publisher(simulator, data_channel=data_channel, switch_delay=0.1)
    await published(simulator, stream)
    await has_media(receiver)
    if data_channel:
        await eventually(lambda: stream.switched, 10)
    clients = f"{simulator.rest_url}/streammanager/api/4.0/admin/proxy/clients"
    async with aiohttp.ClientSession() as http:
        (client,) = await (await http.get(clients, params={"accessToken": "t0ken"})).json()
        assert (await http.delete(f"{clients}/{client['id']}")).status == 401
        assert (await http.delete(f"{clients}/{client['id']}", params={"accessToken": "t0ken"})).status == 200
    async with asyncio.timeout(scaled(5)):
        await stream.closed.wait()
    await has(receiver, "disconnected")
    check_whole_life(story(receiver))
    assert last(receiver)["reason"] == 3


async def test_stop(receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Stopping ends live sessions with reason 2 and delivers their hooks before it is done; no task is left."""
    before = asyncio.all_tasks()
    simulator = await start_simulator(receiver)
    streams = [publisher(simulator, name, data_channel=name == "a") for name in ("a", "b")]
    for stream in streams:
        await published(simulator, stream)
    await eventually(lambda: sum("track_started" in spell(event) for event in receiver.events) == 4, 10)
    await simulator.stop()
    told = stories(receiver.events)
    assert len(told) == 2
    for lines in told.values():
        check_whole_life(lines)
    assert {e["payload"]["reason"] for e in receiver.events if spell(e) == "disconnected"} == {2}
    for stream in streams:
        await stream.close()
    await eventually(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()}, 5, str(asyncio.all_tasks()))


async def test_back_within_the_window(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A publisher that was lost and comes back inside the window goes on in the same session."""
    simulator = await start_simulator(receiver, media_gap=0.5, media_timeout=1.2, reconnect_window=30.0)
    lost = publisher(simulator, switch_delay=0.1, params={"username": "u"})
    await lost.publish()
    await has_media(receiver)
    await has_switched(simulator)
    lost.vanish()
    await has(receiver, "reconnect")
    back = publisher(simulator, params={"username": "u"})
    await back.publish()
    await has(receiver, "reconnected")
    await back.unpublish()
    await has(receiver, "disconnected")
    told = story(receiver)
    check_whole_life([line for line in told if line not in {"reconnect", "reconnected"}])
    assert told[5:7] == ["reconnect", "reconnected"]


async def test_another_user_within_the_window(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The session of a lost publisher is not for another user: that one is told that the name is in use."""
    simulator = await start_simulator(receiver, media_gap=0.5, media_timeout=20, reconnect_window=30.0)
    lost = publisher(simulator, switch_delay=0.1, params={"username": "u"})
    await lost.publish()
    await has_media(receiver)
    await has_switched(simulator)
    lost.vanish()
    await has(receiver, "reconnect")
    with pytest.raises(PublishRejected):
        await publisher(simulator, params={"username": "mallory"}).publish()


async def test_window_closes(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """When nobody comes back inside the window the session ends with reason 1, and once."""
    simulator = await start_simulator(receiver, media_gap=0.3, media_timeout=0.6, reconnect_window=0.5)
    lost = publisher(simulator, switch_delay=0.1)
    await lost.publish()
    await has_media(receiver)
    await has_switched(simulator)
    lost.vanish()
    await has(receiver, "disconnected")
    told = story(receiver)
    check_whole_life([line for line in told if line not in {"reconnect", "reconnected"}])
    assert last(receiver)["reason"] == 1


async def test_webhook_socket(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A listener of a customer scope gets the very messages that are posted, in order, and no other scope's."""
    simulator = await start_simulator(receiver)
    url = simulator.url.replace("/streammanager", "/live/webhook")
    async with connect(f"{url}?customerScope=acme") as acme, connect(f"{url}?customerScope=other") as other:
        stream = publisher(simulator)
        await published(simulator, stream)
        await has_media(receiver)
        await stream.unpublish()
        await has(receiver, "disconnected")
        async with asyncio.timeout(scaled(5)):
            texts = [await acme.recv() for _ in receiver.hooks]
        assert [str(text).encode() for text in texts] == [hook.body for hook in receiver.hooks]
        await publisher(simulator, "t", params={"customerScope": "other"}).publish()
        async with asyncio.timeout(scaled(5)):
            first = json.loads(await other.recv())
        assert (first["connection"]["customerScope"], spell(first)) == ("other", "connecting")


async def test_dead_receiver(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A receiver that never answers delays neither the other receiver nor the publisher."""
    async with WebhookReceiver(respond="hang") as hanging:
        simulator = await start_simulator(hook_uri=(hanging.url, receiver.url))
        stream = publisher(simulator)
        await published(simulator, stream)
        await has_media(receiver)
        await stream.unpublish()
        await has(receiver, "disconnected")
        assert len(hanging.hooks) <= 1


async def test_tls(receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A publisher that trusts the local authority publishes over wss, and the administration shows it as secure."""
    import ssl

    simulator = await start_simulator(receiver, tls_self_signed=True)
    assert simulator.authority is not None
    context = ssl.create_default_context(cafile=str(simulator.authority.authority))
    stream = publisher(simulator, url=f"wss://localhost:{simulator.tls_port}/streammanager", ssl=context)
    await published(simulator, stream)
    (attempt,) = simulator.manager.sessions.attempts
    assert attempt.client.secure
    await stream.unpublish()
    await has(receiver, "disconnected")
