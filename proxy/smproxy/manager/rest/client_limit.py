"""How many clients may have a long answer of one kind at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from smproxy.manager.rest.errors import ApiError

#: Clients of each kind: listeners of the webhook socket, waits for a hook, dashboards.
LIMIT = 100


class ClientLimit:
    """Counts the clients of one kind; ``what`` names them in the plural."""

    def __init__(self, what: str, limit: int = LIMIT) -> None:
        self.taken = 0
        self._what = what
        self._limit = limit

    @contextmanager
    def take(self) -> Iterator[None]:
        """Count a client as long as the context lasts.

        Raises:
            ApiError: 503, there are as many as may be.
        """
        if self.taken >= self._limit:
            raise ApiError(503, f"There are {self._limit} {self._what} already: end one of them, or try again later.")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
