"""What surrounds a publisher's life (tests/e2e/test_publish.py): the simulator's stop, the webhook socket, TLS."""

from __future__ import annotations

import asyncio
import json

from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver
from websockets.asyncio.client import connect

from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import check_whole_life, spell, stories


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
