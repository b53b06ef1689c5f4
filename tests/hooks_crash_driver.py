"""The process that the crash suite kills: many sessions live their lives here, and their hooks go through a journal on disk."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Context, EncodedEvent
from smproxy.hooks.journal import Journal, Retention
from smproxy.hooks.journal.recovery import end_unfinished
from smproxy.hooks.sinks.webhook import WebhookSink
from smproxy.signaling.clock import Clock, session_number
from smproxy.signaling.payloads import ConnectError, Connection, Kind, Payload, Reason, Role
from smproxy.signaling.session import Phase, SessionLife
from yarl import URL

from tests.helpers import eventually
from tests.hooks_support import QUICK

#: Streams that are published at a time; each has one session after the other.
STREAMS = 40

#: Events that may be on their way before the sessions wait.
BACKLOG = 100

KEEP_ALL = Retention(events=10_000_000, bytes=1 << 40)


class Witness:
    """A tap that writes down what it was told, so that being killed does not undo it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def offer(self, event: EncodedEvent) -> None:
        os.write(self._descriptor, f"{event.uuid}\n".encode())

    async def close(self) -> None:
        os.close(self._descriptor)


class Story:
    """One session after the other, of one stream."""

    def __init__(self, stream: str, dispatcher: HookDispatcher, rng: random.Random) -> None:
        self._connection = Connection(
            id=stream, username=None, customer_scope="acme", recording=False, meta=None, app="live", role=Role.PUBLISHER
        )
        self._context = Context(stream=f"live/{stream}")
        self._dispatcher, self._rng = dispatcher, rng
        self._life: SessionLife | None = None
        self._seq = 0

    def step(self) -> None:
        """Let something happen."""
        if self._life is None or self._life.phase is Phase.ENDED:
            name = self._connection.id or ""
            number = session_number(self._rng)
            self._life = SessionLife(number, peer=name, scope="live", remote_ip="10.0.0.1", clock=Clock())
            self._seq = 0
            self._tell(self._life.accept())
            return
        life = self._life
        # Most of what can happen makes the session live; one in twelve ends it.
        happened = self._rng.randrange(24)
        match happened:
            case 0:
                payloads = life.end(Reason.USER_ACTION)
            case 1:
                payloads = life.refuse(ConnectError.INVALID_SDP)
            case 2 | 3 | 4 | 5:
                payloads = life.stream_start()
            case 6 | 7:
                payloads = life.gap()
            case 8 | 9 | 10:
                payloads = life.back()
            case 11 | 12 | 13:
                payloads = life.track_start("audio_main", Kind.AUDIO)
            case 14 | 15 | 16:
                payloads = life.track_start("video_main", Kind.VIDEO)
            case 17:
                payloads = life.track_end("video_main")
            case _:
                payloads = life.transport_up()
        self._tell(payloads)

    def _tell(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            self._seq += 1
            self._dispatcher.emit(payload, self._seq, self._connection, self._context)


async def live(folder: Path, url: str, seed: int, *, drain: bool) -> None:
    """End what the process before left, then publish until killed, or with ``drain`` until all is delivered."""
    clock, rng = Clock(), random.Random(seed)
    journal = await Journal.start(folder / "hooks.db", clock=clock, retention=KEEP_ALL)
    dispatcher = await HookDispatcher.start(
        [WebhookSink(URL(url))],
        clock=clock,
        rng=rng,
        profile=QUICK,
        listeners=[Witness(folder / "told")],
        journal=journal,
    )
    await end_unfinished(journal, dispatcher.emit)
    stories = [Story(f"cam-{number}", dispatcher, rng) for number in range(STREAMS)]
    while not drain:
        for story in stories:
            story.step()
        await asyncio.sleep(0)  # let the dispatcher have its turn
        await eventually(lambda: dispatcher.status()[0].backlog + journal.status().waiting <= BACKLOG, 60)
    await dispatcher.stop(60.0)
    await journal.stop()


def main(folder: str, url: str, seed: int, drain: bool) -> None:
    """Run as a process of its own."""
    asyncio.run(live(Path(folder), url, seed, drain=drain))
