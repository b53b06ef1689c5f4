"""What a subscriber costs: this origin's forwarding beside aiortc's stock MediaRelay, on this machine, now.

    python bench/subscribers.py [--rounds 3] [--seconds 4]

One publisher sends 640x480 VP8 at 30 frames/s and 1.7 Mbit/s, and Opus. Each way of serving runs in a process of its own on
the first core; publisher and subscribers share the second. In each round every way is set up and measured once, one after
the other, so that what the machine does meanwhile hits all of them; ratios are taken within a round. Ways:

    product   the origin's own peers, as its sessions use them: ICE, DTLS, SRTP and RTCP both ways, packets passed on
    relay     aiortc as its examples have it: RTCPeerConnection, MediaRelay.subscribe, addTrack; decodes once, encodes for each

Signaling is a pipe, since it costs nothing once media flows. The subscribers are aiortc peers that receive, answer with RTCP
and decode nothing. Figures are CPU time of the serving process, threads included: first with the publisher alone, then with
its subscribers. The difference, for each video frame that reached a subscriber (its sound included), times 30 is the cost of a
stream for a second; subscribers per core follow from it and are an extrapolation. Absolute figures mean nothing on another
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import os
import random
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from functools import cache
from multiprocessing.connection import Connection as Pipe
from typing import Any

import av
import av.filter
import machine
import uvloop
from aiortc import RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError
from av.video.frame import PictureType
from results import Figure, Results
from smproxy.log_fields import about
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.answer import plan_answer
from smproxy.origin.media_sockets import OwnPorts
from smproxy.origin.offer import read_offer
from smproxy.origin.play.answer import read_answer
from smproxy.origin.play.offer import plan_offer
from smproxy.origin.play.subscriber_transport import SubscriberTransport
from smproxy.origin.publisher_transport import PublisherTransport
from smproxy.origin.source import Source
from smproxy.signaling.clock import Clock
from smproxy.signaling.messages import Candidate
from smproxy.tasks import Tasks
from smproxy.testing.media import CLOCK_RATE, Loop, LoopSource, PacedTrack, tone_loop, video_encoder
from smproxy.testing.peer import Peer
from smproxy.testing.publisher_peer import PublishingPeer
from smproxy.testing.subscriber_peer import SubscribingPeer

WIDTH, HEIGHT, FRAME_RATE, BIT_RATE, SECONDS = 640, 480, 30, 1_700_000, 3
#: Packets of sound in a second.
SOUND_RATE = 50
#: Subscribers of each way: many where one costs little, so that the difference can be measured.
WAYS = {"product": 10, "relay": 2}
TARGET = 110
NAMES = {"product": "this one", "relay": "aiortc with `MediaRelay`"}


# The servers, each in a process of its own


class Product:
    """The origin's peers without its signaling."""

    def __init__(self) -> None:
        self._clock, self._rng, self._tasks = Clock(), random.Random(1), Tasks()
        self._identity = Identity.generateCertificate()
        self._peers: list[PublisherTransport | SubscriberTransport] = []
        self._plans: list[Any] = []
        self._sweeper = asyncio.create_task(self._sweep())

    def _with(self, events: Any) -> dict[str, Any]:
        return {
            "events": events,
            "identity": self._identity,
            "monotonic": self._clock.monotonic,
            "rng": self._rng,
            "tasks": self._tasks,
        }

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            for peer in self._peers:
                peer.sweep(self._clock.monotonic())

    async def publish(self, sdp: str, _candidates: list[Candidate]) -> str:
        plan = plan_answer(read_offer(sdp))
        peer = PublisherTransport(plan, track_started=lambda _: None, **self._with(Events()))
        self._peers.append(peer)
        formats = {each.kind: each.format for each in plan.tracks}
        soon = asyncio.get_running_loop().call_soon
        self._source = Source(peer.tracks, formats, self._clock.monotonic, about(), soon=soon)
        return await peer.open(OwnPorts(lambda: ("127.0.0.1",)))

    async def offer(self) -> str:
        plan = plan_offer(self._source.formats, data=False, rng=self._rng)
        events = Events()
        peer = SubscriberTransport(plan, **self._with(events))
        events.on_up = lambda: self._attach(peer)
        self._peers.append(peer)
        self._plans.append(plan)
        return await peer.open(OwnPorts(lambda: ("127.0.0.1",)))

    def _attach(self, peer: SubscriberTransport) -> None:
        for slot, sender in peer.senders.items():
            if (forwarder := self._source.forwarder(slot.kind, peer)) is not None:
                sender.attach(forwarder)

    async def answer(self, sdp: str, _candidates: list[Candidate]) -> None:
        peer = self._peers[-1]
        assert isinstance(peer, SubscriberTransport)
        peer.accept(read_answer(sdp, self._plans[-1]))

    async def close(self) -> None:
        self._sweeper.cancel()
        for peer in self._peers:
            await peer.close()


class Events:
    """What a peer tells; only that it is connected matters here."""

    def __init__(self) -> None:
        self.on_up = lambda: None
        self.about = about()

    def transport_up(self) -> None:
        self.on_up()

    def transport_failed(self, reason: str) -> None:
        raise AssertionError(f"the handshake failed: {reason}")

    def channel_opened(self, label: str) -> None: ...
    def channel_message(self, text: str | bytes) -> None: ...
    def peer_left(self) -> None: ...


class StockPeer(Peer):
    """A plain RTCPeerConnection; of the testing peer only the loopback candidates are used."""

    def __init__(self) -> None:
        super().__init__(ipv6=False, on_state=lambda _: None, on_text=lambda _: None)
        self.connection = self._pc

    async def describe(self, description: Any) -> str:
        await self._gather()
        await self._pc.setLocalDescription(description)
        return str(self._pc.localDescription.sdp)


class Relay:
    """aiortc as its examples have it."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._tracks: list[Any] = []
        self._peers: list[StockPeer] = []
        self._readers: list[asyncio.Task[None]] = []

    async def publish(self, sdp: str, candidates: list[Candidate]) -> str:
        peer = StockPeer()
        self._peers.append(peer)
        peer.connection.on("track", self._on_track)
        await peer.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        for each in candidates:
            await peer.candidate(each)
        return await peer.describe(await peer.connection.createAnswer())

    def _on_track(self, track: Any) -> None:
        self._tracks.append(track)
        # Somebody must read: an unread track keeps every frame.
        self._readers.append(asyncio.create_task(read(self._relay.subscribe(track))))

    async def offer(self) -> str:
        peer = StockPeer()
        self._peers.append(peer)
        for track in self._tracks:
            peer.connection.addTrack(self._relay.subscribe(track))
        return await peer.describe(await peer.connection.createOffer())

    async def answer(self, sdp: str, candidates: list[Candidate]) -> None:
        peer = self._peers[-1]
        await peer.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        for each in candidates:
            await peer.candidate(each)

    async def close(self) -> None:
        for peer in reversed(self._peers):
            await peer.close()
        for reader in self._readers:
            reader.cancel()


async def read(track: Any) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            await track.recv()


def serve(way: str, pipe: Pipe) -> None:
    """Do what the pipe says until it says "close"; "cpu" is answered with the process's CPU time in seconds."""
    machine.pin(machine.TESTED)
    logging.disable()

    async def main() -> None:
        server: Any = {"product": Product, "relay": Relay}[way]()
        asked = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
        while True:
            await asked.wait()
            asked.clear()
            os.set_blocking(pipe.fileno(), True)  # the event loop has changed that
            while pipe.poll():
                what, *arguments = pipe.recv()
                pipe.send(time.process_time() if what == "cpu" else await getattr(server, what)(*arguments))
                if what == "close":
                    return

    uvloop.run(main())


# The load


@cache
def picture_loop() -> Loop:
    """Encode a few seconds of a moving picture with noise, which takes the bit rate that it may have."""
    graph = av.filter.Graph()
    source = graph.add("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={FRAME_RATE}:duration={SECONDS}")
    noise = graph.add("noise", "alls=12:allf=t")
    form, sink = graph.add("format", "yuv420p"), graph.add("buffersink")
    source.link_to(noise)
    noise.link_to(form)
    form.link_to(sink)
    graph.configure()
    encoder = video_encoder("VP8", WIDTH, HEIGHT, BIT_RATE, Fraction(FRAME_RATE))
    ticks = CLOCK_RATE["video"] // FRAME_RATE
    packets: list[Any] = []
    for number in range(FRAME_RATE * SECONDS):
        frame: Any = sink.pull()
        frame.pts, frame.time_base, frame.pict_type = number * ticks, encoder.time_base, PictureType.NONE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return Loop(tuple(bytes(packet) for packet in packets), ticks)


@contextlib.asynccontextmanager
async def server(way: str) -> AsyncIterator[Any]:
    """Start a serving process; yield what asks it."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(way, theirs), daemon=True)
    process.start()

    async def ask(*what: Any) -> Any:
        pipe.send(what)
        return await asyncio.to_thread(pipe.recv)

    try:
        yield ask
        await ask("close")
    finally:
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()


async def until(condition: Any, what: str) -> None:
    """Wait for something that comes within half a minute."""
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise SystemExit(f"waited in vain for {what}")


def subscriber() -> SubscribingPeer:
    """Make a subscriber that decodes nothing."""
    return SubscribingPeer(
        channel=None,
        decode=False,
        ipv6=False,
        on_state=lambda _: None,
        on_text=lambda _: None,
        on_arrival=lambda: None,
        on_frame=lambda *_: None,
    )


def received(subscribers: list[SubscribingPeer], video: bool) -> int:
    """Video frames, or packets of sound, that all of them have received."""
    counts = [each.counts() for each in subscribers]
    return sum((each["video"].frames if video else each["audio"].packets) if each else 0 for each in counts)


async def measure(way: str, count: int, seconds: float, video: bool = True) -> dict[str, float]:
    """Set a way up and measure it without and with subscribers; without ``video`` with sound alone."""
    kind = "video" if video else "audio"
    tracks = [PacedTrack("audio", LoopSource(tone_loop()))]
    if video:
        tracks.append(PacedTrack("video", LoopSource(picture_loop())))
    states: list[str] = []
    publisher = PublishingPeer(
        tracks, codec="VP8", channel=None, ipv6=False, on_state=states.append, on_text=lambda _: None
    )
    subscribers: list[SubscribingPeer] = []
    async with server(way) as ask:
        try:
            await publisher.answer(await ask("publish", *(await publisher.offer())))
            await until(lambda: "connected" in states, "the publisher's connection")
            await asyncio.sleep(1)
            before = await ask("cpu")
            await asyncio.sleep(seconds)
            alone = (await ask("cpu") - before) / seconds
            for _ in range(count):
                subscribers.append(subscriber())
                await ask("answer", *(await subscribers[-1].answer(await ask("offer"))))
            await until(lambda: all(received([each], video) > 10 for each in subscribers), "media at every subscriber")
            await asyncio.sleep(1)
            before, seen, started = await ask("cpu"), received(subscribers, video), time.monotonic()
            lost = sum(each.counts()[kind].lost for each in subscribers)
            await asyncio.sleep(seconds)
            spent, came = await ask("cpu") - before, received(subscribers, video) - seen
            took = time.monotonic() - started
            lost = sum(each.counts()[kind].lost for each in subscribers) - lost
        finally:
            for each in subscribers:
                await each.close()
            await publisher.close()
            for track in tracks:
                track.stop()
    stream = (spent - alone * took) / came * (FRAME_RATE if video else SOUND_RATE)
    return {
        "alone": 100 * alone,
        "stream": 100 * stream,
        "per_core": (1 - alone) / stream,
        "rate": came / took / count,
        "lost": lost,
    }


async def compare(rounds: int, seconds: float) -> Results:
    """Measure all ways in turns."""
    measured: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way, count in WAYS.items():
            measured[way].append(found := await measure(way, count, seconds))
            print(
                f"round {number + 1} {way}: {found['stream']:.3f} % of a core for a stream, {found['alone']:.2f} % for the "
                f"publisher alone, {found['per_core']:.1f} subscribers per core; {found['rate']:.1f} frames/s, "
                f"{found['lost']:.0f} packets lost",
                flush=True,
            )
    results = Results(
        "subscribers", ["server", "subscribers per core", "times aiortc's", "CPU of one", "CPU of the publisher alone"]
    )
    for way, name in NAMES.items():
        found = measured[way]
        times = [own["per_core"] / base["per_core"] for own, base in zip(found, measured["relay"], strict=True)]
        results.rows.append(
            [
                name,
                Figure.of([each["per_core"] for each in found]).text(1),
                Figure.of(times).text(1),
                f"{Figure.of([each['stream'] for each in found]).text(2)} %",
                f"{Figure.of([each['alone'] for each in found]).text(2)} %",
            ]
        )
    results.rows.append(["*target*", "", f"*≥ {TARGET}*", "", ""])
    results.notes = [
        f"VP8 {WIDTH}x{HEIGHT} at {FRAME_RATE} frames/s, {BIT_RATE / 1e6:g} Mbit/s, and Opus; {WAYS['product']} and "
        f"{WAYS['relay']} subscribers. Median of {rounds} rounds, minimum to maximum."
    ]
    results.data = {"target": TARGET, "subscribers": WAYS, "measured": measured}
    return results


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    machine.pin(machine.DRIVER)
    picture_loop()
    uvloop.run(compare(arguments.rounds, arguments.seconds)).save()


if __name__ == "__main__":
    main()
