"""The hook event: what happened, to which connection, and the bytes that are sent.

Thousands may wait. They hold no cycles, so the garbage collector need not know them (``gc=False``).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec

from smproxy.log_fields import About, about
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import EVENT_OF, INTERNAL_EVENTS, Connection, Payload, SessionPayload
from smproxy.trace_context import event_traceparent

_RANDOM_BITS = 74
_RANDOM_MASK = (1 << _RANDOM_BITS) - 1
_TIMESTAMP_MASK = (1 << 48) - 1


class HookEvent(msgspec.Struct, frozen=True, gc=False):
    """One lifecycle event. The fields are the JSON keys, in the order in which they are sent.

    ``ts`` is Unix time in milliseconds; ``seq`` counts 1, 2, 3 … within one session. In a cluster the events of a
    publisher whose stream has begun have the ``epoch`` of its owner: of two sessions of one stream that with the higher one is
    the later.
    """

    uuid: str
    node: int
    ts: int
    event: str
    payload: Payload
    seq: int
    connection: Connection
    epoch: int | msgspec.UnsetType = msgspec.UNSET


class Context(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Facts for formats other than ours: not part of the message, but journalled with it.

    ``stream`` is ``<scope>/<name>`` of what is published or watched, ``watcher`` the peer that watches it; ``joined`` says that
    ``peer_joined`` of the session was told before this event. ``synthetic``: nobody was connected, a person asked for the
    event; its session is never alive and needs no end. ``remote_ip``: the client's address.
    """

    user_agent: str | None = None
    stream: str | None = None
    watcher: str | None = None
    joined: bool = False
    synthetic: bool = False
    #: Of the stream's owner, in a cluster.
    epoch: int | None = None
    remote_ip: str | None = None
    #: The trace of the session, if there is one (W3C Trace Context).
    traceparent: str | None = None


#: Publishes a payload, with its number in the sequence of its session or room and the connection that it tells of.
PublishHook = Callable[[Payload, int, Connection, Context], object]


class EncodedEvent(msgspec.Struct, frozen=True, gc=False):
    """A :class:`HookEvent` on its way: what delivery needs to know about it, and its JSON.

    It is encoded once; every sink and every attempt sends these bytes. Events with the same ``session`` are delivered one
    after the other. ``connection_id``, ``customer_scope``, ``app`` and ``role`` are those of the connection.
    ``state`` is what happened within ``event``: ``connected``, ``peer_joined`` and so on.
    ``internal`` events (:data:`smproxy.signaling.payloads.INTERNAL_EVENTS`) are for formats that know them; their ``seq`` is
    that of the event before.
    """

    uuid: str
    session: int
    seq: int
    event: str
    state: str
    customer_scope: str | None
    ts: int
    body: bytes
    connection_id: str | None = None
    app: str | None = None
    role: str = ""
    context: Context = Context()
    internal: bool = False

    @property
    def traceparent(self) -> str | None:
        """The trace context of the event itself, for its receivers."""
        root = self.context.traceparent
        return None if root is None else event_traceparent(root, self.uuid)

    @property
    def about(self) -> About:
        """The session, for the log."""
        stream = self.context.stream
        name = None if stream is None else stream.rpartition("/")[2]
        return about(self.session, self.connection_id, self.customer_scope, name)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the journal. ``id`` grows with time and has gaps."""

    id: int
    event: EncodedEvent


def uuid7(ts_ms: int, tail: int) -> str:
    """Lay out 48 bits of time and 74 other bits as a UUID version 7 (RFC 9562, section 5.7)."""
    value = (ts_ms & _TIMESTAMP_MASK) << 80 | 0x7 << 76 | tail >> 62 << 64 | 0b10 << 62 | tail & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_encoder = msgspec.json.Encoder()


def encode(event: HookEvent, context: Context | None = None) -> EncodedEvent:
    """Turn an event into the bytes that are sent.

    Raises ``TypeError`` or ``ValueError`` for a payload or a ``meta`` that JSON cannot express.
    """
    try:
        body = _encoder.encode(event)
    except UnicodeEncodeError:
        # A lone surrogate in a client's meta is legal JSON, but only when it is escaped.
        body = json.dumps(msgspec.to_builtins(event), separators=(",", ":")).encode("ascii")
    payload = event.payload
    return EncodedEvent(
        uuid=event.uuid,
        session=payload.session,
        seq=event.seq,
        event=event.event,
        state=payload.state if isinstance(payload, SessionPayload) else payload.event,
        customer_scope=event.connection.customer_scope,
        ts=event.ts,
        body=body,
        connection_id=event.connection.id,
        app=event.connection.app,
        role=event.connection.role,
        context=context or Context(),
        internal=event.event in INTERNAL_EVENTS,
    )


class EventFactory:
    """Makes the events of one node, with the time and an identity that sorts in order."""

    def __init__(self, *, node: int, clock: Clock, rng: random.Random) -> None:
        self._node = node
        self._clock = clock
        self._rng = rng
        self._tail = rng.getrandbits(_RANDOM_BITS - 1)

    def make(self, payload: Payload, seq: int, connection: Connection) -> HookEvent:
        """Make the event for ``payload``, which happened now."""
        ts = self._clock.wall_ms()
        return HookEvent(self._identity(ts), self._node, ts, EVENT_OF[type(payload)], payload, seq, connection)

    def _identity(self, ts: int) -> str:
        # RFC 9562, section 6.2, method 2: the random part grows by a random step. Not only within one millisecond: with a
        # seed it is the same in every run, whatever the pace. It starts with its top bit free, enough for 2^41 events.
        self._tail = (self._tail + 1 + self._rng.getrandbits(32)) & _RANDOM_MASK
        return uuid7(ts, self._tail)
