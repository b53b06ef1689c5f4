"""The formats of other servers: which of their hooks a life becomes, and what is in them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from smproxy.hooks.event import Context, EncodedEvent
from smproxy.hooks.formats.registry import FORMATS
from smproxy.signaling.payloads import ConnectError, Payload, Reason, Role

from tests.unit.test_hooks_formats import (
    AGENT,
    JOINED,
    PEER,
    PUBLISHER,
    SESSION,
    STREAM,
    SUBSCRIBER,
    made,
    projected,
    state,
)

#: As the manager makes it of a publisher and of a subscriber.
PUBLISHING = Context(user_agent=AGENT, stream=STREAM, joined=True, remote_ip="192.0.2.7")
WATCHING = msgspec.structs.replace(PUBLISHING, watcher="bob")


def names(format: str, role: Role) -> str:
    """Return how a format names what happens in a life."""
    life = PUBLISHER if role is Role.PUBLISHER else SUBSCRIBER
    context = PUBLISHING if role is Role.PUBLISHER else WATCHING
    hooks = [projected(format, made(payload, context=context, role=role)) for payload, _, _ in life]
    return " ".join(_name(hook) for hook in hooks if hook is not None)


def _name(hook: dict[str, Any]) -> str:
    if "request" in hook:
        return f"{hook['request']['status']},{hook['request']['direction']}"
    event = hook.get("event") or hook["action"]
    return event if isinstance(event, str) else next(iter(event["Peer"]["event"]))


LIVES: dict[str, tuple[str, str]] = {
    "livekit": (
        "room_started participant_joined track_published track_published track_unpublished track_unpublished "
        "participant_left room_finished",
        "participant_joined participant_left",
    ),
    "antmedia": ("liveStreamStarted liveStreamEnded vodReady", "playStarted playStopped"),
    "ome": ("opening,incoming closing,incoming", "opening,outgoing closing,outgoing"),
    "srs": ("on_publish on_unpublish on_dvr", "on_play on_stop"),
    "atm0s": (
        "Connecting Connected Join RemoteTrackStarted RemoteTrackStarted Reconnect Reconnected RemoteTrackEnded "
        "RemoteTrackEnded Leave Disconnected",
        "Connecting Connected Join LocalTrack LocalTrackAttach LocalTrackAttach LocalTrackDetach Leave Disconnected",
    ),
    "atm0s-quirks": (
        "Connecting Connected Join RemoteTrackStarted RemoteTrackStarted Reconnect Reconnected RemoteTrackEnded "
        "RemoteTrackEnded Disconnected Leave",
        "Connecting Connected Join LocalTrack LocalTrackAttach LocalTrackAttach LocalTrackDetach Disconnected Leave",
    ),
}


@pytest.mark.parametrize("format", LIVES)
def test_lives(format: str) -> None:
    """A publisher's and a subscriber's life become the hooks that the server has, in order, each start with its end."""
    assert (names(format, Role.PUBLISHER), names(format, Role.SUBSCRIBER)) == LIVES[format]


SAMPLES = {
    "srs": b'{"server_id":"vid-0000003","service_id":"3","action":"on_publish","client_id":"13d04d9a0d4dc3","ip":"192.0.2.7",'
    b'"vhost":"__defaultVhost__","app":"live/room1","tcUrl":"webrtc://__defaultVhost__/live/room1","stream":"cam-1","param":"",'
    b'"stream_url":"/live/room1/cam-1","stream_id":"vid-',
    "antmedia": b'{"id":"cam-1","action":"liveStreamStarted","streamName":"cam-1","category":"acme","app":"live/room1",',
    "ome": b'{"client":{"address":"192.0.2.7","port":0,"real_ip":"192.0.2.7","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"},'
    b'"request":{"direction":"incoming","protocol":"webrtc","status":"opening","url":"ws://127.0.0.1/live/room1/cam-1",'
    b'"time":"2026-09-21T14:13:20.123Z"}}',
    "livekit": b'{"event":"participant_joined","room":{"sid":"RM_',
    "atm0s": b'{"node":3,"ts":1790000000123,"event":{"Peer":{"app":"acme","session_id":5710854954954525697,'
    b'"event":{"Join":{"room":"live/room1","peer":"cam-1"}}}}}',
}


@pytest.mark.parametrize("format", SAMPLES)
def test_keys_and_values(format: str) -> None:
    """The keys have the server's names and order."""
    body = FORMATS[format].project(made(PEER, context=PUBLISHING))
    assert body is not None
    expected = SAMPLES[format].replace(b"5710854954954525697", str(SESSION << 10 | 1).encode())
    assert body.replace(f"{SESSION:x}".encode(), b"13d04d9a0d4dc3").startswith(expected), body


def atm0s(format: str, payload: Payload, context: Context = JOINED) -> dict[str, Any]:
    """Return the fields of an atm0s event."""
    event = projected(format, made(payload, context=context))["event"]["Peer"]["event"]
    fields: dict[str, Any] = next(iter(event.values()))
    return fields


def test_atm0s_numbers() -> None:
    """Reasons and errors are those that atm0s has; with its quirks all numbers are 0."""
    for reason, shown in zip(Reason, (0, 1, 2, 3, 2, 3, 3, 3), strict=True):
        ended = state("disconnected", duration=9, reason=reason)
        assert atm0s("atm0s", ended) == {"duration_ms": 9, "reason": shown}
    for error in ConnectError:
        failed = state("connect_error", after_ms=9, error=error)
        assert atm0s("atm0s", failed) == {"after_ms": 9, "error": min(error, 1)}
        assert atm0s("atm0s-quirks", failed) == {"after_ms": 0, "error": 0}
    connected = state("connected", after_ms=9, remote_ip="192.0.2.7")
    assert atm0s("atm0s-quirks", connected) == {"after_ms": 0, "remote_ip": "192.0.2.7"}
    left = state("disconnected", duration=9, reason=Reason.TIMEOUT)
    assert atm0s("atm0s-quirks", left) == {"room": "live/room1", "peer": "cam-1"}
    assert atm0s("atm0s-quirks", left, Context(joined=False)) == {"duration_ms": 0, "reason": 0}


@pytest.mark.parametrize("format", LIVES)
def test_a_refused_client(format: str) -> None:
    """A client that was refused, of which neither name nor stream is known, breaks no format."""
    event: EncodedEvent = made(
        state("connect_error", error=ConnectError.REJECTED), context=Context(), id=None, app=None
    )
    hook = projected(format, event)
    assert (hook is None) == (format not in ("livekit", "atm0s", "atm0s-quirks"))
