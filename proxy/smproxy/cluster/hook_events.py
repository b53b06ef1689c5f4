"""The hook events of a node in a cluster: ends whose uuids every node would give them."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from smproxy.cluster.records import End, Unfinished
from smproxy.hooks.event import Context, EventFactory, HookEvent
from smproxy.hooks.unfinished import UnfinishedSession, end_uuid
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import EVENT_OF, Connection, Payload, WebSocketPayload

_TYPES: dict[str, type[Payload]] = {name: payload for payload, name in EVENT_OF.items()}

_MAX_FOREIGN = 10_000


class ClusterEvents(EventFactory):
    """Makes the events of one node, and keeps what the others need to end its sessions.

    ``on_changed`` is called with the number of a session and what it has no end of, ``None`` once it has ended.
    """

    def __init__(
        self,
        *,
        node: int,
        clock: Clock,
        rng: random.Random,
        on_changed: Callable[[int, Unfinished | None], None],
    ) -> None:
        super().__init__(node=node, clock=clock, rng=rng)
        self._number = node
        self._wall_ms = clock.wall_ms
        self._sessions: dict[int, UnfinishedSession] = {}
        self._on_changed = on_changed
        #: Sessions of other nodes that this one has ended.
        self._foreign: dict[int, None] = {}

    def found(self, session: UnfinishedSession) -> None:
        """Take a session that the process before this one left without an end."""
        self._sessions[session.number] = session

    def make(self, payload: Payload, seq: int, connection: Connection) -> HookEvent:
        """Make the event for ``payload``, which happened now."""
        event = super().make(payload, seq, connection)
        known = self._sessions.get(payload.session)
        key = known.key_of(payload) if known is not None else None
        return event if key is None else msgspec.structs.replace(event, uuid=end_uuid(payload.session, key))

    def published(self, event: HookEvent, context: Context) -> None:
        """Note an event; call it with each that is published."""
        number = event.payload.session
        if context.synthetic or number in self._foreign:
            return
        session = self._sessions.setdefault(number, UnfinishedSession())
        session.take(event.payload, event.seq, event.ts, event.connection, context)
        if session.ended:
            del self._sessions[number]
            self._on_changed(number, None)
        elif session.connection is not None:
            self._on_changed(number, _unfinished(session, session.connection, event.ts))

    def ends(self, state: Unfinished) -> list[tuple[HookEvent, Context]]:
        """Make the missing ends of another node's session."""
        context = Context(
            user_agent=state.user_agent,
            stream=state.stream,
            watcher=state.watcher,
            joined=state.joined,
            epoch=state.epoch,
        )
        events, seq = [], state.seq
        self._foreign[state.session] = None
        if len(self._foreign) > _MAX_FOREIGN:
            del self._foreign[next(iter(self._foreign))]
        for end in state.ends:
            payload = msgspec.json.decode(end.payload, type=_TYPES[end.event])
            seq += not isinstance(payload, WebSocketPayload)
            epoch = msgspec.UNSET if state.epoch is None else state.epoch
            events.append(
                (
                    HookEvent(
                        end.uuid, self._number, self._wall_ms(), end.event, payload, seq, state.connection, epoch
                    ),
                    context,
                )
            )
        return events


def _unfinished(session: UnfinishedSession, connection: Connection, ts: int) -> Unfinished:
    ends = [each for each in session.ends(ts) if not isinstance(each.payload, WebSocketPayload)]
    context = session.context
    return Unfinished(
        session=session.number,
        seq=session.seq,
        until=ts,
        connection=connection,
        ends=tuple(
            End(
                end_uuid(session.number, each.key),
                EVENT_OF[type(each.payload)],
                msgspec.Raw(msgspec.json.encode(each.payload)),
            )
            for each in ends
        ),
        user_agent=context.user_agent,
        stream=context.stream,
        watcher=context.watcher,
        joined=session.joined,
        epoch=context.epoch,
    )
