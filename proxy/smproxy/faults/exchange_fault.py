"""Faults of WHIP and WHEP: the HTTP requests of one session, and what they are answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from smproxy.faults.kind import FaultKind, Layer
from smproxy.faults.parameter import Parameter, Values
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.whip_urls import WhipProtocol

#: Who sent what is held: the client its request, the origin its answer.
Sender: TypeAlias = Literal["client", "origin"]

#: The requests that a fault may be for, as parameters name them.
METHODS = ("post", "patch", "delete", "options")


@dataclass(frozen=True, slots=True)
class HttpExchange:
    """A request that has not been answered yet.

    ``server`` is the start of the URL that the client used: scheme and authority.
    """

    request: HttpRequest
    protocol: WhipProtocol
    server: str

    @property
    def url(self) -> str:
        """The URL, as the client used it."""
        query = f"?{self.request.query}" if self.request.query else ""
        return f"{self.server}{self.request.path}{query}"

    def has_method(self, name: str) -> bool:
        """Return whether this is the request's method, in whatever case it is written."""
        return self.request.method.lower() == name.lower()

    def begins(self, response: HttpResponse) -> bool:
        """Return whether a response to it begins a session."""
        return self.has_method("POST") and header(response, "Location") is not None


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is cut: in the middle of the body of ``response``, or without any response."""

    response: HttpResponse | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """There is no response, for as long as the client waits."""


#: What becomes of a request.
HttpOutcome: TypeAlias = HttpResponse | Cut | Unanswered


class ExchangeSession(Protocol):
    """The WHIP or WHEP session, as a fault acts on it beside answering.

    Nothing is done once the session is over.
    """

    def report_refusal(self, error: ConnectError) -> None:
        """Emit the hooks of a refusal, as if the origin had refused the client."""

    def end(self) -> None:
        """Have the origin lose the session: its media ends, and its URL is unknown from now on."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later."""

    def acted(self, detail: str = "") -> None:
        """Note that the fault has acted, which counts once for each request."""


class ExchangeFault(FaultKind):
    """What one fault does to the HTTP requests of one session."""

    layer = Layer.HTTP
    whip = ""
    http: ExchangeSession

    @classmethod
    def first_request(cls, values: Values) -> str:
        """Return the method of the request with which a use begins.

        OPTIONS, or the POST of an offer.
        """
        return "OPTIONS" if values.get("on") == "options" else "POST"

    def on_request(self, exchange: HttpExchange) -> HttpOutcome | None:
        """Return what a request gets in place of the origin's answer.

        With ``None`` it goes on to the origin.
        """
        return None

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        """Return the reply to a request that was answered."""
        return response

    def hold(self, exchange: HttpExchange, sender: Sender) -> float:
        """Return for how many seconds a request, or the answer to it, is held."""
        return 0.0


def on_parameter(default: str, choices: tuple[str, ...] = METHODS) -> Parameter[str]:
    """Make the parameter that says which requests are meant."""
    return Parameter(default, "which requests", choices=choices)


def header(response: HttpResponse, name: str) -> str | None:
    """Return the first value of a header; ``None`` if it is not there."""
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)


def with_header(response: HttpResponse, name: str, *values: str) -> HttpResponse:
    """Return a response in which a header has these values and no others."""
    others = tuple(pair for pair in response.headers if pair[0].lower() != name.lower())
    return dataclasses.replace(response, headers=(*others, *((name, value) for value in values)))


def with_body(response: HttpResponse, body: bytes) -> HttpResponse:
    """Return a response with another body."""
    return dataclasses.replace(response, body=body)


def is_success(response: HttpResponse) -> bool:
    """Return whether the status is one of success."""
    return 200 <= response.status < 300
