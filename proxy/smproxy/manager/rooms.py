"""The hooks of rooms: the first peer, the last one, and empty for long enough."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from smproxy.hooks.event import Context, PublishHook
from smproxy.signaling.clock import Clock, session_number
from smproxy.signaling.payloads import Connection, Payload, PeerPayload, RoomPayload


@dataclass(slots=True)
class _Room:
    """A room from its first peer to its end; ``present`` are the sessions in it."""

    number: int
    name: str
    connection: Connection
    began: float
    present: set[int]
    joined: int = 0
    hooks: int = 0
    timer: asyncio.TimerHandle | None = None


class Rooms:
    """Counts the peers of each room and publishes its hooks.

    A room is the path of an application, as ``peer`` hooks have it, of one customer scope. Its hooks are ``room_started``,
    then ``room_all_left`` whenever the last peer leaves, and ``room_stopped`` when it was empty for ``timeout`` seconds.
    """

    def __init__(self, publish: PublishHook, *, clock: Clock, rng: random.Random, timeout: float) -> None:
        self._publish = publish
        self._clock = clock
        self._rng = rng
        self._timeout = timeout
        self._rooms: dict[tuple[str | None, str], _Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def publish(self, payload: Payload, seq: int, connection: Connection, context: Context) -> object:
        """Publish a hook of a session, and those of its room that follow from it."""
        if not isinstance(payload, PeerPayload):
            return self._publish(payload, seq, connection, context)
        if payload.event == "peer_joined":
            self._joining(payload, connection)
        published = self._publish(payload, seq, connection, context)
        if payload.event == "peer_leaved":
            self._left(payload, connection)
        return published

    def stop(self) -> None:
        """End the rooms that are empty; end the sessions first, which empties the others."""
        for key, room in list(self._rooms.items()):
            if not room.present:
                self._end(key)

    def _joining(self, peer: PeerPayload, connection: Connection) -> None:
        key = (connection.customer_scope, peer.room)
        room = self._rooms.get(key)
        if room is None:
            number = session_number(self._rng)
            room = _Room(number, peer.room, connection, self._clock.monotonic(), set())
            self._rooms[key] = room
        if room.timer is not None:
            room.timer.cancel()
            room.timer = None
        room.present.add(peer.session)
        room.joined += 1
        if not room.hooks:
            self._emit(room, "room_started")

    def _left(self, peer: PeerPayload, connection: Connection) -> None:
        key = (connection.customer_scope, peer.room)
        room = self._rooms.get(key)
        if room is None or peer.session not in room.present:
            return
        room.present.remove(peer.session)
        if room.present:
            return
        room.connection = connection
        self._emit(room, "room_all_left")
        if self._timeout > 0:
            room.timer = asyncio.get_running_loop().call_later(self._timeout, self._end, key)
        else:
            self._end(key)

    def _end(self, key: tuple[str | None, str]) -> None:
        room = self._rooms.pop(key)
        if room.timer is not None:
            room.timer.cancel()
        self._emit(room, "room_stopped", round((self._clock.monotonic() - room.began) * 1000))

    def _emit(self, room: _Room, event: str, duration: int | None = None) -> None:
        room.hooks += 1
        payload = RoomPayload(session=room.number, room=room.name, event=event, peers=room.joined, duration=duration)
        self._publish(payload, room.hooks, room.connection, Context())
