"""How subscriptions are refused and how they end, with real peer connections on both sides."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from smproxy.signaling.node_channel import (
    AttemptFailed,
    Drain,
    Evict,
    Kick,
    LocalTrackDetached,
    PeerEnded,
)
from smproxy.signaling.payloads import ConnectError, Reason

from tests.helpers import eventually, scaled
from tests.integration.origin_client import client, running
from tests.integration.origin_viewer import on_air, viewer

UNPUBLISH_NOTIFY = "NetStream.Play.UnpublishNotify"


def code_of(task: asyncio.Task[Any]) -> str:
    """Name the file of a task's coroutine."""
    return str(getattr(getattr(task.get_coro(), "cr_code", None), "co_filename", ""))


async def test_a_codec_that_cannot_be_taken_is_refused_with_a_reason() -> None:
    """A rejected video section ends the attempt, and the client is told which codec it was."""
    async with on_air() as (origin, reports, _), viewer(origin) as subscriber:
        offer = await subscriber.ask("s1")
        await subscriber.answer("s1", offer, lambda sdp: sdp.replace(*_port(sdp)))
        error = await subscriber.hear(lambda each: each.get("data", {}).get("type") == "error")
        assert "does not take VP8 video" in error["data"]["message"]
        assert await reports.until("AttemptFailed", "b1") == AttemptFailed("b1", ConnectError.REJECTED)
        await subscriber.say(subscribe="s1")
        await eventually(lambda: subscriber.heard[-1]["data"]["message"] == "This connection is over.")


def _port(sdp: str) -> tuple[str, str]:
    line = next(each for each in sdp.splitlines() if each.startswith("m=video"))
    return line, " ".join(["m=video", "0", *line.split()[2:]])


async def test_an_answer_that_is_none_is_refused() -> None:
    """A malformed answer ends the attempt as invalid SDP, in words."""
    async with on_air() as (origin, reports, _), viewer(origin) as subscriber:
        await subscriber.ask("s1")
        await subscriber.say(handleAnswer="s1", data={"sdp": {"type": "answer", "sdp": "v=0\r\nm=audio 9 x 0\r\n"}})
        error = await subscriber.hear_code("NetStream.Play.InvalidSDP")
        assert error["data"]["message"].startswith("The answer has other media sections")
        assert await reports.until("AttemptFailed", "b1") == AttemptFailed("b1", ConnectError.INVALID_SDP)


async def test_what_does_not_exist_is_refused() -> None:
    """isAvailable is false for a name that is only claimed or unknown; an offer of it is declined, the attempt rejected."""
    async with running() as (origin, reports), client(origin) as publisher, viewer(origin) as subscriber:
        await publisher.offer("s1")
        await publisher.accept()
        await subscriber.say(isAvailable="s1")
        assert (await subscriber.hear(lambda each: "isAvailable" in each))["isAvailable"] is False
        await subscriber.say(requestOffer="s1", requestId="x", transport="udp")
        await subscriber.hear_code("NetStream.Play.StreamNotFound")
        assert await reports.until("AttemptFailed", "b1") == AttemptFailed("b1", ConnectError.REJECTED)


async def test_a_kick_before_the_switch_closes_the_socket_and_after_it_is_said_on_the_channel() -> None:
    """A kicked subscriber notices on its transport; the publisher and the other subscriber go on."""
    async with on_air() as (origin, reports, _), viewer(origin) as first, viewer(origin, attempt="b2") as second:
        await first.watch("s1")
        await second.watch("s1", data=True)
        await second.switch()
        await eventually(lambda: origin._attempts["b2"].role.signaling.switched)
        origin.command(Kick("b1"))
        assert reports.of("b1")[-1] == PeerEnded("b1", Reason.KICKED, False)
        await eventually(lambda: first.socket.close_code is not None)
        origin.command(Kick("b2"))
        assert reports.of("b2")[-3:] == [
            LocalTrackDetached("b2", 0),
            LocalTrackDetached("b2", 1),
            PeerEnded("b2", Reason.KICKED, False),
        ]
        await eventually(
            lambda: {"data": {"type": "status", "code": "NetConnection.Connect.Closed"}} in second.heard_on_channel
        )
        await eventually(lambda: second.pc.connectionState == "closed")
        assert "PeerEnded" not in reports.kinds("a1")


async def test_an_evicted_subscriber_goes_without_a_word() -> None:
    """Evict reports nothing more of the attempt."""
    async with on_air() as (origin, reports, _), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        known = len(reports.of("b1"))
        origin.command(Evict("b1"))
        await eventually(lambda: subscriber.socket.close_code is not None)
        assert len(reports.of("b1")) == known


async def test_a_draining_origin_takes_no_new_subscriber() -> None:
    """Drain refuses an offer in words; who watches already goes on."""
    async with on_air() as (origin, reports, _), viewer(origin) as first, viewer(origin, attempt="b2") as second:
        await first.watch("s1")
        origin.command(Drain())
        await second.say(requestOffer="s1", requestId="x", transport="udp")
        await second.hear_code("NetStream.Play.Denied")
        assert await reports.until("AttemptFailed", "b2") == AttemptFailed("b2", ConnectError.REJECTED)
        await first.more("video")


async def test_an_offer_that_is_not_answered_times_out() -> None:
    """Who never answers is told, and the attempt fails by time-out; so does an answer without a transport."""
    async with on_air(connect_timeout=0.4) as (origin, reports, _), viewer(origin) as subscriber:
        await subscriber.ask("s1")
        await subscriber.hear_code("NetStream.Play.Failed")
        assert await reports.until("AttemptFailed", "b1") == AttemptFailed("b1", ConnectError.TIMEOUT)
        await eventually(lambda: subscriber.socket.close_code is not None)


async def test_a_subscriber_that_reads_nothing_harms_nobody() -> None:
    """Many messages to a subscriber whose socket is full are dropped, and neither memory nor the publisher suffers."""
    async with on_air() as (origin, reports, publisher), viewer(origin) as deaf, viewer(origin, attempt="b2") as other:
        await deaf.watch("s1")
        await other.watch("s1")
        deaf.socket.transport.pause_reading()
        session = origin._attempts["b1"]
        writing = session._channel._channel._transport
        with contextlib.suppress(AssertionError):  # how much a system's buffers take is its own affair
            for _ in range(20):
                for _ in range(40):
                    await publisher.say(send={"method": "m", "data": {"x": "y" * 15_000}})
                if writing.get_write_buffer_size() > writing.get_write_buffer_limits()[1]:
                    break
                await eventually(lambda: False, 0.3)
        assert session._channel._unsent <= 256
        assert len(origin.services.tasks) <= 300
        await other.more("video")
        deaf.socket.transport.resume_reading()
        assert "PeerEnded" not in reports.kinds("a1")


async def test_stop_leaves_nothing() -> None:
    """Stop ends watching, switched and unfinished subscribers with its reason, and leaves no task and no socket."""
    before = len(asyncio.all_tasks())
    async with (
        on_air() as (origin, reports, _),
        viewer(origin) as watching,
        viewer(origin, attempt="b2") as switched,
        viewer(origin, attempt="b3") as unfinished,
    ):
        await watching.watch("s1")
        await switched.watch("s1", data=True)
        await switched.switch()
        await unfinished.ask("s1")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await origin.stop(Reason.NODE_SHUTDOWN)
        assert loop.time() - began < scaled(1)
        for attempt in ("b1", "b2"):
            assert reports.of(attempt)[-1] == PeerEnded(attempt, Reason.NODE_SHUTDOWN, False)
        assert reports.of("b3")[-1] == AttemptFailed("b3", ConnectError.ORIGIN_ERROR)
        assert len(origin.services.tasks) == 0
        assert not [task for task in asyncio.all_tasks() if "/smproxy/origin/" in code_of(task)]
        assert origin.services.streams._watchers == {}
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
