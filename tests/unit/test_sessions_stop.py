"""The ends of sessions: a manager that stops ends those that it has, and followers of ends learn of each once."""

from __future__ import annotations

import random

from smproxy.hooks.event import Context
from smproxy.manager.attempt import Client
from smproxy.manager.origin_registry import Node
from smproxy.manager.sessions import Sessions
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import AttemptFailed, PeerEnded, StreamStarted, TransportUp
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import ConnectError, Connection, Payload, Reason, SessionPayload


async def test_a_stop_ends_every_session() -> None:
    """Whoever is connected is disconnected with reason 2, whoever is not yet has error 5: the next start has none to end."""
    told: list[Payload] = []

    def publish(payload: Payload, _seq: int, _connection: Connection, _context: Context) -> None:
        told.append(payload)

    node = Node("origin", "origin", 1)
    sessions = Sessions(publish, clock=Clock(), rng=random.Random(1))
    params = ConnectionParams(id="cam", app="live", customer_scope="acme")
    live = sessions.open(params, node, Client(remote_ip="10.0.0.1"))
    for report in (TransportUp(live.token), StreamStarted(live.token, "cam", "live")):
        sessions.report(node, report)
    sessions.open(ConnectionParams(id="cam-2", app="live"), node, Client(remote_ip="10.0.0.2"))
    sessions.stop()
    ends = [
        each for each in told if isinstance(each, SessionPayload) and each.state in ("disconnected", "connect_error")
    ]
    assert [(each.state, each.reason, each.error) for each in ends] == [
        ("disconnected", Reason.NODE_SHUTDOWN, None),
        ("connect_error", None, ConnectError.ORIGIN_ERROR),
    ]
    assert len(sessions) == 0


async def test_who_follows_the_ends_learns_of_each_once() -> None:
    """After the last hook of a session, whether it was connected or failed, and not of what is reported after that."""
    told: list[str] = []

    def publish(payload: Payload, _seq: int, _connection: Connection, _context: Context) -> None:
        if isinstance(payload, SessionPayload):
            told.append(payload.state)

    node = Node("origin", "origin", 1)
    sessions = Sessions(publish, clock=Clock(), rng=random.Random(1))
    undo = sessions.on_ended(lambda session: told.append(f"end of {session.params.id}"))
    live, failing, last = (
        sessions.open(ConnectionParams(id=id, app="live"), node, Client(remote_ip="10.0.0.1"))
        for id in ("live", "failing", "last")
    )
    told.clear()
    sessions.report(node, TransportUp(live.token))
    for _ in range(2):
        sessions.report(node, PeerEnded(live.token, Reason.USER_ACTION))
        sessions.report(node, AttemptFailed(live.token, ConnectError.REJECTED))
        sessions.report(node, AttemptFailed(failing.token, ConnectError.REJECTED))
    undo()
    sessions.report(node, PeerEnded(last.token, Reason.USER_ACTION))
    sessions.stop()
    assert told == ["connected", "disconnected", "end of live", "connect_error", "end of failing", "connect_error"]
