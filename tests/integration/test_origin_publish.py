"""A publisher's life at the origin, with a real peer connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import Any

import pytest
from smproxy.signaling.node_channel import (
    AttemptFailed,
    Drain,
    Evict,
    Kick,
    Load,
    PeerEnded,
    StreamStarted,
    TrackStatistics,
)
from smproxy.signaling.payloads import ConnectError, Reason
from websockets.exceptions import ConnectionClosed

from tests.helpers import eventually, scaled
from tests.integration.origin_client import Client, client, running
from tests.integration.origin_viewer import viewer


def code_of(task: asyncio.Task[Any]) -> str:
    """Name the file of a task's coroutine."""
    return str(getattr(getattr(task.get_coro(), "cr_code", None), "co_filename", ""))


LIFE = {"StreamStarted", "TransportUp", "TrackStarted", "TrackEnded", "PeerEnded"}


async def test_a_publish_is_answered_and_reported_in_order() -> None:
    """Answer, one TrickleCompleted, starting, IsAvailable; and reports from the stream's start to its end in order."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.say(isAvailable="s1", bundle=True)
        assert (await publisher.hear(lambda each: "isAvailable" in each))["isAvailable"] is False
        await publisher.publish("s1")
        await publisher.hear_code("NetStream.Publish.IsAvailable")
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        await publisher.say(unpublish="s1")
        await publisher.hear(lambda each: each.get("data", {}).get("message") == "s1 stopping")
        ended = await reports.until("PeerEnded")

    assert ended == PeerEnded("a1", Reason.USER_ACTION, False)
    kinds = reports.kinds()
    assert set(kinds) == LIFE
    assert kinds.index("TransportUp") < kinds.index("TrackStarted")
    assert kinds.count("TrackEnded") == 2
    assert kinds[-1] == "PeerEnded"
    assert publisher.codes().count("NetConnection.ICE.TrickleCompleted") == 1
    assert "message" not in publisher.heard[0]["data"]
    assert StreamStarted("a1", "s1", "live", "live") in reports


async def test_statistics_have_what_came() -> None:
    """Each track counts packets, bytes, frames, key frames and the picture's size, once a second and at the end."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1")
        await eventually(lambda: len(origin.statistics()) == 2)
        await eventually(lambda: sum(isinstance(each, TrackStatistics) for each in reports) >= 2)
        await publisher.say(unpublish="s1")
        await reports.until("PeerEnded")
        assert origin.statistics() == []

    last = {each.track: each for each in reports if isinstance(each, TrackStatistics)}
    video, audio = last["video_main"], last["audio_main"]
    assert (video.codec, audio.codec) == ("VP8", "opus")
    assert (video.width, video.height) == (160, 120)
    assert video.key_frames >= 1
    assert video.packets >= video.frames > 5
    assert audio.packets > 10
    assert audio.bytes > audio.packets
    assert video.lost == audio.lost == 0


@pytest.mark.parametrize("tracks", [{"video": False}, {"audio": False}, {"audio": False, "video": False, "data": True}])
async def test_one_kind_is_enough(tracks: dict[str, bool]) -> None:
    """Audio alone, video alone and a data channel alone are streams that become available."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", **tracks)
        await publisher.hear_code("NetStream.Publish.IsAvailable")
        await reports.until("TransportUp")
        assert reports.kinds().count("TrackStarted") <= 1


async def test_the_stream_lives_on_after_the_switch() -> None:
    """After switchChannel the socket's end is no end; unpublish and tickets are answered on the data channel."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", data=True)
        await publisher.switch()
        publisher.channel.send(json.dumps({"callAdapter": {"method": "x"}, "id": "9f3a", "async": True}))
        await eventually(lambda: publisher.heard_on_channel)
        assert publisher.heard_on_channel[0]["id"] == "9f3a"
        assert "PeerEnded" not in reports.kinds()
        publisher.channel.send(json.dumps({"unpublish": "s1"}, indent=2))
        await eventually(lambda: len(publisher.heard_on_channel) == 2)
        assert publisher.heard_on_channel[1]["data"]["message"] == "s1 stopping"
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, False)
    codes = publisher.codes()
    assert codes.index("NetStream.Publish.Start") < codes.index("NetConnection.DataChannel.Available")


async def test_a_closed_socket_without_a_switch_ends_the_stream() -> None:
    """A clean close is the user's doing and no loss; the name is free at once."""
    async with running() as (origin, reports):
        async with client(origin) as publisher:
            await publisher.publish("s1", data=True)
            await reports.until("TransportUp")
            await publisher.socket.close()
            assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, False)
        async with client(origin, attempt="a2") as other:
            await other.say(isAvailable="s1", bundle=True)
            assert (await other.hear(lambda each: "isAvailable" in each))["isAvailable"] is False


async def test_a_broken_socket_is_a_loss() -> None:
    """A socket that breaks without a close frame ends the stream as lost."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1")
        await reports.until("TransportUp")
        publisher.socket.transport.abort()
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, True)


async def test_a_closed_peer_connection_is_noticed_at_once() -> None:
    """After the switch, DTLS close_notify ends the stream without waiting for the watchdog."""
    async with running(media_gap=30, media_timeout=60) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", data=True)
        await publisher.switch()
        await publisher.pc.close()
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, False)


async def test_a_vanished_client_is_a_gap_and_then_lost() -> None:
    """Without any packet there is first a MediaGap, then the end by time-out, and the name is free."""
    async with running(media_gap=0.4, media_timeout=1.2) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", data=True)
        await publisher.switch()
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        publisher.vanish()
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.TIMEOUT, True)
        assert reports.kinds()[-4:] == ["MediaGap", "TrackEnded", "TrackEnded", "PeerEnded"]
        assert len(origin.services.streams) == 0


async def test_packets_after_a_gap_bring_the_stream_back() -> None:
    """A pause longer than the gap and shorter than the time-out is MediaGap, then MediaBack, and no end."""
    async with running(media_gap=0.4, media_timeout=20) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1")
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        thaw = publisher.freeze()
        await reports.until("MediaGap")
        thaw()
        await reports.until("MediaBack")
        assert "PeerEnded" not in reports.kinds()


async def test_a_silent_but_living_client_shows_no_gap() -> None:
    """A client that sends no media is probed, and its answers count: no MediaGap over many gaps' length."""
    async with running(media_gap=0.2, media_timeout=1.0) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", audio=False, video=False, data=True)
        await reports.until("TransportUp")
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.5
        await eventually(lambda: loop.time() > until)
        assert "MediaGap" not in reports.kinds()
        assert "PeerEnded" not in reports.kinds()


async def test_a_taken_name_is_said_and_the_socket_closed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """isAvailable is true for another publisher, the attempt fails, and the origin closes the socket after a grace."""
    monkeypatch.setattr("smproxy.origin.client_session.GRACE", 0.2)
    async with running() as (origin, reports), client(origin) as first, client(origin, attempt="a2") as second:
        await first.publish("s1")
        await second.say(isAvailable="s1", bundle=False)
        assert (await second.hear(lambda each: "isAvailable" in each))["isAvailable"] is True
        assert await reports.until("AttemptFailed", "a2") == AttemptFailed("a2", ConnectError.NAME_IN_USE)
        await eventually(lambda: second.socket.close_code is not None)
        await first.say(isAvailable="s1", bundle=True)
        assert (await first.hear(lambda each: "isAvailable" in each))["isAvailable"] is False
        assert "PeerEnded" not in reports.kinds("a1")


async def test_a_name_is_claimed_by_the_offer() -> None:
    """Of two publishers that skip isAvailable the second offer is refused in words; another scope has its own names."""
    async with (
        running() as (origin, reports),
        client(origin) as first,
        client(origin, attempt="a2") as second,
        client(origin, attempt="a3", scope="live/other") as elsewhere,
    ):
        await first.offer("s1")
        await first.accept()
        await second.offer("s1")
        await second.hear(lambda each: "already has a broadcast session" in each.get("data", {}).get("message", ""))
        assert await reports.until("AttemptFailed", "a2") == AttemptFailed("a2", ConnectError.NAME_IN_USE)
        await elsewhere.publish("s1")
        assert StreamStarted("a3", "s1", "live/other", "live") in reports


async def test_a_kick_before_the_switch_closes_the_socket() -> None:
    """A kicked client on the socket loses it; the end is reported at once with the reason of the kick."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1")
        await reports.until("TransportUp")
        origin.command(Kick("a1"))
        assert reports.of()[-1] == PeerEnded("a1", Reason.KICKED, False)
        assert len(origin.services.streams) == 0
        await eventually(lambda: publisher.socket.close_code is not None)


async def test_a_kick_after_the_switch_is_said_on_the_channel() -> None:
    """A kicked client on the data channel hears Connect.Closed, its unpublish is answered, and the peer is closed."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", data=True)
        await publisher.switch()
        origin.command(Kick("a1"))
        assert reports.of()[-1] == PeerEnded("a1", Reason.KICKED, False)
        await eventually(lambda: publisher.heard_on_channel)
        assert publisher.heard_on_channel[0]["data"] == {"type": "status", "code": "NetConnection.Connect.Closed"}
        publisher.channel.send(json.dumps({"unpublish": "s1"}))
        await eventually(lambda: len(publisher.heard_on_channel) == 2)
        await eventually(lambda: publisher.pc.connectionState == "closed")
        assert reports.kinds().count("PeerEnded") == 1


async def test_an_evicted_peer_goes_without_a_word() -> None:
    """Evict frees the name at once; nothing more is reported of the attempt."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1")
        await reports.until("TransportUp")
        origin.command(Evict("a1"))
        assert len(origin.services.streams) == 0
        await eventually(lambda: publisher.socket.close_code is not None)
        assert not {"PeerEnded", "AttemptFailed"} & set(reports.kinds())
    assert not {"PeerEnded", "AttemptFailed"} & set(reports.kinds())


async def test_a_draining_origin_takes_no_offer_and_keeps_what_it_has() -> None:
    """Drain refuses a new offer in words; a live stream goes on; drain can be taken back."""
    async with (
        running() as (origin, reports),
        client(origin) as first,
        client(origin, attempt="a2") as second,
        client(origin, attempt="a3") as third,
    ):
        await first.publish("s1")
        origin.command(Drain())
        await second.offer("s2")
        await second.hear(lambda each: each.get("data", {}).get("type") == "error")
        assert await reports.until("AttemptFailed", "a2") == AttemptFailed("a2", ConnectError.REJECTED)
        origin.command(Drain(False))
        await third.publish("s3")
        assert "PeerEnded" not in reports.kinds("a1")


async def test_an_offer_without_a_transport_times_out() -> None:
    """When ICE never comes up the client is told, the attempt fails by time-out and the socket is closed."""
    async with running(connect_timeout=0.3) as (origin, reports), client(origin) as publisher:
        await publisher.offer("s1")
        await publisher.hear_code("NetStream.Publish.Failed")
        assert await reports.until("AttemptFailed") == AttemptFailed("a1", ConnectError.TIMEOUT)
        await eventually(lambda: publisher.socket.close_code is not None)
        assert len(origin.services.streams) == 0


async def test_publish_may_name_another_stream() -> None:
    """The name of publish counts when it is free, and the name of the offer is given back."""
    async with running() as (origin, reports), client(origin) as publisher, client(origin, attempt="a2") as other:
        await publisher.offer("s1")
        await publisher.accept()
        await publisher.say(publish="s9", mode="record")
        await publisher.hear(lambda each: each.get("data", {}).get("message") == "s9 starting")
        assert StreamStarted("a1", "s9", "live", "record") in reports
        await other.publish("s1")


async def test_publish_under_a_taken_name_is_a_name_in_use() -> None:
    """A publish that changes to a taken name before the transport is up fails as name in use, and frees its first name."""
    async with running() as (origin, reports), client(origin) as first, client(origin, attempt="a2") as second:
        await first.publish("s1")
        await second.offer("s2")
        await second.hear_code("NetConnection.ICE.TrickleCompleted")
        await second.say(publish="s1", mode="live")
        await second.hear_code("NetStream.Publish.BadName")
        assert await reports.until("AttemptFailed", "a2") == AttemptFailed("a2", ConnectError.NAME_IN_USE)
        assert len(origin.services.streams) == 1
        await second.say(unpublish="s1")
        await second.hear_code("NetStream.Unpublish.Success")
    assert reports.kinds("a2") == ["AttemptFailed"]


async def test_stop_leaves_nothing() -> None:
    """Stop ends live, unfinished and switched sessions with its reason, and leaves no task and no thread."""
    before, threads = len(asyncio.all_tasks()), set(threading.enumerate())
    async with (
        running() as (origin, reports),
        client(origin) as live,
        client(origin, attempt="a2") as switched,
        client(origin, attempt="a3"),
        client(origin, attempt="a4") as offered,
    ):
        await live.publish("s1")
        await switched.publish("s2", data=True)
        await switched.switch()
        await offered.offer("s4")
        await reports.until("TransportUp")
        await offered.hear(lambda each: "sdp" in each.get("data", {}))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await origin.stop(Reason.ORIGIN_LOST)
        assert loop.time() - began < scaled(1)
        assert not [task for task in asyncio.all_tasks() if "/smproxy/origin/" in code_of(task)]
        assert reports.of("a1")[-1] == PeerEnded("a1", Reason.ORIGIN_LOST, False)
        assert reports.of("a2")[-1] == PeerEnded("a2", Reason.ORIGIN_LOST, False)
        assert reports.of("a3") == [AttemptFailed("a3", ConnectError.ORIGIN_ERROR)]
        assert reports.of("a4")[-1] == AttemptFailed("a4", ConnectError.ORIGIN_ERROR)
        assert len(origin.services.tasks) == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
    started = {each for each in threading.enumerate() if each not in threads}
    assert all(each.name.startswith("asyncio_") for each in started)  # the client's encoder pool


async def test_each_attempt_ends_exactly_once() -> None:
    """Whatever way an attempt goes, its end is reported exactly once."""
    async with running() as (origin, reports):
        async with client(origin, attempt="a1") as publisher:
            await publisher.publish("s1")
            await reports.until("TransportUp")
            await publisher.say(unpublish="s1")
            origin.command(Kick("a1"))
        async with client(origin, attempt="a2") as publisher:
            await publisher.offer("s2")
            await publisher.say(unpublish="s2")
            await publisher.hear(lambda each: each.get("data", {}).get("message") == "s2 stopping")
        async with client(origin, attempt="a3") as publisher:
            pass
        await eventually(lambda: reports.kinds("a3"))
    for attempt, kind in (("a1", "PeerEnded"), ("a2", "AttemptFailed"), ("a3", "AttemptFailed")):
        ends: list[Any] = [each for each in reports.kinds(attempt) if each in ("PeerEnded", "AttemptFailed")]
        assert ends == [kind]


async def test_load_follows_the_number_of_publishers() -> None:
    """Load is reported at the start and at each change."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1")
        await publisher.say(unpublish="s1")
        await eventually(lambda: [each for each in reports if isinstance(each, Load)][-1] == Load(0))
        assert [each.publishers for each in reports if isinstance(each, Load)] == [0, 1, 0]


async def test_an_h264_publish_is_taken_when_it_is_wished_for() -> None:
    """With videoEncoding H264 the answer has H264 only, and key frames and size are read from it."""
    async with running() as (origin, _), client(origin) as publisher:
        await publisher.offer("s1", audio=False, videoEncoding="H264")
        answer = await publisher.accept()
        assert "VP8" not in answer
        await publisher.say(publish="s1", mode="live")
        await eventually(lambda: any(each.key_frames and each.width for each in origin.statistics()))
        video = origin.statistics()[0]
        assert (video.codec, video.width, video.height) == ("H264", 160, 120)


async def test_stop_does_not_wait_for_clients_that_do_not_answer() -> None:
    """A connection without an upgrade request and a client that ignores the close do not hold up the stop."""
    async with running(open_to_all=True) as (origin, _):
        _, idle = await asyncio.open_connection("127.0.0.1", origin.hello.port)
        reader, deaf = await asyncio.open_connection("127.0.0.1", origin.hello.port)
        deaf.write(
            b"GET /live/?id=s1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"Connect.Success")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await origin.stop()
        assert loop.time() - began < scaled(1)
        for writer in (idle, deaf):
            writer.close()


async def test_stop_does_not_wait_for_clients_that_have_vanished() -> None:
    """Neither a switched publisher without a network, nor a client that reads none of its many replies, holds up the stop."""
    async with running() as (origin, reports), client(origin) as switched, client(origin, attempt="a2") as deaf:
        await switched.publish("s1", data=True)
        await switched.switch()
        await reports.until("TransportUp")
        switched.vanish()
        deaf.socket.transport.pause_reading()
        asking = asyncio.create_task(ask_without_end(deaf))
        session = next(each for each in origin._sessions if each.attempt == "a2")
        writing = session._channel._channel._transport
        # Above this mark the origin waits for its client; how much above depends on the system's socket buffers.
        await eventually(lambda: writing.get_write_buffer_size() > writing.get_write_buffer_limits()[1])
        loop = asyncio.get_running_loop()
        began = loop.time()
        await origin.stop()
        assert loop.time() - began < scaled(1)
        await asking
        assert reports.of("a1")[-1] == PeerEnded("a1", Reason.NODE_SHUTDOWN, False)
        assert not [task for task in asyncio.all_tasks() if "/smproxy/origin/" in code_of(task)]


async def ask_without_end(deaf: Client) -> None:
    """Send what has long replies until the connection is cut."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await deaf.say(unpublish="x" * 100_000)


async def test_a_stream_named_by_a_number_is_published_and_watched() -> None:
    """S1: numbers as names and numeric text as numbers, from the offer to unpublish on the data channel."""
    async with running() as (origin, reports), client(origin, id="4711") as publisher:
        await publisher.say(isAvailable=4711, bundle="true")
        await publisher.hear(lambda each: each.get("isAvailable") is False)
        await publisher.offer(4711, audio=False, data=True)  # type: ignore[arg-type]
        await publisher.accept()
        await publisher.say(publish=4711, mode="live", keyFramerate="3000")
        await publisher.hear(lambda each: each.get("data", {}).get("message") == "4711 starting")
        await reports.until("TrackStarted")
        async with viewer(origin) as watching:
            await watching.say(isAvailable=4711)
            await watching.hear(lambda each: each.get("isAvailable") is True)
            await watching.watch(4711)  # type: ignore[arg-type]
            await watching.more("video")
        await publisher.switch()
        publisher.channel.send(json.dumps({"mute": {"muteVideo": "true"}}))
        publisher.channel.send(json.dumps({"unpublish": 4711}))
        await eventually(lambda: any("4711 stopping" in str(each) for each in publisher.heard_on_channel))
        await reports.until("PeerEnded")


async def test_a_name_that_is_no_name_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """S1: an object as a name is answered with an error, the attempt is rejected, and the socket closed after a grace."""
    monkeypatch.setattr("smproxy.origin.client_session.GRACE", 0.1)
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.say(isAvailable={"name": "s1"}, bundle=True)
        error = await publisher.hear(lambda each: each.get("data", {}).get("type") == "error")
        assert error["data"]["message"] == 'isAvailable: "isAvailable" must be text, not an object.'
        assert await reports.until("AttemptFailed") == AttemptFailed("a1", ConnectError.REJECTED)
        await eventually(lambda: publisher.socket.close_code is not None)
