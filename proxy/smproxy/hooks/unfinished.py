"""Which events of a session have no end yet, and what their ends are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from smproxy.hooks.event import Context, EncodedEvent
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
    RoomPayload,
    SessionPayload,
    WebSocketPayload,
)

_TYPE_OF: dict[str, type[Payload]] = {name: payload for payload, name in EVENT_OF.items()}


class _Head(msgspec.Struct):
    """What is needed of an event's JSON."""

    event: str
    payload: msgspec.Raw
    connection: Connection


_heads = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class MissingEnd:
    """The end that a start has not got. ``key`` names the start within its session."""

    payload: Payload
    key: str


class UnfinishedSession:
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
        self._remote: dict[str, tuple[Kind, int]] = {}
        self._local: dict[int, tuple[str | None, str | None, int]] = {}
        self._recording: tuple[RecordingPayload, int] | None = None
        #: The last event of a room.
        self._room: RoomPayload | None = None

    def see(self, event: EncodedEvent) -> None:
        """Take the next event of the session as it was journalled.

        Raises:
            msgspec.MsgspecError: it is none.
            KeyError: it is of an unknown kind.
        """
        head = _heads.decode(event.body)
        payload: Any = msgspec.json.decode(head.payload, type=_TYPE_OF[head.event])
        self.take(payload, event.seq, event.ts, head.connection, event.context)

    def take(self, payload: Payload, seq: int, ts: int, connection: Connection, context: Context) -> None:
        """Take the next event of the session."""
        self.number, self.context = payload.session, context
        self.joined |= context.joined
        match payload:
            case WebSocketPayload(event=what):
                self._socket = payload if what == "websocket_connected" else None
                return
            case SessionPayload(state=state):
                self._take_session(state, ts)
            case PeerPayload(event=what):
                self._peer = payload if what == "peer_joined" else None
                self.joined = True  # which the context of an event made before does not say
            case RemoteTrackPayload(event=what, track=track, kind=kind):
                if what == "remote_track_started":
                    self._remote[track] = kind, seq
                elif what == "remote_track_ended":
                    self._remote.pop(track, None)
            case LocalTrackPayload(event=what, track=slot):
                if what == "local_track_attached":
                    self._local[slot] = payload.remote_peer, payload.remote_track, seq
                else:
                    self._local.pop(slot, None)
            case RecordingPayload(event=what):
                self._recording = (payload, seq) if what == "recording_started" else None
            case RoomPayload(event=what):
                self._began = ts if self._began is None else self._began
                self._room = payload
                self.ended = what == "room_stopped"
        self.seq, self.connection = seq, connection

    def _take_session(self, state: str, ts: int) -> None:
        self._began = ts if self._began is None else self._began
        if state == "connected":
            self._connected = ts
        self.ended |= state in ("disconnected", "connect_error")

    def key_of(self, payload: Payload) -> str | None:
        """Return the key of the start that an event ends, ``None`` for what ends nothing."""
        match payload:
            case SessionPayload(state="disconnected" | "connect_error"):
                return "session"
            case PeerPayload(event="peer_leaved"):
                return "peer"
            case RemoteTrackPayload(event="remote_track_ended", track=track) if track in self._remote:
                return f"remote/{track}/{self._remote[track][1]}"
            case LocalTrackPayload(event="local_track_detached", track=slot) if slot in self._local:
                return f"local/{slot}/{self._local[slot][2]}"
            case RecordingPayload(event="recording_saved") if self._recording is not None:
                return f"recording/{self._recording[1]}"
            case RoomPayload(event="room_all_left"):
                # Not by its peers: who ends the room of a dead node cannot know how many have joined.
                return f"left/{self.seq + 1}"
            case RoomPayload(event="room_stopped"):
                return "room"
        return None

    def ends(self, until: int) -> list[MissingEnd]:
        """Return the missing ends, in order.

        ``until``: Unix time in milliseconds up to which the session lived for certain.
        """
        ends: list[Payload] = []
        if self._room is not None:
            return [] if self.ended else self._room_ends(self._room, until)
        if self.ended:
            return [] if self._recording is None else [self._missing(self._recording_end(self._recording[0]))]
        if self._socket is not None:
            ends.append(WebSocketPayload(session=self.number, event="websocket_disconnected"))
        for track, (kind, _) in self._remote.items():
            ends.append(RemoteTrackPayload(session=self.number, track=track, kind=kind, event="remote_track_ended"))
        for slot, (peer, source, _) in self._local.items():
            ends.append(
                LocalTrackPayload(
                    session=self.number, track=slot, event="local_track_detached", remote_peer=peer, remote_track=source
                )
            )
        if self._recording is not None:
            ends.append(self._recording_end(self._recording[0]))
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
        return [self._missing(payload) for payload in ends]

    def _room_ends(self, last: RoomPayload, until: int) -> list[MissingEnd]:
        """Return the missing ends of a room.

        Its peers are gone, and nobody counted who joined since its last event.
        """
        duration = max(0, until - (self._began or until))
        left = [] if last.event == "room_all_left" else [msgspec.structs.replace(last, event="room_all_left")]
        return [
            self._missing(each)
            for each in (*left, msgspec.structs.replace(last, event="room_stopped", duration=duration))
        ]

    @staticmethod
    def _recording_end(started: RecordingPayload) -> RecordingPayload:
        # Its file is valid up to the last second; how long it is, nobody has counted.
        return msgspec.structs.replace(started, event="recording_saved")

    def _missing(self, payload: Payload) -> MissingEnd:
        return MissingEnd(payload, self.key_of(payload) or "socket")


def end_uuid(session: int, key: str) -> str:
    """Return the uuid of the event that ends a start, the same whoever writes it.

    A UUID of version 8 (RFC 9562, 5.8). A cluster needs it: the end of a dead node's session is written by another node, and by
    itself when it comes back.
    """
    digest = bytearray(hashlib.sha256(f"{session}/{key}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
