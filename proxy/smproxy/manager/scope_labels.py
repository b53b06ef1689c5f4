"""App and customer scope as labels of metrics: bounded, since clients choose both."""

from __future__ import annotations

#: Pairs of app and customer scope that are counted by themselves.
MAX_PAIRS = 100
#: The labels of all others.
OTHER = ("other", "other")


class ScopeLabels:
    """The first ``limit`` pairs keep their names until the process ends.

    So no series changes its meaning.
    """

    def __init__(self, limit: int = MAX_PAIRS) -> None:
        self._limit = limit
        self._known: set[tuple[str, str]] = set()

    def of(self, app: str | None, customer_scope: str | None) -> tuple[str, str]:
        """Return the labels of a session that has connected."""
        pair = (app or "", customer_scope or "")
        if pair not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known.add(pair)
        return pair
