"""The hook ``stats`` of many sessions: in portions, none of a session that is over, at the interval that was asked for."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from smproxy.manager.attempt import Client
from smproxy.manager.origin_registry import Node
from smproxy.manager.periodic_statistics import AT_ONCE, PeriodicStatistics
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import TrackStatistics, TransportUp
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Reason, Role

from tests.helpers import eventually


async def test_many_sessions_are_told_in_portions() -> None:
    """Everything else goes on between two portions; who ends meanwhile gets no ``stats`` after the end."""
    clock, count = Clock(), 3 * AT_ONCE
    hooks: list[tuple[int, str]] = []
    sessions = Sessions(
        lambda payload, *_: hooks.append((payload.session, getattr(payload, "state", None) or payload.event)),
        clock=clock,
        rng=random.Random(1),
    )
    node = Node("origin", "origin", 1)
    for number in range(count):
        params = ConnectionParams(id=f"cam-{number}", app="live", role=Role.PUBLISHER)
        attempt = sessions.open(params, node, Client(remote_ip="10.0.0.1"))
        sessions.report(node, TransportUp(attempt.token))
        sessions.report(node, TrackStatistics(attempt.token, "video_main", "VP8", packets=10, bytes=9_000, lost=1))
    told: list[dict[str, Any]] = []

    def tell(session: Any, payloads: Any) -> None:
        if not told:  # the first portion has begun: those of the next are over before it is their turn
            asyncio.get_running_loop().call_soon(sessions.stop, Reason.NODE_SHUTDOWN)
        told.append({name: getattr(payloads[0], name) for name in ("packets", "bytes", "lost", "rtt_ms")})
        sessions.emit(session, payloads)

    statistics = PeriodicStatistics(sessions.connected, tell, clock=clock, interval=0.01)
    statistics.start()
    await eventually(lambda: len(sessions) == 0)
    before = len(told)
    statistics.stop()
    assert before == AT_ONCE
    assert told[0] == {"packets": 10, "bytes": 9_000, "lost": 1, "rtt_ms": None}
    ended = [number for number, what in hooks if what == "disconnected"]
    assert len(ended) == count
    last = dict(hooks)
    assert set(last.values()) == {"disconnected"}
