"""Faults in the delivery of hooks, as a receiver sees them, and the journal, which keeps the truth."""

from __future__ import annotations

import json

import aiohttp
import pytest
from smproxy.hooks.journal import JournalQuery
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import check_whole_life, spell, stories

AUDIO_ONLY = {"video": False, "data_channel": False}
LIFE = [
    "connecting",
    "connected",
    "peer_joined",
    "remote_track_started audio_main",
    "remote_track_ended audio_main",
    "peer_leaved",
    "disconnected",
]


def told(receiver: WebhookReceiver, id: str = "s") -> list[str]:
    """Spell every delivery of a connection, repeated ones too, in the order of arrival."""
    return [spell(hook.event) for hook in receiver.hooks if hook.event["connection"]["id"] == id]


async def live_and_die(simulator: Simulator, receiver: WebhookReceiver, stream: Publisher) -> None:
    """Publish, wait for the media at the receiver if it hears of it, and unpublish."""
    await published(simulator, stream)
    sessions = simulator.manager.sessions
    await eventually(lambda: any(s.life.tracks for s in sessions.publishing() if s.life.peer == stream.stream), 10)
    await stream.unpublish()


async def journalled(simulator: Simulator) -> list[str]:
    """Spell what the journal holds."""
    assert simulator.dispatcher.journal is not None
    return [spell(json.loads(stored.event.body)) for stored in await simulator.dispatcher.journal.find(JournalQuery())]


SCENARIOS = [
    ("hook-drop:event=peer", [line for line in LIFE if not line.startswith("peer")]),
    ("hook-duplicate:event=connected:times=3", [LIFE[0], *["connected"] * 3, *LIFE[2:]]),
    ("hook-delay:seconds=1.5:event=peer_joined", None),
    ("unpublish-lost", LIFE[:-2]),
    ("duplicate-publish", [*LIFE[:2], "peer_joined", "peer_joined", *LIFE[3:]]),
    ("unpublish-without-publish", [*LIFE[:2], *LIFE[3:]]),
    ("stale-keepalive", [*LIFE, "connected"]),
]


@pytest.mark.parametrize(("fault", "expected"), SCENARIOS, ids=[row[0].partition(":")[0] for row in SCENARIOS])
async def test_deliveries(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    fault: str,
    expected: list[str] | None,
) -> None:
    """A receiver is told what the fault makes of a life, and the stream beside it is told as it was."""
    simulator = await start_simulator(receiver)
    beside = publisher(simulator, "beside")
    await published(simulator, beside)
    stream = publisher(simulator, params={"simulate": fault}, **AUDIO_ONLY)
    await live_and_die(simulator, receiver, stream)
    if expected is None:
        await eventually(lambda: sorted(told(receiver)) == sorted(LIFE), 10, str(told(receiver)))
        assert told(receiver).index("peer_joined") > LIFE.index("peer_joined")
    else:
        await eventually(lambda: told(receiver) == expected, 10, fault)
    await eventually(lambda: len(told(receiver, "beside")) == 5, 10)
    await beside.unpublish()
    await eventually(lambda: "disconnected" in told(receiver, "beside"), 10)
    check_whole_life(told(receiver, "beside"))
    if expected is not None:
        assert told(receiver) == expected
    assert [line for line in await journalled(simulator) if "video" not in line][:3]
    assert {entry.connection_id for entry in simulator.faults.log()} == {"s"}


async def test_dropped_is_skipped_in_the_journal(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The journal has a lost event, as skipped, and a person can resend it."""
    simulator = await start_simulator(receiver)
    simulator.faults.add("hook-drop", event="peer_joined")
    await live_and_die(simulator, receiver, publisher(simulator, **AUDIO_ONLY))
    await eventually(lambda: told(receiver) == [*LIFE[:2], *LIFE[3:]], 10)
    assert await journalled(simulator) == LIFE
    async with aiohttp.ClientSession(f"{simulator.rest_url}") as http:
        async with http.get("/api/v1/hooks?state=peer_joined") as response:
            (event,) = (await response.json())["hooks"]
        async with http.get(f"/api/v1/hooks/{event['uuid']}") as response:
            assert [row["state"] for row in (await response.json())["deliveries"]] == ["skipped"]
        async with http.post(f"/api/v1/hooks/{event['uuid']}/resend") as response:
            assert await response.json() == {"resent": 1}
    await eventually(lambda: told(receiver)[-1] == "peer_joined", 10)


@pytest.mark.parametrize("by", ["fault", "connection"])
async def test_late_unpublish_after_republish(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, by: str
) -> None:
    """The end of the first session comes after the beginning of the second, which is told as it was."""
    simulator = await start_simulator(receiver)
    params = {"simulate": "late-unpublish-after-republish"} if by == "connection" else {}
    if by == "fault":
        simulator.faults.add("late-unpublish-after-republish", id="s", count=1)
    await live_and_die(simulator, receiver, publisher(simulator, params=params, **AUDIO_ONLY))
    second = publisher(simulator, **AUDIO_ONLY)
    await published(simulator, second)
    await eventually(lambda: told(receiver).count("disconnected") == 1, 10)
    ended, begun = told(receiver).index("peer_leaved"), [i for i, w in enumerate(told(receiver)) if w == "peer_joined"]
    assert ended > begun[1]
    sessions = [hook.session for hook in receiver.hooks]
    assert sessions[ended] == sessions[0] != sessions[begun[1]]
    await second.unpublish()
    await eventually(lambda: told(receiver).count("disconnected") == 2, 10)
    for story in stories(receiver.events).values():
        assert [line for line in story if "track" not in line] == [line for line in LIFE if "track" not in line]


async def test_late_unpublish_in_reds_format(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Red5's webhooks, too, tell the end after the next beginning."""
    simulator = await start_simulator(receiver, hook_format=("red5",))
    simulator.faults.add("late-unpublish-after-republish", count=1)
    await live_and_die(simulator, receiver, publisher(simulator, **AUDIO_ONLY))
    second = publisher(simulator, **AUDIO_ONLY)
    await published(simulator, second)

    def words() -> list[str]:
        kept = ("stream-published", "connection-disconnect", "stream-unpublished")
        return [word for hook in receiver.hooks if (word := json.loads(hook.body)["event"]) in kept]

    await eventually(lambda: "stream-unpublished" in words(), 10)
    assert words() == ["stream-published", "stream-published", "connection-disconnect", "stream-unpublished"]


async def test_what_is_kept_comes_in_the_end(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Removing a fault, its patience, and the simulator's end let go of what is kept."""
    simulator = await start_simulator(receiver)
    fault = simulator.faults.add("late-unpublish-after-republish", id="a")
    simulator.faults.add("late-unpublish-after-republish", id="b", patience=0.2)
    simulator.faults.add("hook-delay", id="c", seconds=1000)
    streams = [publisher(simulator, name, **AUDIO_ONLY) for name in "abc"]
    for stream in streams:
        await published(simulator, stream)
        await stream.unpublish()
    await eventually(lambda: "disconnected" in told(receiver, "b"), 10)
    assert "disconnected" not in told(receiver, "a")
    fault.remove()
    await eventually(lambda: "disconnected" in told(receiver, "a"), 10)
    assert told(receiver, "c") == []
    await simulator.stop()
    assert "disconnected" in told(receiver, "c")


async def test_reorder(receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Events overtake each other in windows; none is lost; the same seed gives the same order."""
    orders = []
    for _ in range(2):
        simulator = await start_simulator(receiver)
        fault = simulator.faults.add("hook-reorder", window=3, seed=4, patience=60)
        receiver.hooks.clear()
        await live_and_die(simulator, receiver, publisher(simulator, **AUDIO_ONLY))
        await eventually(lambda: len(told(receiver)) == 6, 10)
        fault.remove()
        await eventually(lambda: sorted(told(receiver)) == sorted(LIFE), 10)
        orders.append(told(receiver))
    assert orders[0] == orders[1] != LIFE
    assert [sorted(orders[0][:3]), sorted(orders[0][3:6]), orders[0][6:]] == [
        sorted(LIFE[:3]),
        sorted(LIFE[3:6]),
        LIFE[6:],
    ]


async def test_webhook_socket(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Listeners on the webhook socket are told the same as a sink."""
    simulator = await start_simulator(receiver)
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{simulator.rest_url}/live/webhook") as socket:
        stream = publisher(
            simulator, params={"simulate": "stale-keepalive,duplicate-publish,unpublish-lost"}, **AUDIO_ONLY
        )
        await live_and_die(simulator, receiver, stream)
        await eventually(lambda: told(receiver)[-1] == "connected", 10)
        heard = [spell(json.loads((await socket.receive()).data)) for _ in told(receiver)]
    assert heard == told(receiver) == [*LIFE[:2], "peer_joined", "peer_joined", *LIFE[3:5], "connected"]


async def test_same_seed_same_hooks(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Two runs with the same seed and inputs give the same hooks apart from times, session numbers included."""

    async def run() -> list[object]:
        receiver.hooks.clear()
        simulator = await start_simulator(receiver, seed=42)
        simulator.faults.add("hook-duplicate", probability=0.5)
        simulator.faults.add("connect-rejected", probability=0.5)
        for number in range(4):
            stream = publisher(simulator, f"s{number}", **AUDIO_ONLY)
            try:
                await live_and_die(simulator, receiver, stream)
            except Exception:
                await stream.close()
            await eventually(lambda id=f"s{number}": {"disconnected", "connect_error"} & set(told(receiver, id)), 10)
        await simulator.stop()
        return [timeless(hook.event) for hook in receiver.hooks]

    first = await run()
    assert first == await run()
    assert len({event["payload"]["session"] for event in first}) == 4


def timeless(event: dict) -> dict:
    """Take the times out of an event, and out of its uuid, which begins with one."""
    payload = {key: value for key, value in event["payload"].items() if key not in {"after_ms", "duration"}}
    return {**{key: event[key] for key in event if key != "ts"}, "uuid": event["uuid"][14:], "payload": payload}


async def test_receiver_that_is_down_meanwhile(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """What is kept while a receiver is down comes after what it missed, and comes once."""
    receiver.respond = [503] * 6
    simulator = await start_simulator(receiver)
    simulator.faults.add("late-unpublish-after-republish", patience=0.05)
    simulator.faults.add("hook-delay", event="peer_joined", seconds=0.05)
    await live_and_die(simulator, receiver, publisher(simulator, **AUDIO_ONLY))
    await eventually(lambda: len(told(receiver)) == 6 + len(LIFE), 20)
    assert told(receiver)[:7] == ["connecting"] * 7
    rest = told(receiver)[7:]
    assert sorted(rest) == sorted(LIFE[1:])
    assert rest.index("peer_leaved") < rest.index("disconnected")
    assert rest[0] == "connected"
