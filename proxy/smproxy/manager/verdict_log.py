"""What was decided on clients: of each session, and how much of it there was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from smproxy.auth.verdict import Verdict
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.views import AuthenticationView


class VerdictLog:
    """Keeps the latest verdict on each session until it is forgotten, and counts all verdicts.

    ``counts``: verdicts by result; ``seconds``: what all of them took together.
    """

    def __init__(self, transcripts: Transcripts) -> None:
        self.seconds = 0.0
        self._transcripts = transcripts
        self._counts: Counter[str] = Counter(allowed=0, denied=0, failed=0)
        self._views: dict[int, AuthenticationView] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many verdicts there were of each kind."""
        return self._counts

    def count(self, verdict: Verdict, seconds: float) -> None:
        """Count a verdict."""
        self._counts[verdict.result] += 1
        self.seconds += seconds

    def add(self, session: int, scheme: str, verdict: Verdict, took_ms: int) -> None:
        """Keep the verdict on a session, in its transcript, too."""
        grant = verdict.grant
        transcript = self._transcripts.get(session)
        if transcript is not None:
            transcript.add_authentication(scheme, verdict, took_ms)
        self._views[session] = AuthenticationView(
            scheme=scheme,
            result=verdict.result,
            reason=verdict.reason or None,
            took_ms=took_ms,
            url=grant.url if grant.url is None or transcript is None else transcript.redactor.text(grant.url),
            name=grant.name,
            lifetime=grant.lifetime,
        )

    def of(self, session: int) -> AuthenticationView | None:
        """Return the latest verdict on a session."""
        return self._views.get(session)

    def forget(self, session: int) -> None:
        """Drop the verdict on a session."""
        self._views.pop(session, None)
