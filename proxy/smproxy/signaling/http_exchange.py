"""HTTP requests and responses as WHIP and WHEP exchange them. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request.

    ``path`` is as it came, ``headers`` by name in lower case, ``query`` without the question mark.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def media_type(self) -> str:
        """The media type of the body in lower case, without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def parameters(self) -> dict[str, str]:
        """The query by key in lower case; of a repeated key the last counts.

        A plus is a plus, as in the vendor's SDK.
        """
        try:
            pairs = parse_qsl(self.query.replace("+", "%2B"), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            return {}
        return {key.lower(): value for key, value in pairs}


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response with its whole body."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


class _Detail(msgspec.Struct):
    detail: str


class _Problem(msgspec.Struct):
    title: str
    status: int
    detail: str
    type: str = "about:blank"


def problem_detail(body: bytes) -> str | None:
    """Return the sentence of a problem (RFC 9457), ``None`` when a body is none or has none."""
    try:
        return msgspec.json.decode(body, type=_Detail).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def problem(status: int, detail: str, *headers: tuple[str, str]) -> HttpResponse:
    """Write an error with one sentence that says why (RFC 9457)."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:  # a status that has no name
        title = "Error"
    body = msgspec.json.encode(_Problem(title, status, detail))
    return HttpResponse(status, (("Content-Type", PROBLEM), *headers), body)
