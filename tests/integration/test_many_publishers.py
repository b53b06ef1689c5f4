"""Two hundred publishers at once: no error, no leak, no hook missing or out of order."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
from collections import Counter
from itertools import pairwise
from pathlib import Path

from smproxy.testing import Publisher, WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.lives import check_whole_life, spell, stories
from tests.integration.test_serve_command import serving

PUBLISHERS = 200
WITH_MEDIA = 20
#: How many may be shaking hands at a time: more would only wait for the processor.
AT_A_TIME = 25
#: What lives as long as a session does.
PER_SESSION = ("Session", "Attempt", "RelayedConnection", "Peer", "RTCPeerConnection", "RTCDtlsTransport")


async def publish_all(url: str, count: int, with_media: int) -> list[Publisher]:
    """Publish ``count`` streams, the first ``with_media`` of them with media."""
    turn = asyncio.Semaphore(AT_A_TIME)
    publishers = [
        Publisher(
            url,
            stream=f"stream-{number}",
            params={"customerScope": "acme"},
            send_media=number < with_media,
            switch_delay=0.2,
            timeout=scaled(60),
        )
        for number in range(count)
    ]

    async def publish(publisher: Publisher) -> None:
        async with turn:
            await publisher.publish()

    async with asyncio.TaskGroup() as group:
        for publisher in publishers:
            group.create_task(publish(publisher))
    return publishers


async def end_all(publishers: list[Publisher]) -> None:
    """Unpublish every stream."""
    async with asyncio.TaskGroup() as group:
        for publisher in publishers:
            group.create_task(publisher.unpublish())


def alive() -> Counter[str]:
    """Count the objects that belong to sessions."""
    gc.collect()
    return Counter(name for thing in gc.get_objects() if (name := type(thing).__name__) in PER_SESSION)


async def test_two_hundred(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """Of 200 live publishers, 20 with media, each tells its whole life in order; afterwards no task or object is left."""
    simulator = await start_simulator(receiver, media_gap=20, media_timeout=30)
    objects, tasks = alive(), len(asyncio.all_tasks())
    publishers = await publish_all(simulator.url, PUBLISHERS, WITH_MEDIA)
    await eventually(lambda: len(simulator.manager.sessions.publishing()) == PUBLISHERS, 30)
    await eventually(lambda: sum("_started" in spell(event) for event in receiver.events) == 2 * WITH_MEDIA, 60)
    await end_all(publishers)
    await eventually(lambda: sum(spell(event) == "disconnected" for event in receiver.events) == PUBLISHERS, 60)
    told = stories(receiver.events)
    assert len(told) == PUBLISHERS
    whole = [lines for lines in told.values() if len(lines) > 5]
    assert len(whole) == WITH_MEDIA
    for lines in whole:
        check_whole_life(lines)
    short = [lines for lines in told.values() if len(lines) <= 5]
    assert all(lines == ["connecting", "connected", "peer_joined", "peer_leaved", "disconnected"] for lines in short)
    assert len(simulator.manager.sessions) == len(simulator.manager.sessions.attempts) == 0
    publishers.clear()
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 2, 30, str(asyncio.all_tasks()))
    await eventually(lambda: alive() <= objects, 30, f"left over: {alive() - objects}")


async def test_memory_returns(tmp_path: Path) -> None:
    """What a hundred publishers take, the process has from the hundreds before: its memory does not climb."""
    async with serving(cwd=tmp_path) as serve:

        def resident() -> int:
            pages = int(Path(f"/proc/{serve.process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")

        sizes = []
        for _ in range(9):
            await end_all(await publish_all(serve.url, 100, 5))
            sizes.append(resident())
        # The first rounds fill pools, and cycles wait for the collector's slowest turn; a leak goes on in every round.
        growth = statistics.median(later - earlier for earlier, later in pairwise(sizes[4:])) / 100
        assert growth < 60_000, f"{growth:.0f} bytes stay behind for each session; sizes: {sizes}"
        assert await serve.stop() == 0
