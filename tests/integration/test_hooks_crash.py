"""What survives ``kill -9``: real processes, a real receiver, and a comparison of what each of them saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import random
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from aiohttp import web
from smproxy.hooks.journal import JournalQuery, JournalReader
from smproxy.testing import Publisher, PublishError

from tests import hooks_crash_driver
from tests.helpers import eventually, scaled
from tests.hooks_support import receiver
from tests.integration.test_serve_command import serving

KILLS = 100

ENDS = {"disconnected", "connect_error"}


@dataclass
class Seen:
    """What a receiver was sent, each event counted when it first came."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    copies: Counter[str] = field(default_factory=Counter)
    order: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0

    def take(self, uuid: str, body: bytes) -> None:
        self.copies[uuid] += 1
        if uuid not in self.bodies:
            self.bodies[uuid] = body
            self.order.append(json.loads(body))
        assert self.bodies[uuid] == body, "the same event in other bytes"


def state_of(event: dict[str, Any]) -> str:
    payload = event["payload"]
    return str(payload.get("state") or payload.get("event"))


def check_order(events: list[dict[str, Any]]) -> Counter[str]:
    """Check that sessions came in order, ended once and did not overlap within a stream; return how they ended."""
    seqs: Counter[int] = Counter()
    ended: dict[int, str] = {}
    started: dict[int, list[str]] = {}
    live: dict[str, int] = {}
    for event in events:
        session, state = event["payload"]["session"], state_of(event)
        seqs[session] += 1
        assert event["seq"] == seqs[session], f"session {session}: {event['seq']} came as number {seqs[session]}"
        assert session not in ended, f"session {session}: {state} after its end"
        open_starts = started.setdefault(session, [])
        if state.endswith(("_started", "_joined")):
            open_starts.append(state + str(event["payload"].get("track")))
        elif state.endswith(("_ended", "_leaved")):
            start = state.replace("_ended", "_started").replace("_leaved", "_joined")
            open_starts.remove(start + str(event["payload"].get("track")))
        stream = event["connection"]["id"]
        if event["seq"] == 1:
            assert live.setdefault(stream, session) == session, f"{stream}: new session before the end of the last"
        if state in ENDS:
            assert not open_starts, f"session {session} ended without the ends of {open_starts}"
            ended[session] = f"{state} {event['payload']['reason']} {event['payload']['error']}"
            del live[stream]
    assert not live, "sessions without an end"
    return Counter(ended.values())


async def ended(process: BaseProcess) -> None:
    """Wait for a process."""
    await eventually(lambda: process.exitcode is not None, timeout=90)
    process.join()


async def a_moment(seconds: float) -> None:
    """Come at a time that nobody has prepared for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + scaled(seconds)
    await eventually(lambda: loop.time() >= until)


async def test_a_hundred_kills(tmp_path: Path) -> None:
    """Killed a hundred times under load by a receiver that also fails now and then, no event that was journalled is lost,
    sessions and streams stay in order, and every session is ended once, those that were alive with reason 2 or error 5."""
    seen, rng = Seen(), random.Random(20_261_121)
    process: BaseProcess | None = None
    killed_at = 0

    async def answer(request: web.Request, _count: int) -> web.StreamResponse:
        got.requests.clear()
        seen.requests += 1
        if process is not None and killed_at and seen.requests >= killed_at:
            process.kill()  # while its request, and others, are being answered
        if rng.random() < 0.03:
            return web.Response(status=503)
        seen.take(request.headers["webhook-id"], await request.read())
        return web.Response(status=204)

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([hooks_crash_driver.__name__])
    async with receiver(answer) as got:
        for round_number in range(KILLS):
            # Some are killed before they could say anything, while they open the journal or end old sessions.
            early = round_number % 5 == 0
            killed_at = 0 if early else seen.requests + rng.randrange(1, 500)
            process = context.Process(
                target=hooks_crash_driver.main, args=(str(tmp_path), got.url, round_number, False), daemon=True
            )
            process.start()
            if early:
                await a_moment(rng.random() * 0.1)
                process.kill()
            await ended(process)
            assert process.exitcode == -9
        killed_at = 0
        process = context.Process(
            target=hooks_crash_driver.main, args=(str(tmp_path), got.url, KILLS, True), daemon=True
        )
        process.start()
        await ended(process)
        assert process.exitcode == 0

    reader = JournalReader.open(tmp_path / "hooks.db")
    journalled = {stored.event.uuid: stored.event.body for stored in reader.find(JournalQuery(limit=10_000_000))}
    reader.close()
    told = set((tmp_path / "told").read_text().split())
    assert told <= set(journalled), "somebody was told of what is not in the journal"
    assert seen.bodies == journalled
    ends = check_order(seen.order)
    # How much happens between two kills is a matter of the machine; these say that enough did.
    assert ends["disconnected 2 None"] > KILLS // 5
    assert ends["connect_error None 5"] > 0
    assert ends["disconnected 0 None"] > KILLS // 5
    assert max(seen.copies.values()) > 1, "no attempt was cut off: the kills came at the wrong time"


async def test_a_server_with_real_publishers_is_killed(tmp_path: Path) -> None:
    """``smproxy serve`` killed with publishers on it ends their sessions at its next start, once, with reason 2, in order and
    before the same streams are told of again; the events before the kill are all there."""
    seen = Seen()

    async def answer(request: web.Request, _count: int) -> web.StreamResponse:
        seen.take(request.headers["webhook-id"], await request.read())
        return web.Response(status=204)

    def count(state: str) -> int:
        return sum(state_of(event) == state for event in seen.order)

    data = ("--data-dir", str(tmp_path / "data"))
    async with receiver(answer) as back_end:
        for number in range(1, 4):
            async with serving("--hook-uri", back_end.url, *data, cwd=tmp_path) as serve:
                publishers = [
                    Publisher(serve.url, stream=f"cam-{stream}", params={"customerScope": "acme"}) for stream in (1, 2)
                ]
                for publisher in publishers:
                    await publisher.publish()
                await eventually(lambda number=number: count("remote_track_started") == 4 * number, timeout=15)  # type: ignore[misc]
                assert count("disconnected") == 2 * (number - 1)
                serve.process.kill()
                await serve.process.wait()
                for publisher in publishers:
                    with contextlib.suppress(PublishError):
                        await publisher.unpublish()
        async with serving("--hook-uri", back_end.url, *data, cwd=tmp_path) as serve:
            await eventually(lambda: count("disconnected") == 6)
            assert await serve.stop() == 0
    assert check_order(seen.order) == Counter({"disconnected 2 None": 6})
    assert "ended 2 sessions that were alive" in serve.log.read_text()
    assert count("peer_leaved") == 6
    assert count("remote_track_ended") == 12
    reader = JournalReader.open(tmp_path / "data" / "hooks.db")
    journalled = {stored.event.uuid: stored.event.body for stored in reader.find(JournalQuery(limit=10_000))}
    sockets = reader.find(JournalQuery(event="websocket", internal=True, limit=10_000))
    reader.close()
    assert journalled == seen.bodies
    assert not sockets, "no sink has a format with these"
