"""Synthetic events: what a receiver would be sent, without a browser to cause it.

They take the way of all events: journalled, delivered to every sink, shown on the webhook socket.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Context, EncodedEvent
from smproxy.signaling.clock import MAX_SESSION_NUMBER, session_number
from smproxy.signaling.hook_names import NAMES, STATES
from smproxy.signaling.params import META_DEPTH, META_LIMIT, NAME_LIMIT, deeper_than, is_scope
from smproxy.signaling.payloads import (
    ConnectError,
    Connection,
    Kind,
    LocalTrackPayload,
    Payload,
    PeerPayload,
    Reason,
    RecordingPayload,
    RemoteTrackPayload,
    Role,
    RoomPayload,
    RouteError,
    RoutePayload,
    SessionPayload,
    StatsPayload,
)

T = TypeVar("T")

#: Sessions of triggered events whose sequence goes on when they are named again.
MAX_SESSIONS = 1_000

USER_AGENT = "smproxy hooks trigger"

_TRACKS = {"audio_main": Kind.AUDIO, "video_main": Kind.VIDEO}


class TriggerError(ValueError):
    """An event that cannot be made: one line that says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class _Template:
    """What an event has beside ``session`` and its state, with example values.

    Other fields are null in it.
    """

    payload: type[Payload]
    values: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = False
    role: Role = Role.PUBLISHER

    @property
    def state_field(self) -> str:
        return "state" if self.payload is SessionPayload else "event"


_FILE = "live/test-stream.webm"
_MEDIA = {"packets": 13_000, "bytes": 9_000_000, "lost": 3, "bitrate": 1_200_000}
_SOURCE = {"remote_peer": "test-stream", "remote_track": "video_main"}

#: Every state there is.
TEMPLATES: Mapping[str, _Template] = {
    "connecting": _Template(SessionPayload, {"remote_ip": "127.0.0.1"}),
    "connected": _Template(SessionPayload, {"remote_ip": "127.0.0.1", "after_ms": 400}),
    "connect_error": _Template(SessionPayload, {"after_ms": 400, "error": ConnectError.TIMEOUT}),
    "reconnect": _Template(SessionPayload, {"remote_ip": "127.0.0.1"}, True),
    "reconnected": _Template(SessionPayload, {"remote_ip": "127.0.0.1", "after_ms": 1200}, True),
    "disconnected": _Template(SessionPayload, {"duration": 60_000, "reason": Reason.USER_ACTION}, True),
    "peer_joined": _Template(PeerPayload, {"peer": None, "room": None}),
    "peer_leaved": _Template(PeerPayload, {"peer": None, "room": None}, True),
    "remote_track_started": _Template(RemoteTrackPayload, {"track": "video_main", "kind": None}, True),
    "remote_track_muted": _Template(RemoteTrackPayload, {"track": "video_main", "kind": None}, True),
    "remote_track_unmuted": _Template(RemoteTrackPayload, {"track": "video_main", "kind": None}, True),
    "remote_track_ended": _Template(RemoteTrackPayload, {"track": "video_main", "kind": None}, True),
    "recording_started": _Template(RecordingPayload, {"file": _FILE}, True),
    "recording_saved": _Template(RecordingPayload, {"file": _FILE, "duration": 60_000, "size": 7_500_000}, True),
    "recording_failed": _Template(RecordingPayload, {"file": _FILE, "error": "the disk is full"}, True),
    "local_track": _Template(LocalTrackPayload, {"track": 1, "kind": None}, True, Role.SUBSCRIBER),
    "local_track_attached": _Template(LocalTrackPayload, {"track": 1, **_SOURCE}, True, Role.SUBSCRIBER),
    "local_track_detached": _Template(LocalTrackPayload, {"track": 1, **_SOURCE}, True, Role.SUBSCRIBER),
    "stats": _Template(StatsPayload, {**_MEDIA, "rtt_ms": 20.0}, True),
    "route_begin": _Template(RoutePayload, {"remote_ip": "127.0.0.1"}),
    "route_success": _Template(RoutePayload, {"after_ms": 5, "origin": "127.0.0.1:5081"}),
    "route_error": _Template(RoutePayload, {"after_ms": 5, "origin": "127.0.0.1:5081", "error": RouteError.TIMEOUT}),
    "room_started": _Template(RoomPayload, {"room": None, "peers": 1}),
    "room_all_left": _Template(RoomPayload, {"room": None, "peers": 2}),
    "room_stopped": _Template(RoomPayload, {"room": None, "peers": 2, "duration": 60_000}),
}

_CONNECTION: Mapping[str, Any] = {
    "id": "test-stream",
    "username": None,
    "customerScope": "test",
    "recording": False,
    "meta": None,
    "app": "live",
}


class Trigger:
    """Makes synthetic events and publishes them through the dispatcher."""

    def __init__(self, dispatcher: HookDispatcher, *, rng: random.Random) -> None:
        self._dispatcher = dispatcher
        self._rng = rng
        # The last sequence number of each session that began here.
        self._sessions: OrderedDict[int, int] = OrderedDict()

    async def fire(self, name: str, params: Mapping[str, Any] | None = None) -> EncodedEvent:
        """Publish the event or state ``name``, with ``params`` in place of the example values.

        ``params`` are fields of the payload or of ``connection``; text is read as the type of its field. ``session`` may name
        a session that an earlier call began: its sequence goes on.

        Raises:
            TriggerError: there is no such event or field, or a value is not one that the schema allows.
        """
        given = dict(params or {})
        _check_limits(given)
        template, state = _template(name, given)
        number = given.pop("session", None)
        connection = _connection(template, given)
        values: dict[str, Any] = {**template.values, **given, template.state_field: state}
        if number is None:
            session = session_number(self._rng)
        else:
            session = _converted(number, int, "session")
            if not 1 <= session <= MAX_SESSION_NUMBER:
                raise TriggerError(f"session={str(session)[:80]}: it is a whole number from 1 to {MAX_SESSION_NUMBER}")
            if session not in self._sessions:
                raise TriggerError(f"session={session} is a session that was not begun by a trigger: leave it out")
        payload = _payload(template, {**_completed(template, values, connection), "session": session})
        context = Context(
            user_agent=USER_AGENT, stream=_stream(payload, connection), joined=template.joined, synthetic=True
        )
        event = self._dispatcher.emit(payload, self._next(session), connection, context)
        assert event is not None, "no template makes an internal event"
        return event

    def _next(self, session: int) -> int:
        sequence = self._sessions.pop(session, 0) + 1
        self._sessions[session] = sequence
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return sequence


def _check_limits(given: Mapping[str, Any]) -> None:
    """Refuse what no connection can have: see :mod:`smproxy.signaling.params`."""
    for key, value in given.items():
        if isinstance(value, str) and key != "meta":
            if len(value) > NAME_LIMIT:
                raise TriggerError(f"{_shown(key)} is longer than {NAME_LIMIT} characters")
            if not value.isprintable():
                raise TriggerError(f"{_shown(key)} has a control character in it")


def _read_meta(value: Any) -> Any:
    """Read ``meta``, which is an object, or one in JSON, within the limits of a connection."""
    try:
        text = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        if len(text) > META_LIMIT:
            raise TriggerError(f"meta: it is longer than {META_LIMIT} bytes")
        read = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, TriggerError):
            raise
        raise TriggerError("meta: it takes a JSON object") from None
    if deeper_than(read, META_DEPTH):
        raise TriggerError(f"meta: it is nested deeper than {META_DEPTH} levels")
    return read


def _template(name: str, given: dict[str, Any]) -> tuple[_Template, str]:
    """Find the template that a name means and take the state out of the parameters."""
    if name not in NAMES:
        raise TriggerError(f"there is no event {_shown(name)}: choose one of {', '.join(NAMES)}")
    state = STATES[name][0] if name in STATES else name
    template = TEMPLATES[state]
    asked = given.pop(template.state_field, state)
    if name in STATES:
        if asked not in STATES[name]:
            known = ", ".join(STATES[name])
            raise TriggerError(f"{template.state_field}={_shown(asked)}: of {name} it is one of {known}")
        return TEMPLATES[asked], asked
    if asked != state:
        raise TriggerError(f"{template.state_field}={_shown(asked)} is not what {name} says")
    return template, state


def _connection(template: _Template, given: dict[str, Any]) -> Connection:
    """Make the connection of its parameters, and check that the rest is for the payload."""
    values = {**_CONNECTION, "role": template.role}
    for key in list(given):
        if key in values:
            values[key] = given.pop(key)
        elif key not in template.values:
            known = ", ".join([*template.values, "session", *values])
            raise TriggerError(f"{_shown(key)} is no field of this event: it has {known}")
    values["meta"] = _read_meta(values["meta"])
    connection = _converted(values, Connection, "")
    if connection.app is not None and not is_scope(connection.app):
        raise TriggerError(f"app={_shown(connection.app)} is not a scope path")
    return connection


def _completed(template: _Template, values: dict[str, Any], connection: Connection) -> dict[str, Any]:
    """Fill in what follows from other values, and check what must agree with them."""
    if template.payload is PeerPayload:
        peer = connection.id if connection.role is Role.PUBLISHER else connection.username or connection.id
        values["peer"] = values["peer"] if values["peer"] is not None else peer
        values["room"] = values["room"] if values["room"] is not None else connection.app
    elif template.payload is RoomPayload:
        values["room"] = values["room"] if values["room"] is not None else connection.app
    elif template.payload is RemoteTrackPayload:
        if not isinstance(values["track"], str) or values["track"] not in _TRACKS:
            raise TriggerError(f"track={_shown(values['track'])}: it is one of {', '.join(_TRACKS)}")
        _agree(values, _TRACKS[values["track"]])
    elif template.payload is LocalTrackPayload:
        values["track"] = _converted(values["track"], Kind, "track").value
        if "kind" in values:
            _agree(values, Kind(values["track"]))
    return values


def _agree(values: dict[str, Any], kind: Kind) -> None:
    if values["kind"] is None:
        values["kind"] = kind
    elif _converted(values["kind"], Kind, "kind") is not kind:
        raise TriggerError(f"kind={_shown(values['kind'])}: of track {values['track']} it is {kind.value}")


def _payload(template: _Template, values: dict[str, Any]) -> Payload:
    payload = _converted(values, template.payload, "")
    for key in template.values:
        value = getattr(payload, key)
        if value is None:
            raise TriggerError(f"{key}: this event has a value there")
        if key in {"after_ms", "duration"} and not 0 <= value <= MAX_SESSION_NUMBER:
            raise TriggerError(f"{key}={str(value)[:80]}: it takes milliseconds, from 0 on")
    return payload


def _stream(payload: Payload, connection: Connection) -> str:
    if isinstance(payload, PeerPayload):
        return f"{payload.room}/{payload.peer}"
    return f"{connection.app}/{connection.id}"


def _converted(value: Any, kind: type[T], name: str) -> T:
    """Read a value as a type of the schema, text included."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        text = str(error)
        raise TriggerError(f"{name}: {text}" if name else text.replace(" - at `$.", " in `")) from None


def _shown(value: object) -> str:
    return repr(str(value)[:80])
