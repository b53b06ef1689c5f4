"""Refusals of WHIP and WHEP requests as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from smproxy.manager.whip.reply import Reply

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal: an HTTP status, one sentence, and the headers that belong to the status."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(detail)

    def reply(self) -> Reply:
        """Return it as what is answered."""
        body = {"type": "about:blank", "title": title_of(self.status), "status": self.status, "detail": self.detail}
        return Reply(self.status, self.headers | {"Content-Type": CONTENT_TYPE}, msgspec.json.encode(body))


def title_of(status: int) -> str:
    """Return the phrase of a status, "Error" for one that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
