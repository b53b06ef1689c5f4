"""Faults in the media and of whole origins, as a publisher and the hooks see them."""

from __future__ import annotations

import asyncio

import pytest
from smproxy.simulator import Simulator
from smproxy.testing import PublishError, Subscriber, SubscribeRejected, SubscribeTimeout, WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import LoneOrigin, MakePublisher, StartSimulator, published
from tests.integration.lives import last, spell

AUDIO_ONLY = {"video": False, "data_channel": False}


def told(receiver: WebhookReceiver, id: str = "s") -> list[str]:
    """Spell the hooks of a connection."""
    return [spell(event) for event in receiver.events if event["connection"]["id"] == id]


def end_of(receiver: WebhookReceiver, id: str) -> dict | None:
    """Return the payload of a connection's last hook, if it tells the end."""
    payloads = [event["payload"] for event in receiver.events if event["connection"]["id"] == id]
    over = payloads and payloads[-1].get("state") in {"disconnected", "connect_error"}
    return payloads[-1] if over else None


def packets(simulator: Simulator, id: str) -> tuple[int, int]:
    """Return how many packets of a live stream came, and how many were lost."""
    for session in simulator.manager.sessions.publishing():
        if session.life.peer == id:
            tracks = session.statistics.values()
            return sum(track.packets for track in tracks), sum(track.lost for track in tracks)
    return 0, 0


async def test_ice_never_completes(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The stream starts, no transport comes up, and the hooks tell no connection."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, params={"simulate": "ice-never-completes"}, timeout=scaled(1), **AUDIO_ONLY)
    with pytest.raises(PublishError):
        await stream.publish()
    assert any("starting" in frame.text for frame in stream.frames)
    await eventually(lambda: end_of(receiver, "s"), 10)
    assert told(receiver) == ["connecting", "connect_error"]


@pytest.mark.parametrize("data_channel", [True, False], ids=["switched", "on the socket"])
async def test_peer_dies(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, data_channel: bool
) -> None:
    """The media connection ends after its time; the session ends as one whose origin was lost."""
    simulator = await start_simulator(receiver)
    stream = publisher(
        simulator, params={"simulate": "peer-dies:after=0.4"}, video=False, data_channel=data_channel, switch_delay=0.1
    )
    await published(simulator, stream)
    await asyncio.wait_for(stream.closed.wait(), scaled(15))
    assert stream.ended_by in {"transport", "server"}
    await eventually(lambda: end_of(receiver, "s"), 10)
    assert last(receiver)["reason"] == 4
    assert told(receiver)[-2:] == ["peer_leaved", "disconnected"]


@pytest.mark.parametrize("what", ["all", "rtp"])
async def test_media_stops(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, what: str
) -> None:
    """Nothing comes any more while the socket stays: with everything gone the watchdog ends it, without RTP it lives on."""
    simulator = await start_simulator(receiver, media_gap=0.5, media_timeout=1.2)
    fault = simulator.faults.add("media-stops", what=what, after=0.2, id="s")
    stream, beside = publisher(simulator, **AUDIO_ONLY), publisher(simulator, "beside", **AUDIO_ONLY)
    await asyncio.gather(published(simulator, stream), published(simulator, beside))
    if what == "all":
        await eventually(lambda: "reconnect" in told(receiver), 10)
        assert not stream.closed.is_set()
        await eventually(lambda: end_of(receiver, "s"), 10)
        assert last(receiver)["reason"] == 1
    else:
        await eventually(lambda: packets(simulator, "s")[0] > 0, 10)
        await eventually(lambda: packets(simulator, "beside")[0] > packets(simulator, "s")[0] + 50, 10)
        assert not end_of(receiver, "s")
        assert not stream.closed.is_set()
    assert fault.injected == 1
    assert set(told(receiver, "beside")) == {
        "connecting",
        "connected",
        "peer_joined",
        "remote_track_started audio_main",
    }


async def test_media_comes_back(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A fault that is switched on for a live session acts on it, and its end lets the media flow again."""
    simulator = await start_simulator(receiver, media_gap=0.5, media_timeout=30)
    await published(simulator, publisher(simulator, **AUDIO_ONLY))
    fault = simulator.faults.add("media-stops", id="s", after=0)
    await eventually(lambda: "reconnect" in told(receiver), 10)
    fault.remove()
    await eventually(lambda: "reconnected" in told(receiver), 15)


async def test_packet_loss(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """About the wished part of the packets is lost, and nothing of the stream beside it."""
    simulator = await start_simulator(receiver)
    simulator.faults.add("packet-loss", percent=50, seed=1, id="s")
    stream, beside = publisher(simulator, **AUDIO_ONLY), publisher(simulator, "beside", **AUDIO_ONLY)
    await asyncio.gather(published(simulator, stream), published(simulator, beside))
    await eventually(lambda: packets(simulator, "beside")[0] > 80 and sum(packets(simulator, "s")) > 80, 15)
    came, lost = packets(simulator, "s")
    assert 0.25 < lost / (came + lost) < 0.75
    assert packets(simulator, "beside")[1] == 0


@pytest.mark.parametrize("door", ["websocket", "http"])
async def test_bad_network(start_simulator: StartSimulator, publisher: MakePublisher, door: str) -> None:
    """A publisher and its subscriber, each on a bad network of its own, over either door, have what was lost sent again."""
    simulator = await start_simulator()
    publishes, subscribes = ({"transport": "whip"}, {"transport": "whep"}) if door == "http" else ({}, {})
    simulate = "network:profile=4g:loss=3:seed=5"
    await published(simulator, publisher(simulator, params={"simulate": simulate}, **publishes))
    params = {"customerScope": "acme", "simulate": simulate}
    async with Subscriber(simulator.url, stream="s", params=params, **subscribes) as subscriber:
        await eventually(lambda: subscriber.statistics["video"].packets > 100, 30)
        await eventually(lambda: packets(simulator, "s")[1] > 0, 30)
        fault = simulator.faults.add("network", role="subscriber", outage=3_600_000)
        seen = subscriber.statistics["audio"].packets
        assert fault.injected == 1
        fault.remove()
        await eventually(lambda: subscriber.statistics["audio"].packets > seen + 20, 30)


async def test_origin_crash(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """All sessions that match lose socket and media at once; the origin takes them again, and others do not notice."""
    simulator = await start_simulator(receiver)
    beside = publisher(simulator, "beside", **AUDIO_ONLY)
    switched = publisher(simulator, "cam-2", switch_delay=0.05)
    await asyncio.gather(published(simulator, beside), published(simulator, switched))
    await eventually(lambda: switched.switched, 10)
    fault = simulator.faults.add("origin-crash", id="cam-*", after=1.5)
    socket = publisher(simulator, "cam-1", **AUDIO_ONLY)
    await published(simulator, socket)
    await asyncio.wait_for(socket.closed.wait(), scaled(10))
    assert (socket.ended_by, socket.close_code) == ("server", 1006)
    for id in ("cam-1", "cam-2"):
        await eventually(lambda id=id: end_of(receiver, id), 10)
        assert end_of(receiver, id)["reason"] == 4
    assert fault.injected == 2
    fault.remove()
    await published(simulator, publisher(simulator, "cam-1", **AUDIO_ONLY))
    assert not end_of(receiver, "beside")
    assert not beside.closed.is_set()


async def test_external_origin_has_no_media_faults(
    start_simulator: StartSimulator, publisher: MakePublisher, caplog: pytest.LogCaptureFixture, lone_origin: LoneOrigin
) -> None:
    """A media fault for an origin without a node channel is not carried out, and the log says so."""
    simulator = await start_simulator(local_origin=False, origin=(lone_origin.address,))
    stream = publisher(simulator, params={"simulate": "ice-never-completes"}, **AUDIO_ONLY)
    await published(simulator, stream)
    assert "no node channel to carry it out" in caplog.text
    assert simulator.faults.log() == []


async def test_subscriber(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Faults are for subscribers, too: they are refused, left waiting, and lose their packets, and the publisher is not."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, **AUDIO_ONLY))

    def watching(simulate: str = "", timeout: float = 10) -> Subscriber:
        params = {"customerScope": "acme", "simulate": simulate}
        return Subscriber(simulator.url, stream="s", params=params, timeout=scaled(timeout))

    fault = simulator.faults.add("connect-rejected", role="subscriber", count=1)
    with pytest.raises(SubscribeRejected):
        await watching().subscribe()
    assert fault.injected == 1
    with pytest.raises(SubscribeTimeout):
        await watching("silence:stage=answer", timeout=0.5).subscribe()
    async with watching("packet-loss:percent=100") as deaf, watching() as hearing:
        await eventually(lambda: hearing.statistics["audio"].packets > 20, 10)
        assert sum(track.packets for track in deaf.statistics.values()) == 0
