"""After a crash: the ends that sessions of the process before never got."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from smproxy.hooks.event import Context, Stored
from smproxy.hooks.journal import Journal
from smproxy.signaling.payloads import (
    EVENT_OF,
    ConnectError,
    Connection,
    Kind,
    LocalTrackPayload,
    Payload,
    PeerPayload,
    Reason,
    RecordingPayload,
    RemoteTrackPayload,
    SessionPayload,
    WebSocketPayload,
)

logger = logging.getLogger(__name__)

#: Sessions that are looked at together.
_PAGE = 500

#: Makes an event of a payload, its number within the session, a connection and a context, and publishes it.
Emit = Callable[[Payload, int, Connection, Context], object]

_TYPE_OF: dict[str, type[Payload]] = {name: payload for payload, name in EVENT_OF.items()}


class _Head(msgspec.Struct):
    """What recovery needs of an event's JSON."""

    event: str
    payload: msgspec.Raw
    connection: Connection


_heads = msgspec.json.Decoder(_Head)


class Remains:
    """What is known of a session from its events: which of its starts have no end."""

    def __init__(self) -> None:
        self.number = 0
        self.seq = 0
        self.connection: Connection | None = None
        self.context = Context()
        self.ended = False
        self.joined = False
        self._began: int | None = None
        self._connected: int | None = None
        self._peer: PeerPayload | None = None
        self._socket: WebSocketPayload | None = None
        self._remote: dict[str, Kind] = {}
        self._local: dict[int, tuple[str | None, str | None]] = {}
        self._recording: RecordingPayload | None = None

    def see(self, stored: Stored) -> None:
        """Take the next event of the session. Raises ``msgspec.MsgspecError`` for what is not one."""
        event = stored.event
        head = _heads.decode(event.body)
        payload: Any = msgspec.json.decode(head.payload, type=_TYPE_OF[head.event])
        self.number, self.context = event.session, event.context
        self.joined |= event.context.joined
        match payload:
            case WebSocketPayload(event=what):
                self._socket = payload if what == "websocket_connected" else None
                return
            case SessionPayload(state=state):
                self._see_session(state, event.ts)
            case PeerPayload(event=what):
                self._peer = payload if what == "peer_joined" else None
                self.joined = True  # which the context of an event made before does not say
            case RemoteTrackPayload(event=what, track=track, kind=kind):
                if what == "remote_track_started":
                    self._remote[track] = kind
                else:
                    self._remote.pop(track, None)
            case LocalTrackPayload(event=what, track=slot):
                if what == "local_track_attached":
                    self._local[slot] = payload.remote_peer, payload.remote_track
                else:
                    self._local.pop(slot, None)
            case RecordingPayload(event=what):
                self._recording = payload if what == "recording_started" else None
        self.seq, self.connection = event.seq, head.connection

    def _see_session(self, state: str, ts: int) -> None:
        self._began = ts if self._began is None else self._began
        if state == "connected":
            self._connected = ts
        self.ended |= state in ("disconnected", "connect_error")

    def ends(self, until: int) -> list[Payload]:
        """Return the missing ends, in order.

        ``until``: Unix time in milliseconds up to which the session lived for certain.
        """
        ends: list[Payload] = []
        if self._socket is not None:
            ends.append(WebSocketPayload(session=self.number, event="websocket_disconnected"))
        for track, kind in self._remote.items():
            ends.append(RemoteTrackPayload(session=self.number, track=track, kind=kind, event="remote_track_ended"))
        for slot, (peer, source) in self._local.items():
            ends.append(
                LocalTrackPayload(
                    session=self.number, track=slot, event="local_track_detached", remote_peer=peer, remote_track=source
                )
            )
        if self._recording is not None:
            # Its file is valid up to the last second; how long it is, nobody has counted.
            ends.append(msgspec.structs.replace(self._recording, event="recording_saved"))
        if self._peer is not None:
            ends.append(msgspec.structs.replace(self._peer, event="peer_leaved"))
        # The beginning may have been deleted for want of space: a peer that joined was connected.
        if self._connected is not None or self._peer is not None:
            duration = max(0, until - (self._connected or self._began or until))
            ends.append(
                SessionPayload(
                    session=self.number, state="disconnected", duration=duration, reason=Reason.NODE_SHUTDOWN
                )
            )
        else:
            after = max(0, until - (self._began or until))
            ends.append(
                SessionPayload(
                    session=self.number, state="connect_error", after_ms=after, error=ConnectError.ORIGIN_ERROR
                )
            )
        return ends


async def end_unfinished(journal: Journal, emit: Emit) -> int:
    """Publish the ends that are missing in the journal and return how many sessions got one.

    Call it when the dispatcher has started and before anything else is published. What a session has not ended is ended in
    order: its tracks, its peer, then ``disconnected`` with reason 2 or ``connect_error`` with error 5; its ``seq`` goes on.
    Nobody knows when the process died: durations are counted up to the last event in the journal. Raises ``JournalError``.
    """
    until = await journal.latest_ts()
    ended, after = 0, 0
    while sessions := await journal.unfinished(after, _PAGE):
        after = sessions[-1][1]
        remains = {number: Remains() for number, _ in sessions}
        for stored in await journal.of_sessions(remains):
            try:
                remains[stored.event.session].see(stored)
            except (msgspec.MsgspecError, KeyError):
                logger.exception("hook event %s in the journal cannot be understood and is left out", stored.event.uuid)
        for one in remains.values():
            ended += _end(one, until, emit)
        await journal.flush()
    if ended:
        logger.warning("ended %d sessions that were alive when the process before this one died", ended)
    return ended


def _end(remains: Remains, until: int, emit: Emit) -> bool:
    connection = remains.connection
    if connection is None or remains.ended:
        return False
    seq, context = remains.seq, msgspec.structs.replace(remains.context, joined=remains.joined)
    for payload in remains.ends(until):
        seq += not isinstance(payload, WebSocketPayload)
        emit(payload, seq, connection, context)
    return True
