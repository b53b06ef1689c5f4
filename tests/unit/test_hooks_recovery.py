"""Recovery: what is left of a session in the journal gets the end that the session would have had."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smproxy.cluster.hook_events import ClusterEvents
from smproxy.cluster.records import Unfinished
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Context, EncodedEvent, EventFactory
from smproxy.hooks.journal import Journal, JournalQuery
from smproxy.hooks.journal.recovery import end_unfinished
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import (
    ConnectError,
    Kind,
    LocalTrackPayload,
    Payload,
    Reason,
    RecordingPayload,
    RoomPayload,
    SessionPayload,
    WebSocketPayload,
)
from smproxy.signaling.session import SessionLife

from tests.hooks_support import Collector, connection

STEPS: dict[str, Callable[[SessionLife], list[Payload]]] = {
    "up": lambda life: life.transport_up(),
    "start": lambda life: life.stream_start(peer="cam", scope="live"),
    "gap": lambda life: life.gap(),
    "back": lambda life: life.back(),
    "audio": lambda life: life.track_start("audio_main", Kind.AUDIO),
    "video": lambda life: life.track_start("video_main", Kind.VIDEO),
    "no video": lambda life: life.track_end("video_main"),
    "mute": lambda life: life.track_mute("video_main", muted=True),
    "unmute": lambda life: life.track_mute("video_main", muted=False),
    "refuse": lambda life: life.refuse(ConnectError.NAME_IN_USE),
    "end": lambda life: life.end(Reason.KICKED),
}


#: How a session begins, and what else happens to it.
LIVES = st.builds(
    lambda beginning, rest: [*beginning, *rest],
    st.sampled_from(
        [(), ("up",), ("start",), ("up", "start"), ("start", "up", "audio", "video"), ("up", "start", "video", "mute")]
    ),
    st.lists(st.sampled_from(sorted(STEPS)), max_size=6),
)


def timeless(payload: Payload) -> Payload:
    if isinstance(payload, SessionPayload):
        return msgspec.structs.replace(payload, duration=None, after_ms=None)
    return payload


def payload_of(event: EncodedEvent) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(event.body)["payload"]
    return payload


@settings(deadline=None, max_examples=60)
@given(lives=st.lists(LIVES, min_size=1, max_size=4), cut=st.integers(0, 30))
def test_model(lives: list[list[str]], cut: int) -> None:
    """However far sessions came, recovery tells what their orderly end would have told, goes on counting, and does it once."""

    async def main() -> None:
        clock = Clock()
        journal = await Journal.start(None, clock=clock)
        dispatcher = await HookDispatcher.start([], clock=clock, rng=random.Random(1), journal=journal)
        told: list[list[Payload]] = []
        expected: dict[int, list[Payload]] = {}
        for number, steps in enumerate(lives, 1):
            life = SessionLife(number, peer="cam", scope="live", remote_ip="::1", clock=clock)
            payloads = [payload for step in ("accept", *steps) for payload in STEPS.get(step, SessionLife.accept)(life)]
            # The crash may also have come between the events of one step.
            told.append(payloads[: max(1, len(payloads) - cut % 3)])
            if told[-1] == payloads:
                expected[number] = [timeless(payload) for payload in life.end(Reason.NODE_SHUTDOWN)]
        for payloads in told:
            for seq, payload in enumerate(payloads, 1):
                dispatcher.emit(payload, seq, connection(), Context(stream="live/cam"))
        finished = [
            p for (*_, p) in told if isinstance(p, SessionPayload) and p.state in ("disconnected", "connect_error")
        ]
        assert await end_unfinished(journal, dispatcher.emit) == len(told) - len(finished)
        assert await end_unfinished(journal, dispatcher.emit) == 0
        for number, payloads in enumerate(told, 1):
            found = await journal.find(JournalQuery(session=number, limit=1000))
            assert [stored.event.seq for stored in found] == list(range(1, len(found) + 1))
            ends = [msgspec.to_builtins(payload) for payload in expected.get(number, [])]
            if number in expected:
                added = [payload_of(stored.event) for stored in found[len(payloads) :]]
                assert [{**one, **{k: None for k in ("duration", "after_ms") if k in one}} for one in added] == ends
            assert found[-1].event.state in ("disconnected", "connect_error")
            assert sum(stored.event.state in ("disconnected", "connect_error") for stored in found) == 1
        await dispatcher.stop()
        await journal.stop()

    asyncio.run(main())


async def test_what_other_formats_need_is_told_too() -> None:
    """The ends of a subscriber's tracks, of a recording and of the client's socket are told, with the stream and that its peer
    had joined; a made-up event is no session; times are counted to the last sign of life."""
    times = iter(range(1_000, 100_000, 1_000))
    clock = Clock(wall=lambda: float(next(times)))
    journal = await Journal.start(None, clock=Clock())
    events = EventFactory(node=1, clock=clock, rng=random.Random(2))
    sink = Collector(takes_internal=True)
    dispatcher = await HookDispatcher.start([sink], clock=Clock(), rng=random.Random(1), journal=journal, events=events)
    life = SessionLife(5, peer="cam", scope="live", remote_ip="::1", clock=Clock())
    payloads = [*life.accept(), *life.transport_up(), *life.stream_start()]
    payloads += [
        LocalTrackPayload(session=5, track=1, event="local_track", kind=Kind.VIDEO),
        LocalTrackPayload(
            session=5, track=1, event="local_track_attached", remote_peer="cam", remote_track="video_main"
        ),
        RecordingPayload(session=5, event="recording_started", file="live/cam.webm"),
    ]
    context = Context(user_agent="Browser", stream="live/cam")
    for seq, payload in enumerate(payloads, 1):
        dispatcher.emit(payload, seq, connection(), context)
        if seq == 1:
            socket = WebSocketPayload(session=5, event="websocket_connected")
            dispatcher.emit(socket, seq, connection(), context)
    made_up = SessionPayload(session=9, state="connected")
    dispatcher.emit(made_up, 1, connection(), Context(synthetic=True))
    assert await end_unfinished(journal, dispatcher.emit) == 1
    found = await journal.find(JournalQuery(session=5, internal=True))
    ends = [stored.event for stored in found][len(payloads) + 1 :]
    assert [(one.state, one.seq, one.internal) for one in ends] == [
        ("websocket_disconnected", 6, True),
        ("local_track_detached", 7, False),
        ("recording_saved", 8, False),
        ("peer_leaved", 9, False),
        ("disconnected", 10, False),
    ]
    assert {one.context for one in ends} == {Context(user_agent="Browser", stream="live/cam", joined=True)}
    assert payload_of(ends[1])["remote_track"] == "video_main"
    # connecting at 1,000 s, the socket at 2,000, connected at 3,000, the last event at 8,000.
    assert payload_of(ends[4]) == {**payload_of(ends[4]), "duration": 5_000_000, "reason": 2, "error": None}
    await dispatcher.stop()
    await journal.stop()


ROOM = ("room_started", "room_all_left", "room_all_left", "room_stopped")


@pytest.mark.parametrize("told", range(1, len(ROOM) + 1))
async def test_a_room_is_ended_once(told: int) -> None:
    """However far a room came, the next start says that all left, unless it was told last, and that it stopped, once."""
    journal = await Journal.start(None, clock=Clock())
    dispatcher = await HookDispatcher.start([], clock=Clock(), rng=random.Random(1), journal=journal)
    for seq, event in enumerate(ROOM[:told], 1):
        payload = RoomPayload(session=7, room="live", event=event, peers=seq)
        dispatcher.emit(payload, seq, connection(), Context())
    assert await end_unfinished(journal, dispatcher.emit) == (told < len(ROOM))
    assert await end_unfinished(journal, dispatcher.emit) == 0
    found = [stored.event for stored in await journal.find(JournalQuery(session=7))]
    left = () if ROOM[told - 1] != "room_started" else ("room_all_left",)
    assert [event.state for event in found] == [*ROOM[: min(told, 3)], *left, "room_stopped"]
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    assert all(payload_of(event)["room"] == "live" for event in found)
    await dispatcher.stop()
    await journal.stop()


@pytest.mark.parametrize("joined", [1, 3])
def test_the_end_of_a_room_has_one_uuid(joined: int) -> None:
    """Another node that ends the room of a node it holds for dead, and that node itself, write the same events.

    However many peers have come since: only the node itself has counted them.
    """
    states: list[Unfinished | None] = []

    def member(node: int) -> ClusterEvents:
        return ClusterEvents(
            node=node, clock=Clock(), rng=random.Random(node), on_changed=lambda _, state: states.append(state)
        )

    def uuid(seq: int, event: str, peers: int) -> str:
        payload = RoomPayload(session=7, room="live", event=event, peers=peers)
        made = one.make(payload, seq, connection())
        one.published(made, Context())
        return made.uuid

    one = member(1)
    uuid(1, "room_started", 1)
    (state,) = states
    assert state is not None
    told = [event for event, _ in member(2).ends(state)]
    assert [(event.payload.event, event.seq) for event in told] == [("room_all_left", 2), ("room_stopped", 3)]  # type: ignore[union-attr]
    assert [event.uuid for event in told] == [uuid(2, "room_all_left", joined), uuid(3, "room_stopped", joined)]
    assert states[-1] is None
