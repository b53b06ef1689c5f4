"""Faults in signaling, as a client sees them."""

from __future__ import annotations

import asyncio
import json

import pytest
from smproxy.origin.settings import OriginSettings
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, PublishError, PublishRejected, PublishTimeout, WebhookReceiver
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.helpers import eventually, scaled
from tests.integration.conftest import LoneOrigin, MakePublisher, StartSimulator, published
from tests.integration.lives import check_whole_life, last, stories, story

#: Long enough for what is to come; what never comes is waited for as long.
SHORT = 0.7

#: Faults that refuse, what ``publish()`` is rejected with, and the error of the hook.
REFUSALS = [
    ("connect-rejected", "NetConnection.Connect.Rejected", "rejected by a fault", 3),
    ("connect-rejected:type=error:code=4001:reason=go away", "NetConnection.Connect.Rejected", "go away", 3),
    ("connect-failed", "NetConnection.Connect.Failed", "failed by a fault", 2),
    ("origin-full", "NetConnection.Connect.Rejected", "no origin has capacity", 3),
    ("origin-unreachable", "NetConnection.Connect.Failed", "cannot be reached", 2),
    ("name-in-use", "Publish.InvalidName", "already has a broadcast session", 4),
    ("offer-error:message=no thanks", "NetStream.Publish.InvalidSDP", "no thanks", 0),
    ("publish-denied", "NetStream.Publish.Denied", "Not allowed to publish.", None),
]

#: Faults that leave ``publish()`` pending, and what it waits for.
PENDING = [
    ("silence", "Connect.Success"),
    ("silence:stage=available", "reply to isAvailable"),
    ("silence:stage=answer", "answer"),
    ("no-trickle-completed", "end of candidates"),
    ("no-starting", "starting"),
]


def simulating(text: str, **options: object) -> dict[str, object]:
    """Make a publisher's options with which it asks for faults."""
    return {"params": {"simulate": text}, "timeout": scaled(10), **options}


@pytest.mark.parametrize(("fault", "code", "message", "error"), REFUSALS, ids=[row[0] for row in REFUSALS])
async def test_refusals(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    fault: str,
    code: str,
    message: str,
    error: int | None,
) -> None:
    """A fault that refuses makes ``publish()`` reject with its code and words, and the hooks tell the refusal."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, **simulating(fault))
    with pytest.raises(PublishRejected) as rejected:
        await stream.publish()
    assert rejected.value.code == code
    assert message in rejected.value.message
    await eventually(lambda: receiver.events and last(receiver).get("state") in {"connect_error", "disconnected"}, 10)
    if error is not None:
        assert last(receiver)["error"] == error
    (entry,) = simulator.faults.log()
    assert (entry.id, entry.fault, entry.connection_id) == ("simulate", fault.partition(":")[0], "s")
    assert simulator.faults.names_for(next(iter(stories(receiver.events)))) == [entry.fault]


async def test_upgrade_refused(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The upgrade is refused with the HTTP status that was asked for."""
    simulator = await start_simulator(receiver)
    with pytest.raises(PublishRejected, match="HTTP 418"):
        await publisher(simulator, **simulating("upgrade-refused:status=418")).publish()


async def test_pending(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A fault that withholds a reply leaves ``publish()`` waiting for that one, on an open socket."""
    simulator = await start_simulator()
    # The origin's own patience, after which it ends the session, is not scaled.
    timeout = min(scaled(2), OriginSettings().connect_timeout - 5)
    streams = [
        publisher(simulator, f"s{number}", **simulating(fault, timeout=timeout))
        for number, (fault, _) in enumerate(PENDING)
    ]
    outcomes = await asyncio.gather(*(stream.publish() for stream in streams), return_exceptions=True)
    for (fault, awaited), stream, outcome in zip(PENDING, streams, outcomes, strict=True):
        assert isinstance(outcome, PublishTimeout), (fault, outcome)
        assert awaited in str(outcome), fault
        assert stream.ended_by == "client", fault
    assert sorted(entry.fault for entry in simulator.faults.log()) == sorted(
        row[0].partition(":")[0] for row in PENDING
    )


@pytest.mark.parametrize("stage", ["connect", "available", "offer", "answer", "trickle", "publish", "starting"])
async def test_close_at_a_stage(start_simulator: StartSimulator, publisher: MakePublisher, stage: str) -> None:
    """The socket is closed with the code and the reason at each stage, and what makes the stage is not let through."""
    simulator = await start_simulator()
    stream = publisher(simulator, **simulating(f"close:stage={stage}:code=4321:reason=enough"))
    with pytest.raises(PublishError, match="4321 enough"):
        await stream.publish()
    said = " ".join(frame.text for frame in stream.frames if frame.sender == "server")
    withheld = {"connect": "Connect.Success", "answer": '"answer"', "trickle": "Trickle", "starting": "starting"}
    if stage in withheld:
        assert withheld[stage] not in said


async def test_close_while_live(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A live publisher, which stays on its socket, loses it; its session ends."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, **simulating("close:stage=live:code=4000:after=0.3", switch_delay=0.05))
    await stream.publish()
    await asyncio.wait_for(stream.closed.wait(), scaled(10))
    assert (stream.ended_by, stream.close_code, stream.switched) == ("server", 4000, False)
    await eventually(lambda: last(receiver).get("state") == "disconnected", 10)


async def test_cut(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """With 1006 the connection is cut without a Close frame."""
    simulator = await start_simulator()
    with pytest.raises(PublishError, match="1006"):
        await publisher(simulator, **simulating("close:stage=offer:code=1006")).publish()


async def test_unpublish_unanswered(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """The unpublish is never confirmed, while the stream ends at the origin and in the hooks."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, **simulating("unpublish-unanswered", switch_delay=0.05))
    await published(simulator, stream)
    await stream.unpublish()
    assert (stream.ended_by, stream.switched) == ("transport", False)
    assert not any("stopping" in frame.text for frame in stream.frames)
    await eventually(lambda: last(receiver).get("state") == "disconnected", 10)


async def test_latency(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Everything on the socket takes its time in both directions, in order, and publishing works."""
    simulator = await start_simulator()
    stream = publisher(simulator, **simulating("latency:ms=80:jitter=70:seed=1"))
    await published(simulator, stream)
    assert stream.publish_ms is not None
    assert stream.publish_ms > 4 * 2 * 10
    await stream.unpublish()
    assert stream.ended_by == "client"


async def test_latency_keeps_a_refusal_whole(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A message and the close behind it arrive late, both, and in order."""
    simulator = await start_simulator()
    stream = publisher(simulator, **simulating("latency:ms=100,close:stage=publish:code=4000"))
    with pytest.raises(PublishError, match="4000"):
        await stream.publish()


@pytest.mark.parametrize("by", ["client", "simulator"])
async def test_latency_and_the_end(start_simulator: StartSimulator, publisher: MakePublisher, by: str) -> None:
    """A session whose data waits ends whole, whoever ends it."""
    simulator = await start_simulator()
    stream = publisher(simulator, **simulating("latency:ms=600", timeout=scaled(0.3)))
    with pytest.raises(PublishTimeout):
        await stream.publish()
    relay = simulator.manager._relay
    if by == "simulator":
        await simulator.stop()
    await eventually(lambda: not relay.connections, 12)


async def test_candidates_reordered(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """The answer has no candidates; they come one by one after the end of candidates, and the stream comes up."""
    simulator = await start_simulator()
    stream = publisher(simulator, **simulating("candidates-reordered:seed=3"))
    await published(simulator, stream)
    said = [frame.text for frame in stream.frames if frame.sender == "server"]
    answer = next(text for text in said if '"answer"' in text)
    assert "a=candidate" not in answer
    kinds = [text.partition("candidate:")[0] for text in said if "TrickleCompleted" in text or '"candidate"' in text]
    assert "TrickleCompleted" in kinds[0]
    assert len(kinds) > 1


async def test_bandwidth(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A live publisher gets the notices one after the other."""
    simulator = await start_simulator()
    stream = publisher(simulator, **simulating("bandwidth:after=0.05:every=0.05"))
    await published(simulator, stream)

    def notices() -> list[str]:
        codes = (
            json.loads(frame.text).get("data", {}).get("code", "")
            for frame in stream.frames
            if frame.sender == "server"
        )
        return [code.rpartition(".")[2] for code in codes if code.endswith("BW")]

    await eventually(lambda: notices() == ["InsufficientBW", "RecoveringBW", "SufficientBW"], 10)


async def test_unmatched_beside_matched(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """A session that no fault matches is spliced as ever, frame for frame, while those beside it suffer."""
    simulator = await start_simulator(receiver)
    for name in ("silence", "publish-denied", "latency", "ice-never-completes", "hook-drop", "origin-full"):
        simulator.faults.add(name, id="bad-*")
    bad = [publisher(simulator, f"bad-{number}", timeout=scaled(SHORT)) for number in range(3)]
    good = publisher(simulator, "good")
    outcomes = await asyncio.gather(
        published(simulator, good), *(each.publish() for each in bad), return_exceptions=True
    )
    assert outcomes[0] is None
    (spliced,) = (each.relay for each in simulator.manager.sessions.attempts if each.params.id == "good")
    assert spliced is not None
    assert spliced._faults is None
    assert all(isinstance(outcome, PublishError) for outcome in outcomes[1:])
    await eventually(lambda: len([e for e in receiver.events if e["event"] == "remote_track"]) == 2, 10)
    await good.unpublish()
    await eventually(lambda: last(receiver).get("state") == "disconnected", 10)
    check_whole_life(story(receiver))
    assert {entry.connection_id for entry in simulator.faults.log()} == {"bad-0", "bad-1", "bad-2"}


async def test_match_and_count(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A fault is for those that it matches, as often as it may be used, and until it is removed."""
    simulator = await start_simulator()
    fault = simulator.faults.add("connect-rejected", customer_scope="other", count=2)
    await publisher(simulator, "a").publish()
    for name in ("b", "c"):
        with pytest.raises(PublishRejected):
            await publisher(simulator, name, params={"customerScope": "other"}).publish()
    assert (fault.injected, fault.active) == (2, False)
    await publisher(simulator, "d", params={"customerScope": "other"}).publish()
    forever = simulator.faults.add("connect-rejected", role="publisher", app="live")
    with pytest.raises(PublishRejected):
        await publisher(simulator, "e").publish()
    forever.remove()
    await publisher(simulator, "f").publish()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("publish-denid", "did you mean publish-denied"),
        ("latency:ms=fast", "takes a whole number"),
        ("latency:seconds=1", "those are ms, jitter, sender"),
        ("close:code=1005", "is not usable"),
        ("x" * 2000, "longer than 1024"),
    ],
)
async def test_bad_simulate(
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    caplog: pytest.LogCaptureFixture,
    text: str,
    problem: str,
) -> None:
    """A ``simulate`` that cannot be understood is refused like any bad parameter, and the log says what there is."""
    simulator = await start_simulator(receiver)
    with pytest.raises(PublishRejected, match="simulate"):
        await publisher(simulator, params={"simulate": text}).publish()
    assert problem in caplog.text
    await eventually(lambda: receiver.events and last(receiver).get("error") == 3, 10)


async def test_simulate_off(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """With ``--simulate off`` the parameter is passed over."""
    simulator = await start_simulator(simulate=False)
    await publisher(simulator, **simulating("publish-denied")).publish()


async def test_simulate_does_not_travel(start_simulator: StartSimulator, lone_origin: LoneOrigin) -> None:
    """The parameter is neither passed on to the origin nor part of the hooks."""
    seen: list[str] = []
    far = await start_simulator(local_origin=False, origin=(lone_origin.address,))
    far.manager._relay.open = _watching(far, seen)  # type: ignore[method-assign]
    async with connect(f"{far.url}?id=s&customerScope=acme&simulate=latency%3Ams%3D1&token=t") as socket:
        await socket.recv()
    assert seen
    assert "token=t" in seen[0]
    assert "simulate" not in seen[0]


def _watching(simulator: Simulator, seen: list[str]):
    original = simulator.manager._relay.open

    def open_(*args, **options):
        seen.append(options["target"])
        return original(*args, **options)

    return open_


async def test_external_origin(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, lone_origin: LoneOrigin
) -> None:
    """Signaling faults work on an external origin, too, whose switch notice stays withheld."""
    simulator = await start_simulator(receiver, local_origin=False, origin=(lone_origin.address,))
    stream = publisher(simulator, **simulating("latency:ms=10", switch_delay=0.05))
    await published(simulator, stream)
    await eventually(lambda: any("IsAvailable" in frame.text for frame in stream.frames), 10)
    assert not any("DataChannel.Available" in frame.text for frame in stream.frames)
    await stream.unpublish()
    with pytest.raises(PublishRejected):
        await publisher(simulator, "denied", **simulating("publish-denied")).publish()


async def test_a_client_that_leaves_meanwhile(start_simulator: StartSimulator) -> None:
    """Nothing is left of a session whose client goes while a fault waits."""
    simulator = await start_simulator()
    async with connect(f"{simulator.url}?id=s&customerScope=acme&simulate=origin-unreachable:after=60") as socket:
        await eventually(lambda: simulator.manager._relay.connections)
        socket.transport.abort()
    await eventually(lambda: not simulator.manager._relay.connections, 10)
    with pytest.raises(ConnectionClosed):
        async with connect(f"{simulator.url}?id=s&customerScope=acme&simulate=close:stage=connect:code=3000") as socket:
            await socket.recv()


async def test_probability_with_a_seed(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Faults of a chance are drawn with their seed: the same connections suffer in every run."""

    async def suffer() -> list[bool]:
        simulator = await start_simulator()
        fault = simulator.faults.add("connect-rejected", probability=0.5, seed=5)
        outcomes = []
        for number in range(8):
            stream: Publisher = publisher(simulator, f"s{number}", send_media=False)
            try:
                await stream.publish()
            except PublishRejected:
                outcomes.append(True)
            else:
                outcomes.append(False)
                await stream.close()
        assert fault.injected == sum(outcomes)
        return outcomes

    first = await suffer()
    assert first == await suffer()
    assert 0 < sum(first) < 8
