"""The records of all sessions, and how much they may hold together."""

from __future__ import annotations

from itertools import chain

import msgspec

import smproxy
from smproxy.manager.session import Session
from smproxy.manager.transcript import CHUNK, Record
from smproxy.manager.views import SessionView
from smproxy.signaling.clock import Clock

#: Bytes of all records together.
BUDGET = 64 * 1024 * 1024


class Records:
    """Opens a record for each session and keeps it until its session is forgotten.

    When ``budget`` bytes are in use, records give way, the oldest first: those of sessions that have ended before others.
    """

    def __init__(self, clock: Clock, *, budget: int = BUDGET) -> None:
        self._clock = clock
        self._budget = budget
        self._records: dict[int, Record] = {}
        self._ended: dict[int, None] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def held(self) -> int:
        """Bytes that the records may hold at the moment."""
        return self._held

    def open(self, session: int, url: str) -> Record:
        """Return the record of a session, a new one when there is none. ``url`` is what its client dialed."""
        known = self._records.get(session)
        if known is not None:
            return known
        self._free(CHUNK, None)
        record = Record(session, url, self._clock.wall, self)
        self._records[session] = record
        self._held += record.granted
        return record

    def get(self, session: int) -> Record | None:
        """Return the record of a session."""
        return self._records.get(session)

    def overheard(self, session: int, by_client: bool, text: str) -> None:
        """Something was said on the data channel of a session."""
        if (record := self._records.get(session)) is not None:
            record.channel("client" if by_client else "origin", text)

    def seen(self, session: Session) -> None:
        """There is news of a session: that it is over is what matters here."""
        if session.over:
            self.ended(session.number)

    def ended(self, session: int) -> None:
        """The session is over: when there is no room, its record goes before those of sessions that live."""
        if session in self._records:
            self._ended[session] = None

    def forget(self, session: int) -> None:
        """Drop the record of a session."""
        self._ended.pop(session, None)
        if (record := self._records.pop(session, None)) is not None:
            self._held -= record.granted

    def grant(self, record: Record) -> bool:
        """Say whether ``record`` may grow by ``CHUNK``."""
        if self._records.get(record.session) is not record or not self._free(CHUNK, record.session):
            return False
        self._held += CHUNK
        return True

    def header(self, view: SessionView) -> bytes:
        """Return the first line of an export: whose record it is."""
        record = self._records.get(view.session)

        def shown(text: str | None) -> str | None:
            return text if text is None or record is None else record.redactor.text(text)

        return msgspec.json.encode(
            {
                "kind": "session",
                "session": view.session,
                "url": record.redactor.url if record is not None else None,
                "role": view.role,
                "id": shown(view.id),
                "stream": shown(view.stream),
                "room": view.room,
                "state": view.state,
                "reason": view.reason,
                "error": view.error,
                "origin": view.origin,
                "userAgent": view.user_agent,
                "startedAt": view.started_at,
                "endedAt": view.ended_at,
                "version": smproxy.__version__,
            }
        )

    def _free(self, size: int, spared: int | None) -> bool:
        """Make room for ``size`` bytes, at the cost of other records than that of the session ``spared``."""
        while self._held + size > self._budget:
            victim = next((each for each in chain(self._ended, self._records) if each != spared), None)
            if victim is None:
                return False
            self.forget(victim)
        return True
