"""The transcripts of all sessions, and how much they may hold together."""

from __future__ import annotations

from itertools import chain

import msgspec

import smproxy
from smproxy.manager.session import Session
from smproxy.manager.transcript import CHUNK, Transcript
from smproxy.manager.views import SessionView
from smproxy.signaling.clock import Clock

#: Bytes of all transcripts together.
BUDGET = 64 * 1024 * 1024


class Transcripts:
    """Opens a transcript for each session and keeps it until its session is forgotten.

    When ``budget`` bytes are in use, transcripts give way, the oldest first: those of sessions that have ended before others.
    """

    def __init__(self, clock: Clock, *, budget: int = BUDGET) -> None:
        self._clock = clock
        self._budget = budget
        self._transcripts: dict[int, Transcript] = {}
        self._ended: dict[int, None] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._transcripts)

    @property
    def held(self) -> int:
        """Bytes that the transcripts may hold at the moment."""
        return self._held

    def open(self, session: int, url: str) -> Transcript:
        """Return the transcript of a session, a new one when there is none.

        ``url`` is what its client dialed.
        """
        known = self._transcripts.get(session)
        if known is not None:
            return known
        self._free(CHUNK, None)
        transcript = Transcript(session, url, self._clock.wall, self)
        self._transcripts[session] = transcript
        self._held += transcript.granted
        return transcript

    def get(self, session: int) -> Transcript | None:
        """Return the transcript of a session."""
        return self._transcripts.get(session)

    def add_channel_message(self, session: int, by_client: bool, text: str) -> None:
        """Add a message on the data channel of a session."""
        if (transcript := self._transcripts.get(session)) is not None:
            transcript.add_channel_message("client" if by_client else "origin", text)

    def session_ended(self, session: Session) -> None:
        """Take notice of a session that is over."""
        self.ended(session.number)

    def ended(self, session: int) -> None:
        """Mark a transcript to be removed before those of live sessions."""
        if session in self._transcripts:
            self._ended[session] = None

    def forget(self, session: int) -> None:
        """Drop the transcript of a session."""
        self._ended.pop(session, None)
        if (transcript := self._transcripts.pop(session, None)) is not None:
            self._held -= transcript.granted

    def grant(self, transcript: Transcript) -> bool:
        """Return whether ``transcript`` may grow by ``CHUNK``."""
        if self._transcripts.get(transcript.session) is not transcript or not self._free(CHUNK, transcript.session):
            return False
        self._held += CHUNK
        return True

    def header(self, view: SessionView) -> bytes:
        """Return the first line of an export: the session's facts."""
        transcript = self._transcripts.get(view.session)

        def shown(text: str | None) -> str | None:
            return text if text is None or transcript is None else transcript.redactor.text(text)

        return msgspec.json.encode(
            {
                "kind": "session",
                "session": view.session,
                "url": transcript.redactor.url if transcript is not None else None,
                "role": view.role,
                "id": shown(view.id),
                "stream": shown(view.stream),
                "scope": view.scope,
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
        """Make room for ``size`` bytes by removing transcripts, but not that of session ``spared``."""
        while self._held + size > self._budget:
            victim = next((each for each in chain(self._ended, self._transcripts) if each != spared), None)
            if victim is None:
                return False
            self.forget(victim)
        return True
