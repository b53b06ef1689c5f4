"""Conferences: who has joined with which token, and their sessions' hooks. Does no I/O."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import Context
from smproxy.signaling.clock import Clock, session_number
from smproxy.signaling.conference import (
    ConferenceState,
    ConferenceStateEvent,
    JoinConferenceRequest,
    JoinConferenceResponse,
    ParticipantState,
)
from smproxy.signaling.payloads import ConnectError, Connection, Payload, Reason, Role
from smproxy.signaling.session import SessionLife

#: Participants of one conference.
MAX_PARTICIPANTS = 100

#: What hooks have as ``app`` of a participant.
APP = "conference-api"


class ConferenceFull(Exception):
    """A conference has as many participants as it may have; the message is a sentence."""


class ConferenceSession:
    """The session of one client of the conference API: its hooks, whatever becomes of it."""

    def __init__(self, life: SessionLife, publish: Callable[[Payload, int, Connection], None]) -> None:
        self._life = life
        self._publish = publish
        self._count = 0
        self.connection = Connection(
            id=None, username=None, customer_scope=None, recording=False, meta=None, app=APP, role=Role.PUBLISHER
        )

    @property
    def number(self) -> int:
        """The session number that hooks carry."""
        return self._life.number

    def begin(self, asked: JoinConferenceRequest, customer_scope: str | None) -> None:
        """Note who asks to join."""
        self.connection = msgspec.structs.replace(
            self.connection,
            id=asked.fingerprint or asked.stream[1] or None,
            username=asked.username or None,
            customer_scope=customer_scope,
            meta={"displayName": asked.display_name, "streamGuid": asked.stream_guid},
        )
        self._emit(self._life.accept())

    def joined(self) -> None:
        """Note that it is in."""
        self._emit(self._life.transport_up())

    def refused(self, reason: str) -> None:
        """Note that it was not let in."""
        self._emit(self._life.refuse(ConnectError.REJECTED, reason))

    def ended(self, reason: Reason) -> None:
        """Note that it is gone; once."""
        self._emit(self._life.end(reason))

    def _emit(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            self._count += 1
            self._publish(payload, self._count, self.connection)


@dataclass(slots=True, eq=False)
class Participant:
    """One client in a conference; ``send`` takes the latest state for it."""

    id: int
    role: str
    asked: JoinConferenceRequest
    session: ConferenceSession
    send: Callable[[bytes], None]
    #: Ends its socket, when it is not its own wish.
    close: Callable[[], None]

    @property
    def state(self) -> ParticipantState:
        """The participant as all of them are told."""
        return ParticipantState(self.id, self.asked.display_name, self.role, self.asked.stream_guid)


@dataclass(slots=True, eq=False)
class _Conference:
    id: int
    participants: dict[Participant, None] = field(default_factory=dict)

    @property
    def state(self) -> ConferenceState:
        return ConferenceState(self.id, [participant.state for participant in self.participants])


class Conferences:
    """All conferences, by customer scope and token; one is gone with its last participant."""

    def __init__(self, dispatcher: HookDispatcher, *, clock: Clock, rng: random.Random) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._rng = rng
        self._conferences: dict[tuple[str | None, str], _Conference] = {}
        self._made = self._joined = 0

    def states(self) -> list[tuple[str | None, ConferenceState, dict[int, int]]]:
        """Return each conference with its customer scope, and the session of each participant's id."""
        return [
            (scope, each.state, {one.id: one.session.number for one in each.participants})
            for (scope, _), each in self._conferences.items()
        ]

    def new_session(self, remote_ip: str) -> ConferenceSession:
        """Make the session of a client that has connected."""
        life = SessionLife(session_number(self._rng), peer="", scope="", remote_ip=remote_ip, clock=self._clock)

        def publish(payload: Payload, sequence: int, connection: Connection) -> None:
            self._dispatcher.emit(payload, sequence, connection, Context())

        return ConferenceSession(life, publish)

    def join(
        self,
        asked: JoinConferenceRequest,
        session: ConferenceSession,
        send: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> tuple[Participant, bytes]:
        """Let a client in; return it with its answer. All participants are sent the new state.

        Raises:
            ConferenceFull: there are too many already.
        """
        key = (session.connection.customer_scope, asked.join_token)
        conference = self._conferences.get(key)
        if conference is None:
            self._made += 1
            conference = self._conferences[key] = _Conference(self._made)
        if len(conference.participants) >= MAX_PARTICIPANTS:
            raise ConferenceFull(f"The conference has {MAX_PARTICIPANTS} participants already.")
        self._joined += 1
        role = "ANONYMOUS" if asked.is_anonymous else "PARTICIPANT" if conference.participants else "ORGANIZER"
        participant = Participant(self._joined, role, asked, session, send, close)
        conference.participants[participant] = None
        session.joined()
        _announce(conference)
        answer = JoinConferenceResponse(conference_id=conference.id, participant_id=participant.id, role=role)
        return participant, msgspec.json.encode(answer)

    def leave(self, participant: Participant, reason: Reason) -> None:
        """Take a participant out; all others are sent the new state."""
        key = (participant.session.connection.customer_scope, participant.asked.join_token)
        conference = self._conferences.get(key)
        if conference is None or participant not in conference.participants:
            return
        del conference.participants[participant]
        participant.session.ended(reason)
        if conference.participants:
            _announce(conference)
        else:
            del self._conferences[key]

    def end_all(self, reason: Reason) -> None:
        """End every conference."""
        for conference in list(self._conferences.values()):
            for participant in list(conference.participants):
                self.leave(participant, reason)
                participant.close()


def _announce(conference: _Conference) -> None:
    text = msgspec.json.encode(ConferenceStateEvent(conference.state))
    for participant in conference.participants:
        participant.send(text)
