"""The model that judges the hooks of a cluster: what is promised passes, and each history that breaks it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster import model
from tests.cluster.model import Event

OWN, OTHER = 1, 2
_KEYS = {"peer_leaved": "peer", "disconnected": "session", "remote_track_ended": "track"}


def event(state: str, seq: int, node: int = OWN, *, session: int = 7, epoch: int = 5) -> Event:
    """Make an event. Ends have the same uuid, whoever writes them."""
    kind = "state" if state in ("connecting", "connected", "disconnected") else "event"
    uuid = f"{session}/{_KEYS.get(state, f'{state}/{seq}/{node}')}"
    payload: dict[str, Any] = {"session": session, kind: state}
    return {"uuid": uuid, "node": node, "seq": seq, "payload": payload, "connection": {"id": "s"}, "epoch": epoch}


STARTS = [event(state, seq) for seq, state in enumerate(("connecting", "connected", "peer_joined"), 1)]
TRACK = event("remote_track_started", 4)
ENDS = [event(state, seq) for seq, state in enumerate(("remote_track_ended", "peer_leaved", "disconnected"), 5)]
#: What another node writes when the registry knows of all, and when it does not know of the track.
ENDS_BY_ANOTHER = [{**each, "node": OTHER} for each in ENDS]
FEWER_BY_ANOTHER = [{**each, "node": OTHER, "seq": each["seq"] - 2} for each in ENDS[1:]]
WHOLE = [*STARTS, TRACK, *ENDS]


@pytest.mark.parametrize(
    ("came", "away"),
    [
        (WHOLE, ()),
        ([*STARTS, *STARTS[1:], TRACK, *ENDS, ENDS[-1]], ()),
        ([*STARTS, TRACK, *ENDS_BY_ANOTHER], {OWN}),
        ([*STARTS, TRACK, *ENDS_BY_ANOTHER, *ENDS], ()),
        ([*STARTS[:1], *FEWER_BY_ANOTHER, *STARTS[1:], TRACK, *ENDS], ()),
        (FEWER_BY_ANOTHER, {OWN}),
        ([*FEWER_BY_ANOTHER, *WHOLE], ()),
    ],
    ids=["own", "again", "dead", "back", "back with what was not delivered", "nothing was", "nothing was, and back"],
)
def test_what_is_promised_passes(came: list[Event], away: set[int]) -> None:
    """A node's own events in order, twice as well; the ends of another; and what the dead node delivers after these."""
    assert model.over(came, away)
    model.check(came, away)


OTHER_UUID = {"node": OTHER, "uuid": "other"}
SECOND = [{**each, "uuid": "8" + each["uuid"], "payload": {**each["payload"], "session": 8}} for each in WHOLE]

BROKEN: dict[str, list[Event]] = {
    "a hook is lost": [*STARTS[:2], TRACK, *ENDS],
    "the first hook is lost": WHOLE[1:],
    "two change places": [STARTS[0], STARTS[2], STARTS[1], TRACK, *ENDS],
    "a hook comes after the end of its own node": [*WHOLE, event("remote_track_started", 8)],
    "the end has two uuids": [*WHOLE, {**ENDS[-1], **OTHER_UUID}],
    "its own node never ends it": [*STARTS, TRACK, *ENDS_BY_ANOTHER],
    "it never ends": [*STARTS, TRACK],
    "a track never ends": [*STARTS, TRACK, *({**each, "seq": each["seq"] - 1} for each in ENDS[1:])],
    "two other nodes end it": [*WHOLE, *ENDS_BY_ANOTHER, {**ENDS[-1], "node": 3}],
    "another node writes more than ends": [*WHOLE, {**TRACK, **OTHER_UUID}, *ENDS_BY_ANOTHER],
    "another node writes an end of nothing": [*WHOLE, {**ENDS[0], **OTHER_UUID}, *ENDS_BY_ANOTHER[1:]],
    "another node stops half way": [*STARTS, TRACK, *ENDS_BY_ANOTHER[:2], *ENDS],
    "another node goes on from what never was": [
        *WHOLE,
        *({**each, "seq": each["seq"] + 9} for each in ENDS_BY_ANOTHER),
    ],
    "two sessions have one epoch": [*WHOLE, *SECOND],
    "a session has two epochs": [*WHOLE[:-1], {**WHOLE[-1], "epoch": 6}],
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_breaks_the_promise_is_found(broken: str) -> None:
    """With every node back, each of these is told from what is promised."""
    with pytest.raises(AssertionError):
        model.check(BROKEN[broken])


def test_a_dead_node_may_be_waited_for() -> None:
    """A session is over once its own node has delivered it whole, or, while that is away, once it has an end."""
    assert not model.over([*STARTS, TRACK, *ENDS_BY_ANOTHER])
    assert not model.over([*STARTS, TRACK], {OWN})
    assert model.over([*STARTS, TRACK, *ENDS_BY_ANOTHER], {OWN})
