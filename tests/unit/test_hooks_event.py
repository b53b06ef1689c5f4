"""The event: its JSON, its identity."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.hooks.event import EventFactory, encode, uuid7
from smproxy.signaling.clock import MAX_SESSION_NUMBER, Clock
from smproxy.signaling.payloads import (
    ConnectError,
    Kind,
    LocalTrackPayload,
    Payload,
    PeerPayload,
    Reason,
    RecordingPayload,
    RemoteTrackPayload,
    Role,
    SessionPayload,
)

from tests.hooks_support import NOW, connection, hook_event


def make(payload: Payload, **changes: Any) -> Any:
    """Encode one event at the time NOW and read it as a receiver would."""
    factory = EventFactory(node=3, clock=Clock(wall=lambda: NOW), rng=random.Random(1))
    encoded = encode(factory.make(payload, 5, connection(**changes)))
    return json.loads(encoded.body, object_pairs_hook=list)


def test_keys_come_in_the_documented_order() -> None:
    """The envelope, the payload and the connection have exactly the documented keys, in that order, nulls included."""
    message = make(SessionPayload(session=9, state="connected", remote_ip="10.0.0.1", after_ms=812))
    assert [key for key, _ in message] == ["uuid", "node", "ts", "event", "payload", "seq", "connection"]
    fields = dict(message)
    assert (fields["node"], fields["ts"], fields["event"], fields["seq"]) == (3, int(NOW * 1000), "session", 5)
    assert fields["payload"] == [
        ("session", 9),
        ("state", "connected"),
        ("remote_ip", "10.0.0.1"),
        ("after_ms", 812),
        ("duration", None),
        ("reason", None),
        ("error", None),
        ("message", None),
    ]
    assert fields["connection"] == [
        ("id", "cam-1"),
        ("username", "ann"),
        ("customerScope", "acme"),
        ("recording", True),
        ("meta", [("room", "A")]),
        ("app", "live"),
        ("role", "publisher"),
        ("transport", "websocket"),
    ]


@pytest.mark.parametrize(
    ("payload", "event", "state", "expected"),
    [
        (
            SessionPayload(session=9, state="disconnected", duration=7, reason=Reason.KICKED),
            "session",
            "disconnected",
            '{"session":9,"state":"disconnected","remote_ip":null,"after_ms":null,"duration":7,"reason":3,"error":null,"message":null}',
        ),
        (
            SessionPayload(session=9, state="connect_error", after_ms=1, error=ConnectError.INVALID_SDP),
            "session",
            "connect_error",
            '{"session":9,"state":"connect_error","remote_ip":null,"after_ms":1,"duration":null,"reason":null,"error":0,"message":null}',
        ),
        (
            PeerPayload(session=9, peer="cam-1", room="live", event="peer_joined"),
            "peer",
            "peer_joined",
            '{"session":9,"peer":"cam-1","room":"live","event":"peer_joined"}',
        ),
        (
            RemoteTrackPayload(session=9, track="audio_main", kind=Kind.AUDIO, event="remote_track_started"),
            "remote_track",
            "remote_track_started",
            '{"session":9,"track":"audio_main","kind":0,"event":"remote_track_started"}',
        ),
        (
            LocalTrackPayload(session=9, track=1, event="local_track", kind=Kind.VIDEO),
            "local_track",
            "local_track",
            '{"session":9,"track":1,"event":"local_track","kind":1,"remote_peer":null,"remote_track":null}',
        ),
        (
            RecordingPayload(session=9, event="recording_saved", file="live/cam.webm", duration=1500, size=9),
            "recording",
            "recording_saved",
            '{"session":9,"event":"recording_saved","file":"live/cam.webm","duration":1500,"size":9,"error":null}',
        ),
    ],
)
def test_each_payload_as_documented(payload: Payload, event: str, state: str, expected: str) -> None:
    """Each payload is sent under its event's name with its keys in order; numbers are numbers."""
    factory = EventFactory(node=1, clock=Clock(wall=lambda: NOW), rng=random.Random(1))
    encoded = encode(factory.make(payload, 1, connection()))
    assert f'"event":"{event}","payload":{expected},"seq":1'.encode() in encoded.body
    assert (encoded.event, encoded.state, encoded.session) == (event, state, 9)


def test_a_connection_that_says_nothing_is_all_nulls() -> None:
    """What the URL did not give is present as null."""
    message = make(
        SessionPayload(session=MAX_SESSION_NUMBER, state="connecting"),
        id=None, username=None, customer_scope=None, recording=False, meta=None, app=None, role=Role.SUBSCRIBER,
    )  # fmt: skip
    values = [value for _, value in dict(message)["connection"]]
    assert values == [None, None, None, False, None, None, "subscriber", "websocket"]
    assert dict(dict(message)["payload"])["session"] == 2**53 - 1


def test_a_lone_surrogate_in_meta_is_sent_escaped() -> None:
    """Meta that only escaped JSON can hold reaches the receiver as the client wrote it, in the same layout."""
    message = make(SessionPayload(session=9, state="connecting"), meta={"name": "\ud800"})
    assert [key for key, _ in message] == ["uuid", "node", "ts", "event", "payload", "seq", "connection"]
    assert dict(dict(message)["connection"])["meta"] == [("name", "\ud800")]


@given(st.integers(0, 2**48 - 1), st.integers())
def test_uuid7_carries_its_time(ts: int, seed: int) -> None:
    """A UUID is of version 7 and the RFC's variant, in the usual writing, and its first 48 bits are the time."""
    text = uuid7(ts, random.Random(seed).getrandbits(74))
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == ts


def test_uuid7_uses_every_random_bit() -> None:
    """Over many draws each of the 74 bits that are not time, version or variant is seen as 0 and as 1."""
    rng = random.Random(4)
    draws = [uuid.UUID(uuid7(0, rng.getrandbits(74))).int for _ in range(200)]
    ones, zeros = 0, 0
    for draw in draws:
        ones |= draw
        zeros |= ~draw
    random_bits = (1 << 80) - 1 & ~(0xF << 76) & ~(0b11 << 62)
    assert ones & zeros & ((1 << 80) - 1) == random_bits


def test_identities_sort_in_the_order_of_making() -> None:
    """Events of one process that are made in the same millisecond have different identities that sort as they were made."""
    ticks = iter([1.0] * 5000 + [1.001] * 5000)
    factory = EventFactory(node=1, clock=Clock(wall=lambda: next(ticks)), rng=random.Random(2))
    made = [factory.make(SessionPayload(session=1, state="connecting"), 1, connection()).uuid for _ in range(10_000)]
    assert made == sorted(set(made))


def test_identities_do_not_depend_on_the_pace() -> None:
    """With the same seed the random parts of the identities are the same, whichever events share a millisecond."""

    def made(seconds: list[float]) -> list[str]:
        ticks = iter(seconds)
        factory = EventFactory(node=1, clock=Clock(wall=lambda: next(ticks)), rng=random.Random(2))
        payload = SessionPayload(session=1, state="connecting")
        return [factory.make(payload, 1, connection()).uuid[14:] for _ in seconds]

    assert made([1.0, 1.0, 1.0, 1.002]) == made([5.0, 5.001, 5.002, 5.002])
    assert len(set(made([1.0, 1.001, 1.002]))) == 3


def test_the_same_seed_makes_the_same_bytes() -> None:
    """With clock and random source given, an event is reproducible to the byte."""
    assert encode(hook_event(3, 4)).body == encode(hook_event(3, 4)).body
    assert hook_event(3, 4).uuid != hook_event(3, 5).uuid
