"""The relayed WHIP and WHEP sessions: which URL of ours is which resource of an origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from yarl import URL

from smproxy.manager.attempt import Attempt
from smproxy.manager.faults.exchange import ExchangePipeline
from smproxy.signaling.whip_urls import WhipProtocol

#: Sessions at a time; another is answered 503.
MAX_SESSIONS = 10_000

#: Ended sessions whose client may still send its DELETE.
MAX_ENDED = 1_000


@dataclass(slots=True, eq=False)
class WhipSession:
    """One session. ``path`` is its path here, ``resource`` its URL on the origin."""

    identity: str
    protocol: WhipProtocol
    attempt: Attempt
    path: str
    resource: URL
    #: What its requests pass on their way, if a fault acts on them.
    faults: ExchangePipeline | None = None
    #: Event streams that are being passed on; they end with the session.
    closers: set[Callable[[], None]] = field(default_factory=set)

    def to_origin(self, tail: str, query: str) -> URL:
        """Return the origin's URL of something below the session."""
        url = self.resource.with_path(self.resource.raw_path + tail, encoded=True)
        return url.with_query(query) if query else url.with_query(self.resource.query)

    def to_client(self, url: URL) -> str | None:
        """Return our path for a URL of the origin.

        ``None`` for one that is not below the session's resource.
        """
        base = self.resource.raw_path
        if not url.raw_path.startswith(base) or (url.is_absolute() and url.origin() != self.resource.origin()):
            return None
        query = f"?{url.raw_query_string}" if url.raw_query_string else ""
        return self.path + url.raw_path[len(base) :] + query


class WhipTable:
    """All sessions, by the identity in their URL."""

    def __init__(self) -> None:
        self._sessions: dict[str, WhipSession] = {}
        self._of_attempt: dict[str, str] = {}
        self._ended: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return len(self._sessions) >= MAX_SESSIONS

    def add(self, session: WhipSession) -> None:
        """Keep a session."""
        self._sessions[session.identity] = session
        self._of_attempt[session.attempt.token] = session.identity

    def get(self, identity: str) -> WhipSession | None:
        """Return the session of a URL."""
        return self._sessions.get(identity)

    def of_attempt(self, token: str) -> WhipSession | None:
        """Return the session of an attempt."""
        identity = self._of_attempt.get(token)
        return None if identity is None else self._sessions[identity]

    def end(self, session: WhipSession) -> None:
        """Forget a session that its client has not deleted yet.

        A client that closes its transport first deletes it afterwards.
        """
        self.remove(session)
        self._ended[session.identity] = None
        while len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    def delete_ended(self, identity: str) -> bool:
        """Return whether a session had ended without a DELETE; it is forgotten now."""
        return identity in self._ended and self._ended.pop(identity) is None

    def remove(self, session: WhipSession) -> None:
        """Forget a session, and end what is being passed on for it."""
        if self._sessions.pop(session.identity, None) is not None:
            del self._of_attempt[session.attempt.token]
            for close in tuple(session.closers):
                close()
