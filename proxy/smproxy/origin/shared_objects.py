"""Shared objects: named properties and messages that all members of an object get. Sans-I/O.

Sources: Red5 Pro HTML SDK, ``SHARED_OBJECT_README``; what travels is read from SDK 5.0.0, 7.2.2 and 11.0.0. An object belongs
to a scope of a customer scope, is made by the first who asks for it, and is gone with its last member.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Raw, UnsetType

from smproxy.log_fields import About
from smproxy.origin.effects import SharedObjectAction, SharedObjectRequest
from smproxy.origin.token_bucket import TokenBucket
from smproxy.signaling.node_channel import SharedObjectState

_log = logging.getLogger(__name__)

#: Objects of an origin, and of one member.
MAX_OBJECTS = 1000
MAX_JOINED = 50
MAX_MEMBERS = 500
MAX_PROPERTIES = 200
#: Characters of a name, a key or a method.
MAX_TEXT = 256
#: Bytes of one value or message, and of all properties of an object.
MAX_VALUE = 16_384
MAX_BYTES = 262_144
#: Changes and messages of one member, a second and at once.
RATE = 100.0
BURST = 200.0

Place = tuple[str, str]
"""The customer scope and the scope of an object."""


class Member(Protocol):
    """A client that may join shared objects. It is compared by identity."""

    attempt: str

    @property
    def about(self) -> About:
        """The session, for the log."""

    def send_shared_object(self, text: str) -> None:
        """Send a message of an object on the transport where the client listens."""


class RequestRefused(Exception):
    """A request cannot be done; the message is a sentence."""


class _Request(msgspec.Struct):
    name: str
    key: str | UnsetType = UNSET
    value: Raw | UnsetType = UNSET
    method: str | UnsetType = UNSET
    message: Raw | UnsetType = UNSET
    #: SDK 5 has these for ``method`` and ``message``.
    call: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


_request_decoder = msgspec.json.Decoder(_Request)
_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class _SharedObject:
    name: str
    #: Counts the changes.
    version: int = 0
    properties: dict[str, Raw] = field(default_factory=dict)
    members: dict[Member, None] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(len(key) + len(bytes(value)) for key, value in self.properties.items())


@dataclass(slots=True)
class _Joined:
    may_change: TokenBucket
    objects: dict[tuple[Place, str], None] = field(default_factory=dict)


class SharedObjects:
    """The shared objects of one origin."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._objects: dict[tuple[Place, str], _SharedObject] = {}
        self._joined: dict[Member, _Joined] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def joined(self, member: Member) -> bool:
        """Return whether a client is a member of any object."""
        return member in self._joined

    def take(self, request: SharedObjectRequest, place: Place, member: Member) -> None:
        """Do what a client asks; it gets a status, and all members get what changed.

        What cannot be done is answered with the status ``Fail`` and a ``reason``; the SDK looks at that of the first two only.
        """
        name = ""
        try:
            asked = _read(request.value)
            name = asked.name
            self._do(request.action, asked, place, member)
        except RequestRefused as refusal:
            _log.warning(
                "attempt %s: shared object %.100r: %s: %s",
                member.attempt,
                name,
                request.action.value,
                refusal,
                extra=member.about,
            )
            _reply(member, name, request.action, str(refusal))

    def _do(self, action: SharedObjectAction, asked: _Request, place: Place, member: Member) -> None:
        match action:
            case SharedObjectAction.GET_REMOTE:
                self._check_room((place, asked.name), member)
                _reply(member, asked.name, action)
            case SharedObjectAction.CONNECT:
                self._connect(place, asked.name, member)
            case SharedObjectAction.SET_PROPERTY:
                self._set_property(self._joined_object(place, asked.name, member), asked)
            case SharedObjectAction.SEND:
                self._send(self._joined_object(place, asked.name, member), asked)
            case SharedObjectAction.CLOSE:
                if member in self._joined and (place, asked.name) in self._joined[member].objects:
                    self._leave((place, asked.name), member)
                _reply(member, asked.name, action)

    def _check_room(self, key: tuple[Place, str], member: Member) -> _SharedObject | None:
        shared = self._objects.get(key)
        if shared is None and len(self._objects) >= MAX_OBJECTS:
            raise RequestRefused(f"there are {MAX_OBJECTS} shared objects already.")
        if shared is not None and member in shared.members:
            return shared
        if shared is not None and len(shared.members) >= MAX_MEMBERS:
            raise RequestRefused(f"it has {MAX_MEMBERS} members already.")
        if member in self._joined and len(self._joined[member].objects) >= MAX_JOINED:
            raise RequestRefused(f"this client has joined {MAX_JOINED} shared objects already.")
        return shared

    def _connect(self, place: Place, name: str, member: Member) -> None:
        key = (place, name)
        shared = self._check_room(key, member) or self._objects.setdefault(key, _SharedObject(name))
        if member not in self._joined:
            self._joined[member] = _Joined(TokenBucket(RATE, BURST, self._monotonic))
        shared.members[member] = None
        self._joined[member].objects[key] = None
        _reply(member, name, SharedObjectAction.CONNECT)
        member.send_shared_object(_update(name, value=shared.properties))

    def _joined_object(self, place: Place, name: str, member: Member) -> _SharedObject:
        joined = self._joined.get(member)
        if joined is None or (place, name) not in joined.objects:
            raise RequestRefused("connect to it first (sharedObjectConnect).")
        if not joined.may_change.take():
            raise RequestRefused(f"too many changes: {RATE:g} a second are passed on.")
        return self._objects[place, name]

    def _set_property(self, shared: _SharedObject, asked: _Request) -> None:
        key = _text(asked.key, "key")
        value = _value(asked.value, "value")
        if bytes(value) == b"null":
            if shared.properties.pop(key, None) is None:
                return
            event: dict[str, Any] = {"subtype": 9, "attribute": key}
        else:
            before = shared.properties.get(key)
            if before is None and len(shared.properties) >= MAX_PROPERTIES:
                raise RequestRefused(f"it has {MAX_PROPERTIES} properties already.")
            taken = shared.size - (0 if before is None else len(key) + len(bytes(before)))
            if taken + len(key) + len(bytes(value)) > MAX_BYTES:
                raise RequestRefused(f"its properties would be longer than {MAX_BYTES} bytes.")
            shared.properties[key] = value
            event = {"subtype": 4, "attribute": key, "value": value}
        shared.version += 1
        _send_to_all(shared, event)

    def _send(self, shared: _SharedObject, asked: _Request) -> None:
        method = _text(asked.method if asked.method is not UNSET else asked.call, "method")
        value = _value(asked.message if asked.message is not UNSET else asked.params, "message")
        _send_to_all(shared, {"subtype": 6, "method": method, "value": value})

    def _leave(self, key: tuple[Place, str], member: Member) -> None:
        shared = self._objects[key]
        shared.members.pop(member, None)
        if not shared.members:
            del self._objects[key]
        joined = self._joined[member].objects
        joined.pop(key, None)
        if not joined:
            del self._joined[member]

    def leave_all(self, member: Member) -> None:
        """Leave every object; an object without members is gone."""
        joined = self._joined.get(member)
        for key in tuple(joined.objects) if joined is not None else ():
            self._leave(key, member)

    def states(self) -> list[SharedObjectState]:
        """Return every object, in the order in which they were made."""
        return [
            SharedObjectState(
                name=shared.name,
                scope=scope,
                customer_scope=customer_scope,
                version=shared.version,
                members=[member.attempt for member in shared.members],
                properties=dict(shared.properties),
            )
            for ((customer_scope, scope), _), shared in self._objects.items()
        ]


def _read(value: bytes) -> _Request:
    try:
        asked = _request_decoder.decode(value)
    except (msgspec.DecodeError, RecursionError):
        raise RequestRefused('its value must be an object whose "name" is a text.') from None
    _text(asked.name, "name")
    return asked


def _text(text: str | UnsetType, key: str) -> str:
    if text is UNSET or not 0 < len(text) <= MAX_TEXT or not text.isprintable():
        raise RequestRefused(f'"{key}" must be a text of 1 to {MAX_TEXT} printable characters.')
    return text


def _value(value: Raw | UnsetType, key: str) -> Raw:
    """Return the JSON of a value; one that was left out, as ``undefined`` is, is ``null``."""
    if value is UNSET:
        return Raw(b"null")
    if len(bytes(value)) > MAX_VALUE:
        raise RequestRefused(f'"{key}" is longer than {MAX_VALUE} bytes.')
    return value.copy()  # a Raw keeps the whole frame alive


def _update(name: str, **content: Any) -> str:
    return _encoder.encode({"data": {"type": "sharedobject", "name": name, **content}}).decode()


def _send_to_all(shared: _SharedObject, event: dict[str, Any]) -> None:
    text = _update(shared.name, events=[event])
    for member in tuple(shared.members):
        member.send_shared_object(text)


def _reply(member: Member, name: str, action: SharedObjectAction, refusal: str | None = None) -> None:
    status: dict[str, str] = {
        "name": name[:MAX_TEXT],
        "status": f"SharedObject.Status.{action.value}",
        "message": "Success" if refusal is None else "Fail",
    }
    if refusal is not None:
        status["reason"] = refusal
    member.send_shared_object(_encoder.encode({"data": status}).decode())
