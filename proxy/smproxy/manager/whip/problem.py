"""Refusals of WHIP and WHEP requests."""

from __future__ import annotations

from collections.abc import Mapping

from smproxy.signaling.http_exchange import HttpResponse, problem


class Problem(Exception):
    """A refusal: an HTTP status, one sentence, and the headers that belong to the status."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(detail)

    def response(self) -> HttpResponse:
        """Return it as what is answered."""
        return problem(self.status, self.detail, *self.headers.items())
