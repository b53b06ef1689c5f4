"""One publisher, told in every format by a whole simulator."""

from __future__ import annotations

from pathlib import Path

import pytest
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator
from tests.integration.lives import check_whole_life, story
from tests.nats_server import nats_server

ENDED = ["connection-disconnect", "stream-unpublished"]


def words(receiver: WebhookReceiver) -> list[str]:
    """Return what a Red5 receiver was told, in the order of arrival."""
    return [hook.event["event"] for hook in receiver.hooks]


def told(receiver: WebhookReceiver, state: str) -> int:
    """Count the events of one kind."""
    return sum(hook.state == state for hook in receiver.hooks)


@pytest.mark.parametrize("data_channel", [True, False], ids=["switching", "on the socket"])
async def test_a_red5_back_end_is_told_in_the_documented_order(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher, data_channel: bool
) -> None:
    """Red5's webhooks of a real publisher come in the documented order, whether or not it leaves its socket."""
    simulator = await start_simulator(hook_uri=(receiver.url,), hook_format=("red5",), hook_secret=("plain",))
    stream = publisher(simulator, "cam-1", data_channel=data_channel, switch_delay=0.1)
    await stream.publish()
    await eventually(lambda: "video-started" in words(receiver), 10)
    if data_channel:
        await eventually(lambda: "websocket-disconnect" in words(receiver), 10)
    await stream.unpublish()
    await stream.close()
    await eventually(lambda: len(receiver.hooks) == 7, 10)
    order = words(receiver)
    assert order[:3] == ["websocket-connect", "connection-connect", "stream-published"]
    rest = [word for word in order[3:] if word != "websocket-disconnect"]
    assert rest == ["video-started", *ENDED]
    if data_channel:
        assert order[-2:] == ENDED, "the socket was left while the stream lived"
    hooks = {hook.event["event"]: hook for hook in receiver.hooks}
    assert hooks["stream-published"].event["guid"] == hooks["video-started"].event["guid"] == "live/cam-1"
    assert hooks["connection-connect"].event["guid"] == hooks["websocket-disconnect"].event["guid"]
    assert all("webhook-signature" in hook.headers for hook in receiver.hooks)


async def test_every_other_receiver_is_told_the_same_life(
    tmp_path: Path, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Our envelope, CloudEvents and NATS tell the same events to the byte, without those that only Red5 knows."""
    async with nats_server(tmp_path) as server, WebhookReceiver() as own, WebhookReceiver() as cloud:
        simulator = await start_simulator(
            hook_uri=(own.url, cloud.url, server.url), hook_format=("envelope", "cloudevents", "envelope")
        )
        stream = publisher(simulator, "cam-1", params={"customerScope": "a.b"}, switch_delay=0.1)
        await stream.publish()
        await eventually(lambda: told(own, "remote_track_started") == 2, 10)
        await stream.unpublish()
        await eventually(lambda: told(own, "disconnected"), 10)
        await eventually(lambda: len(cloud.hooks) == len(own.hooks), 10)
        await simulator.stop()
        check_whole_life(story(own))
        stored = await server.messages("hooks")
        assert [body for _, _, body in stored] == [hook.body for hook in own.hooks]
        assert {subject.split(".")[1] for subject, _, _ in stored} == {"a%2Eb"}
        assert all(ours.body in theirs.body for ours, theirs in zip(own.hooks, cloud.hooks, strict=True))
