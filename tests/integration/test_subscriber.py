"""The headless subscriber, and with it playback of the simulator, with real media."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from smproxy.signaling import messages
from smproxy.simulator import Simulator
from smproxy.testing import (
    PublishError,
    SubscribeError,
    Subscriber,
    SubscribeRejected,
    SubscribeTimeout,
    frame_code,
    frame_number,
    stream_mark,
)
from smproxy.testing.peer import Peer
from smproxy.testing.subscriber_dialogue import Invoke
from websockets.asyncio.server import ServerConnection, serve

from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published

MakeSubscriber = Callable[..., Subscriber]


@pytest.fixture
async def subscriber() -> AsyncIterator[MakeSubscriber]:
    """Makes subscribers and closes them after the test."""
    made: list[Subscriber] = []

    def make(simulator: Simulator, stream: str = "s", **options: Any) -> Subscriber:
        options = {"params": {"customerScope": "acme"}, "timeout": scaled(10)} | options
        made.append(Subscriber(options.pop("url", simulator.url), stream=stream, **options))
        return made[-1]

    yield make
    await asyncio.gather(*(each.close() for each in made))


async def switched(simulator: Simulator, client: Subscriber) -> None:
    """Wait until a client is on its data channel, and until the origin knows it: what is said in between is lost."""
    attempts = simulator.manager.sessions.attempts
    await eventually(lambda: client.switched, 10)
    [attempt] = [each for each in attempts if each.params.id == client.request_id]
    await eventually(lambda: attempt.relay_ended, 10)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_sees_the_stream(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber, codec: Any
) -> None:
    """A subscriber decodes the publisher's own pictures, each number once and in order, and hears its sound."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, codec=codec, pattern="counter"))
    codes: list[Any] = []
    async with subscriber(simulator, on_picture=lambda frame: codes.append(frame_code(frame))) as watching:
        await watching.wait_for_frames(20)
        await watching.wait_for_frames(20, kind="audio")
        tracks = watching.statistics
        assert watching.subscribe_ms is not None
        assert watching.first_picture_ms is not None
    video, audio = tracks["video"], tracks["audio"]
    assert (video.codec, video.width, video.height, audio.codec) == (codec, 320, 240, "opus")
    assert video.packets >= video.frames >= video.decoded >= 20
    assert video.bytes > 0
    assert (video.lost, audio.lost) == (0, 0)
    numbers = [code.number for code in codes]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {code.mark for code in codes} == {stream_mark("s")}
    assert watching.ended_by == "client"


async def test_sees_only_its_own_stream(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """Of two streams each subscriber gets the one that it asked for."""
    simulator = await start_simulator()
    await asyncio.gather(*(published(simulator, publisher(simulator, name, pattern="counter")) for name in ("a", "b")))
    for name in ("a", "b"):
        async with subscriber(simulator, name) as watching:
            code = frame_code(await watching.wait_for_picture(frame_code))
            assert code is not None
            assert code.mark == stream_mark(name)
    assert stream_mark("a") != stream_mark("b")


async def test_five_at_once(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """Five subscribers of one stream see the same picture, whichever joins when, and one that leaves disturbs nobody."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, pattern="counter"))
    five = [subscriber(simulator) for _ in range(5)]
    await five[0].subscribe()
    await five[0].wait_for_frames(5)
    await asyncio.gather(*(each.subscribe() for each in five[1:]))
    assert len({each.request_id for each in five}) == 5
    first = frame_number(await five[0].wait_for_picture(frame_code))
    assert first is not None
    await asyncio.gather(*(each.wait_for_picture(lambda frame: (frame_number(frame) or 0) > first) for each in five))
    await five[0].close()
    await asyncio.gather(*(each.wait_for_frames(10) for each in five[1:]))
    assert [each.state for each in five] == ["closed", "live", "live", "live", "live"]


async def test_counts_without_decoding(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """Without decoding frames are counted, none is decoded, and there is no picture to have."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    async with subscriber(simulator, decode=False) as watching:
        await watching.wait_for_frames(10)
        assert watching.statistics["video"].frames >= 10
        assert watching.statistics["video"].decoded == 0
        with pytest.raises(SubscribeError, match="does not decode"):
            watching.picture_png()


async def test_picture_as_a_file(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """The last picture can be had as a PNG, and before there is one that is said."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    watching = subscriber(simulator)
    with pytest.raises(SubscribeError, match="no picture"):
        watching.picture_png()
    async with watching:
        await watching.wait_for_frames()
        assert watching.picture_png().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("switch_delay", [0.02, 60.0], ids=["data-channel", "socket"])
async def test_is_told_of_the_unpublish(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber, switch_delay: float
) -> None:
    """The end of the stream is told on either channel and ends a subscriber like that of SDK 11."""
    simulator = await start_simulator()
    stream = publisher(simulator)
    await published(simulator, stream)
    watching = subscriber(simulator, switch_delay=switch_delay)
    await watching.subscribe()
    await watching.wait_for_frames()
    if switch_delay < 1:
        await watching.wait_until(lambda: watching.switched)
    await stream.unpublish()
    async with asyncio.timeout(scaled(5)):
        await watching.closed.wait()
    assert watching.unpublished.is_set()
    assert (watching.ended_by, watching.close_reason) == ("server", "NetStream.Play.UnpublishNotify")


async def test_sees_a_stream_that_comes_back(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """A subscriber like that of SDK 7 stays when the stream is unpublished, and sees it when it is published again."""
    simulator = await start_simulator()
    first = publisher(simulator, pattern="counter")
    await published(simulator, first)
    async with subscriber(simulator, sdk=7) as watching:
        picture = await watching.wait_for_picture(lambda frame: (frame_number(frame) or 0) > 5)
        await first.unpublish()
        await watching.wait_until(watching.unpublished.is_set)
        assert watching.state == "live"
        await published(simulator, publisher(simulator, pattern="counter"))
        # The count begins anew, so what is seen is the second stream.
        before = frame_number(picture)
        assert before is not None
        await watching.wait_for_picture(lambda frame: (frame_number(frame) or before) < before)
        await watching.wait_for_frames(10)


async def test_is_counted_where_it_was_switched_to(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """A subscriber that is switched counts at the stream that it sees, and no more at the one that it asked for."""
    simulator = await start_simulator()
    sessions = simulator.manager.sessions
    await asyncio.gather(*(published(simulator, publisher(simulator, name)) for name in ("a", "b")))

    def counts() -> list[int]:
        return [len(sessions.watching("live", name)) for name in ("a", "b")]

    async with subscriber(simulator, "a") as watching:
        await watching.wait_for_frames()
        await eventually(lambda: counts() == [1, 0])
        assert await watching.call("switchStreams", {"path": "live/b"})
        await eventually(lambda: counts() == [0, 1])
    await eventually(lambda: counts() == [0, 0])


@pytest.mark.parametrize("switch_delay", [0.02, 60.0], ids=["data-channel", "socket"])
async def test_data_and_metadata(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber, switch_delay: float
) -> None:
    """What the publisher sends arrives as a call, and its mutes as the streaming mode, on either channel."""
    simulator = await start_simulator()
    stream = publisher(simulator)
    with pytest.raises(PublishError, match="not live but connecting"):
        stream.send("chat", "too early")
    await published(simulator, stream)
    async with subscriber(simulator, switch_delay=switch_delay) as watching:
        if switch_delay < 1:
            await switched(simulator, watching)
        stream.send("chat", {"text": "hello"})
        await watching.wait_until(lambda: watching.invokes)
        assert list(watching.invokes) == [Invoke("chat", {"text": "hello"})]
        stream.mute(video=True)
        await watching.wait_until(lambda: watching.streaming_mode == "Audio")
        stream.mute(audio=True)
        await watching.wait_until(lambda: watching.streaming_mode == "Empty")
        stream.mute(audio=False, video=False)
        await watching.wait_until(lambda: watching.streaming_mode == "Video/Audio")


@pytest.mark.parametrize("switch_delay", [0.02, 60.0], ids=["data-channel", "socket"])
async def test_calls_the_server(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber, switch_delay: float
) -> None:
    """A call returns what the server answers on the channel it was made on; an unknown method fails in its words."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    async with subscriber(simulator, switch_delay=switch_delay) as watching:
        if switch_delay < 1:
            await watching.wait_until(lambda: watching.switched)
        assert await watching.call("getLiveStreams") == ["s"]
        with pytest.raises(SubscribeError, match="no such method"):
            await watching.call("makeCoffee", 1, "two")
    with pytest.raises(SubscribeError, match="not live but closed"):
        await watching.call("getLiveStreams")


async def test_a_channel_that_opens_later_than_the_server_says(
    start_simulator: StartSimulator,
    publisher: MakePublisher,
    subscriber: MakeSubscriber,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client whose data channel opens after the time to switch to it, as on a busy machine, switches then."""
    make = Peer._open_channel

    def late(peer: Peer, label: str) -> None:
        make(peer, label)
        channel: Any = peer._channel
        become, later = channel._setReadyState, asyncio.get_running_loop().call_later
        channel._setReadyState = lambda state: later(0.3, become, state) if state == "open" else become(state)

    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    monkeypatch.setattr(Peer, "_open_channel", late)
    async with subscriber(simulator, switch_delay=0.02) as watching:
        await watching.wait_until(lambda: watching.switched)
        assert await watching.call("getLiveStreams") == ["s"]


async def test_what_the_publisher_mutes_is_not_passed_on(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """Muted media goes to no subscriber, old or new, although it is sent; afterwards both tracks go on (M8)."""
    simulator = await start_simulator()
    stream = publisher(simulator, pattern="counter")
    await published(simulator, stream)
    watching = subscriber(simulator)
    await watching.subscribe()
    await watching.wait_for_frames(5)
    stream.mute(video=True)
    await eventually(lambda: watching.streaming_mode == "Audio")
    await watching.wait_for_frames(watching.statistics["audio"].decoded + 10, kind="audio")
    before = watching.statistics["video"].packets
    sent = stream.statistics["video"].packets
    newcomer = subscriber(simulator)
    await newcomer.subscribe()
    await newcomer.wait_for_frames(20, kind="audio")
    await eventually(lambda: stream.statistics["video"].packets > sent)
    assert watching.statistics["video"].packets == before
    assert newcomer.statistics["video"].packets == 0
    stream.mute(video=False, audio=True)
    await newcomer.wait_for_picture()
    await watching.wait_for_frames(watching.statistics["video"].decoded + 5)
    heard = newcomer.statistics["audio"].packets
    await newcomer.wait_for_frames(10)
    assert newcomer.statistics["audio"].packets == heard


async def test_mutes_what_it_gets(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """A subscriber that mutes the video gets sound alone, and after standby both again."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    async with subscriber(simulator) as watching:
        await watching.wait_for_frames(3)
        watching.mute(video=True)
        with pytest.raises(SubscribeTimeout, match=r"\d+ of 1000 video frames came within"):
            await watching.wait_for_frames(1000, timeout=scaled(0.5))
        seen = watching.statistics["video"].decoded
        await watching.wait_for_frames(20, kind="audio")
        assert watching.statistics["video"].decoded == seen
        watching.standby()
        watching.standby(False)
        await watching.wait_for_frames(5)


async def test_waits_without_media(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """A stream that brings no media can be subscribed to, and whoever waits is woken by the signaling alone."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator, send_media=False))
    async with subscriber(simulator, switch_delay=0.02) as watching:
        await watching.wait_until(lambda: watching.switched)
        with pytest.raises(SubscribeTimeout, match=r"0 of 1 video frames came within 0\.05 s"):
            await watching.wait_for_frames(timeout=0.05)
    assert all(track.packets == 0 for track in watching.statistics.values())


async def test_no_such_stream(start_simulator: StartSimulator, subscriber: MakeSubscriber) -> None:
    """A stream that nobody publishes is refused as the SDK refuses it, and without the question by the server's error."""
    simulator = await start_simulator()
    watching = subscriber(simulator)
    with pytest.raises(SubscribeRejected) as refusal:
        await watching.subscribe()
    assert (refusal.value.code, refusal.value.message) == ("Subscribe.InvalidName", "Stream s does not exist.")
    with pytest.raises(SubscribeRejected, match="Stream s does not exist"):
        await subscriber(simulator, bypass_available=True).subscribe()
    with pytest.raises(SubscribeError, match="used once"):
        await watching.subscribe()


async def test_refused_parameters(start_simulator: StartSimulator, subscriber: MakeSubscriber) -> None:
    """Parameters that the stream manager does not accept refuse a subscriber with the code and the reason."""
    simulator = await start_simulator(customer_scope="required")
    with pytest.raises(SubscribeRejected) as refusal:
        await subscriber(simulator, params={}).subscribe()
    assert refusal.value.code == messages.CONNECT_REJECTED
    assert "customerScope" in refusal.value.message


async def test_the_end_of_the_server(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """A server that stops ends the subscriber, and whoever waits for a picture is told why there is none."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    watching = subscriber(simulator)
    await watching.subscribe()
    await watching.wait_for_frames()
    waiting = asyncio.ensure_future(watching.wait_for_frames(10_000))
    await simulator.stop()
    with pytest.raises(SubscribeError, match=r"the stream ended, \d+ of 10000 video frames came"):
        await waiting
    assert watching.ended_by == "server"


async def test_leaves_nothing_behind(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """After the end no task and no decoder's thread of the subscriber is left."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))

    def tasks() -> list[str]:
        return sorted(name for task in asyncio.all_tasks() if "ubscrib" in (name := task.get_coro().__qualname__))

    before, threads = tasks(), threading.active_count()
    async with subscriber(simulator) as watching:
        await watching.wait_for_frames(3)
        assert "SubscribingPeer._read" in tasks()
        assert threading.active_count() == threads + 2
    assert "SubscribingPeer._read" not in tasks()
    await eventually(lambda: tasks() == before)
    assert threading.active_count() == threads


async def test_a_picture_callback_that_fails(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """An exception in on_picture is not lost: it ends the subscriber with its words."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))

    def fail(_: Any) -> None:
        raise KeyError("oops")

    watching = subscriber(simulator, on_picture=fail)
    await watching.subscribe()
    async with asyncio.timeout(scaled(10)):
        await watching.closed.wait()
    assert "on_picture raised KeyError: 'oops'" in watching.close_reason


async def test_vanishes_without_a_goodbye(
    start_simulator: StartSimulator, publisher: MakePublisher, subscriber: MakeSubscriber
) -> None:
    """A switched subscriber whose network is gone says nothing more and gets nothing more."""
    simulator = await start_simulator()
    await published(simulator, publisher(simulator))
    watching = subscriber(simulator, switch_delay=0.02)
    await watching.subscribe()
    await watching.wait_until(lambda: watching.switched)
    await watching.wait_for_frames()
    watching.vanish()
    assert watching.closed.is_set()
    assert watching.ended_by == "client"
    await watching.close()


async def test_silence_and_a_bare_close() -> None:
    """A bare close is a SubscribeError at once, silence a SubscribeTimeout that says what was waited for."""

    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async def closing(socket: ServerConnection) -> None:
        await socket.close(1011, "oops")

    async with serve(silent, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"
        with pytest.raises(SubscribeTimeout, match=r"no NetConnection\.Connect\.Success within"):
            await Subscriber(url, stream="s", timeout=0.1).subscribe()
    async with serve(closing, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"
        with pytest.raises(SubscribeError, match="1011 oops"):
            await Subscriber(url, stream="s").subscribe()


async def test_an_offer_that_cannot_be_used() -> None:
    """An offer that is no SDP, and one without a codec that is known, are SubscribeErrors that say so."""
    nothing = (
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 99\r\na=rtpmap:99 AV9/90000\r\n"
    )

    async def handle(socket: ServerConnection) -> None:
        await socket.send(messages.connect_status(messages.CONNECT_SUCCESS))
        await socket.recv()
        await socket.send(messages.availability(True))
        await socket.recv()
        await socket.send('{"data":{"sdp":{"type":"offer","sdp":' + repr(nothing).replace("'", '"') + "}}}")
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"
        with pytest.raises(SubscribeError, match="offer cannot be used"):
            await Subscriber(url, stream="s").subscribe()


async def test_nobody_listens() -> None:
    """A server that is not there is a SubscribeError that names host and port, and not the parameters."""
    watching = Subscriber("ws://127.0.0.1:1/live", stream="s", params={"password": "geheim"})
    with pytest.raises(SubscribeError, match=r"cannot connect to 127\.0\.0\.1:1") as refusal:
        await watching.subscribe()
    assert "geheim" not in str(refusal.value) + repr(watching)
    await eventually(lambda: watching.state == "closed")
