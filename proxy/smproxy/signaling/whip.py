"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): what each request may ask for. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from smproxy.signaling.http_exchange import SDP, SDP_FRAGMENT, HttpRequest, HttpResponse, problem
from smproxy.signaling.sdp_fragment import InvalidFragment, SdpFragment, read_fragment
from smproxy.signaling.whip_urls import WhipProtocol, WhipTarget

#: Bytes of an offer or an answer.
MAX_SDP = 1 << 18
_ENDPOINT_METHODS = "GET, HEAD, OPTIONS, POST"
_RESOURCE_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH"
#: The relation of the Link to the server-sent events of a WHEP session.
EVENTS_RELATION = "urn:ietf:params:whep:ext:core:server-sent-events"
EVENT_TYPES = ("active", "inactive", "viewercount")


@dataclass(frozen=True, slots=True)
class OfferRequest:
    """Begin a session. Without an SDP the server is to make the offer."""

    sdp: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Answer the server's offer."""

    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trickle:
    """Add candidates, or restart ICE: :func:`restarts` decides."""

    fragment: SdpFragment


@dataclass(frozen=True, slots=True)
class Delete:
    """End the session."""


def server_offers(request: HttpRequest) -> bool:
    """Return whether the client expects the server's offer instead of an answer.

    It is the vendor's WHEP, known by ``requestId``.
    """
    return "requestid" in request.parameters


def is_vendor_sdk(request: HttpRequest) -> bool:
    """Return whether the vendor's SDK sent a request; it knows neither ETag nor If-Match."""
    return not request.parameters.keys().isdisjoint({"requestid", "signal", "mode"})


def read_endpoint_request(target: WhipTarget, request: HttpRequest) -> OfferRequest | HttpResponse:
    """Read a request to an endpoint; what asks for no session is answered here."""
    whep = target.protocol is WhipProtocol.WHEP
    match request.method:
        case "OPTIONS":
            return HttpResponse(200, (("Accept-Post", SDP), ("Allow", _ENDPOINT_METHODS)))
        case "GET":
            return HttpResponse(204)
        case "HEAD":
            return HttpResponse(200, (("Content-Type", SDP),)) if whep else HttpResponse(204)
        case "POST":
            pass
        case method:
            return problem(405, f"{method} means nothing to an endpoint.", ("Allow", _ENDPOINT_METHODS))
    if whep and server_offers(request) and not request.body:
        return OfferRequest(None)
    sdp = _read_sdp(request, ("Accept-Post", SDP))
    if isinstance(sdp, HttpResponse):
        return sdp
    return OfferRequest(None if whep and server_offers(request) else sdp)


def read_session_request(target: WhipTarget, request: HttpRequest) -> AnswerRequest | Trickle | Delete | HttpResponse:
    """Read a request to a session; what does not concern its state is answered here."""
    accepted = ("Accept-Patch", f"{SDP_FRAGMENT}, {SDP}" if target.protocol is WhipProtocol.WHEP else SDP_FRAGMENT)
    match request.method:
        case "OPTIONS":
            return HttpResponse(200, (accepted, ("Allow", _RESOURCE_METHODS)))
        case "GET" | "HEAD":
            return HttpResponse(204)
        case "DELETE":
            return Delete()
        case "PATCH":
            pass
        case method:
            return problem(405, f"{method} means nothing to a session.", ("Allow", _RESOURCE_METHODS))
    if request.media_type == SDP and target.protocol is WhipProtocol.WHEP:
        sdp = _read_sdp(request, accepted)
        return sdp if isinstance(sdp, HttpResponse) else AnswerRequest(sdp)
    if request.media_type != SDP_FRAGMENT:
        return problem(415, f"PATCH takes {accepted[1]}, not {_shown(request)}.", accepted)
    try:
        return Trickle(read_fragment(request.body))
    except InvalidFragment as exc:
        return problem(400, str(exc))


def _read_sdp(request: HttpRequest, accepted: tuple[str, str]) -> str | HttpResponse:
    if request.media_type != SDP:
        return problem(415, f"The body must be {SDP}, not {_shown(request)}.", accepted)
    if len(request.body) > MAX_SDP:
        return problem(413, f"The SDP is longer than {MAX_SDP} bytes.")
    try:
        sdp = request.body.decode()
    except UnicodeDecodeError:
        return problem(400, "The SDP is not UTF-8.")
    return sdp if sdp.strip() else problem(400, "The body is empty: send an SDP.")


def _shown(request: HttpRequest) -> str:
    return request.media_type[:80] or "a body without a Content-Type"


# ICE sessions and their entity tags -----------------------------------------------------------------------------------


def check_if_match(request: HttpRequest, etag: str, *, required: bool = True) -> HttpResponse | None:
    """Compare the ICE session that a PATCH is meant for (RFC 9725, 4.3.1).

    ``None`` when it is this one.

    ``required``: not for sessions of the vendor's SDK, which sends no If-Match.
    """
    wanted = request.headers.get("if-match")
    if wanted is None:
        if not required or is_vendor_sdk(request):
            return None
        return problem(428, "PATCH needs If-Match with the ETag of the last answer, or * for an ICE restart.")
    if wanted.strip() == "*" or etag in [each.strip() for each in wanted.split(",")]:
        return None
    return problem(412, "If-Match names an ICE session that is over; the last ETag counts.")


def restarts(fragment: SdpFragment, ufrag: str, password: str) -> bool:
    """Return whether a fragment restarts ICE: its credentials are not the client's present ones."""
    return bool(fragment.ufrag) and (fragment.ufrag, fragment.password) != (ufrag, password)


def events_link(path: str) -> tuple[str, str]:
    """Write the Link to the server-sent events of a session."""
    return "Link", f'<{path}>; rel="{EVENTS_RELATION}"; events="{",".join(EVENT_TYPES)}"'


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server that clients are to use."""

    url: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    @property
    def link(self) -> tuple[str, str]:
        """The Link header field (RFC 9725, 4.6)."""
        parts = [f"<{self.url}>", 'rel="ice-server"']
        if self.username is not None and self.credential is not None:
            parts += [f'username="{self.username}"', f'credential="{self.credential}"', 'credential-type="password"']
        return "Link", "; ".join(parts)
