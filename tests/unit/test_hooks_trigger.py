"""Synthetic events."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent, EventFactory
from smproxy.hooks.journal import Journal
from smproxy.hooks.trigger import TEMPLATES, Trigger, TriggerError
from smproxy.signaling.clock import MAX_SESSION_NUMBER, Clock
from smproxy.signaling.hook_names import NAMES, STATES
from smproxy.signaling.payloads import (
    Connection,
    LocalTrackPayload,
    PeerPayload,
    RecordingPayload,
    RemoteTrackPayload,
    RoomPayload,
    RoutePayload,
    SessionPayload,
    StatsPayload,
)

from tests.hooks_support import NOW

PAYLOADS = {
    "session": SessionPayload,
    "peer": PeerPayload,
    "remote_track": RemoteTrackPayload,
    "local_track": LocalTrackPayload,
    "recording": RecordingPayload,
    "stats": StatsPayload,
    "route": RoutePayload,
    "room": RoomPayload,
}


class Told:
    """A tap that keeps what was published."""

    def __init__(self) -> None:
        self.events: list[EncodedEvent] = []

    def offer(self, event: EncodedEvent) -> None:
        self.events.append(event)

    async def close(self) -> None:
        pass


async def start(told: Told, journal: Journal | None) -> HookDispatcher:
    events = EventFactory(node=3, clock=Clock(wall=lambda: NOW), rng=random.Random(1))
    return await HookDispatcher.start(
        [], clock=Clock(), rng=random.Random(3), listeners=[told], journal=journal, events=events
    )


def make(dispatcher: HookDispatcher) -> Trigger:
    return Trigger(dispatcher, rng=random.Random(2))


@pytest.fixture
async def told() -> Told:
    return Told()


@pytest.fixture
async def trigger(told: Told) -> AsyncIterator[Trigger]:
    journal = await Journal.start(None, clock=Clock())
    dispatcher = await start(told, journal)
    yield make(dispatcher)
    await dispatcher.stop()
    await journal.stop()


def check(event: EncodedEvent) -> dict[str, Any]:
    """Read an event strictly by the schema, and check what belongs together."""
    message = json.loads(event.body)
    payload = msgspec.json.decode(json.dumps(message["payload"]), type=PAYLOADS[message["event"]])
    msgspec.json.decode(json.dumps(message["connection"]), type=Connection)
    assert list(message) == ["uuid", "node", "ts", "event", "payload", "seq", "connection"]
    assert 1 <= payload.session <= MAX_SESSION_NUMBER
    state = getattr(payload, "state", None) or payload.event  # type: ignore[union-attr]
    template = TEMPLATES[state]
    for field in payload.__struct_fields__:
        if field not in {"session", "state", "event"}:
            value = getattr(payload, field)
            assert (value is not None and value is not msgspec.UNSET) == (field in template.values), field
    assert event.context.synthetic
    return dict(message)


def test_there_is_a_template_for_every_state() -> None:
    """Every state of the schema can be triggered, and nothing else."""
    assert set(TEMPLATES) == {state for states in STATES.values() for state in states}


@pytest.mark.parametrize("name", NAMES)
async def test_every_event_is_valid(trigger: Trigger, name: str) -> None:
    """Without parameters each name gives an event that the schema allows, as number 1 of a session of its own."""
    message = check(await trigger.fire(name))
    assert (message["seq"], message["node"], message["ts"]) == (1, 3, 1_790_000_000_123)
    assert message["payload"]["session"] != check(await trigger.fire(name))["payload"]["session"]


async def test_parameters(trigger: Trigger) -> None:
    """Parameters, as text or as values, land in payload and connection; what follows from them agrees."""
    message = check(
        await trigger.fire("session", {"state": "disconnected", "reason": "3", "duration": 5, "username": "7"})
    )
    assert message["payload"]["reason"] == 3
    assert message["payload"]["duration"] == 5
    assert message["connection"]["username"] == "7"
    message = check(await trigger.fire("remote_track_ended", {"track": "audio_main"}))
    assert message["payload"]["kind"] == 0
    message = check(await trigger.fire("peer", {"id": "x", "app": "live/room", "event": "peer_leaved"}))
    assert (message["payload"]["peer"], message["payload"]["room"]) == ("x", "live/room")
    message = check(await trigger.fire("peer", {"role": "subscriber", "username": "bob"}))
    assert message["payload"]["peer"] == "bob"
    message = check(await trigger.fire("local_track", {"track": "0"}))
    assert (message["payload"]["kind"], message["connection"]["role"]) == (0, "subscriber")


@pytest.mark.parametrize(
    ("name", "params", "part"),
    [
        ("meeting", {}, "choose one of session, peer"),
        ("websocket", {}, "no event"),
        ("session", {"state": "sleeping"}, "connecting, connected"),
        ("session", {"state": "peer_joined"}, "state='peer_joined'"),
        ("connected", {"state": "connecting"}, "not what connected says"),
        ("connecting", {"reason": 1}, "'reason' is no field"),
        ("connected", {"seq": 5}, "'seq' is no field"),
        ("disconnected", {"reason": 9}, "9"),
        ("disconnected", {"reason": None}, "reason: this event has a value"),
        ("disconnected", {"duration": -1}, "duration=-1"),
        ("connected", {"after_ms": "soon"}, "after_ms"),
        ("peer", {"session": 0}, "from 1"),
        ("peer", {"session": 2**53}, "from 1"),
        ("peer", {"session": "x"}, "session"),
        ("remote_track", {"track": "screen"}, "audio_main, video_main"),
        ("remote_track", {"track": "audio_main", "kind": 1}, "kind"),
        ("local_track", {"track": 2}, "track"),
        ("session", {"meta": "[1]"}, "meta"),
        ("session", {"meta": "{"}, "meta"),
        ("session", {"recording": "perhaps"}, "recording"),
        ("session", {"role": "viewer"}, "role"),
        ("session", {"id": "x" * 900_000}, "'id' is longer than 255 characters"),
        ("session", {"customerScope": "a\x1b[2J"}, "'customerScope' has a control character"),
        ("peer", {"room": "live\n"}, "'room' has a control character"),
        ("x\x1b" * 5_000, {}, "there is no event"),
        ("session", {"x" * 5_000: 1}, "is no field"),
        ("session", {"meta": {"x": "y" * 5_000}}, "longer than 4096 bytes"),
        ("session", {"meta": '{"x":' * 900 + "1" + "}" * 900}, "longer than 4096 bytes"),
        ("session", {"meta": '{"x":' * 400 + "1" + "}" * 400}, "deeper than 64 levels"),
        ("session", {"meta": '{"x":"\ud800"}'}, "meta"),
        ("session", {"session": 4711}, "not begun by a trigger"),
        ("session", {"password": "hush"}, "'password' is no field"),
    ],
)
async def test_mistakes(trigger: Trigger, told: Told, name: str, params: dict[str, Any], part: str) -> None:
    """What the schema does not allow is refused in one line that shows what would be right, and nobody is told."""
    with pytest.raises(TriggerError) as caught:
        await trigger.fire(name, params)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)
    assert not told.events


FIELDS = ["session", "state", "event", "reason", "error", "after_ms", "duration", "remote_ip", "track", "kind", "peer", "room",
          "remote_peer", "remote_track", "file", "size", "id", "username", "customerScope", "recording", "meta",
          "app", "role"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@example(name="remote_track_started", params={"track": []})
@given(
    name=st.sampled_from(NAMES),
    params=st.dictionaries(
        st.sampled_from(FIELDS),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=8),
            st.lists(st.integers(), max_size=2),
        ),
        max_size=4,
    ),
)
async def test_valid_or_refused(name: str, params: dict[str, Any]) -> None:
    """Whatever is asked for, the answer is a valid event or the documented error."""
    dispatcher = await HookDispatcher.start([], clock=Clock(), rng=random.Random(3))
    try:
        event = await make(dispatcher).fire(name, params)
    except TriggerError:
        pass
    else:
        check(event)
    await dispatcher.stop()


async def test_sessions_are_forgotten_within_bounds(trigger: Trigger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest sessions can be gone on with."""
    monkeypatch.setattr("smproxy.hooks.trigger.MAX_SESSIONS", 2)
    sessions = [check(await trigger.fire("session"))["payload"]["session"] for _ in range(3)]
    assert check(await trigger.fire("connected", {"session": sessions[1]}))["seq"] == 2
    with pytest.raises(TriggerError, match="not begun by a trigger"):
        await trigger.fire("connected", {"session": sessions[0]})
