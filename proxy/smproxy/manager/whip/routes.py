"""WHIP and WHEP on the manager's port.

Sources: RFC 9725 (WHIP), draft-ietf-wish-whep, and Red5's dialect of both. The manager decides which origin serves a session
and keeps the books; the exchange itself (answers, entity tags, fragments) is the origin's, and passes unchanged.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from urllib.parse import urljoin

from aiohttp import ClientError, ClientResponse, web
from multidict import CIMultiDict
from yarl import URL

from smproxy.faults.exchange_fault import HttpOutcome
from smproxy.manager.authenticator import Authenticator
from smproxy.manager.faults.injection import FaultInjection
from smproxy.manager.live_streams import LiveStreams
from smproxy.manager.origin_registry import OriginRegistry
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.manager.settings import AdmissionRules
from smproxy.manager.tracing import Tracer
from smproxy.manager.transcript import Side
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.whip.exchange import MAX_BODY, ExchangeFailed, Origins, read_body
from smproxy.manager.whip.offers import Offers, exchange_of
from smproxy.manager.whip.problem import Problem
from smproxy.manager.whip.reply import passed_on, send, sent_on
from smproxy.manager.whip.session_table import WhipSession, WhipTable
from smproxy.manager.whip.transcript_entries import request_note, response_note
from smproxy.signaling.clock import Clock
from smproxy.signaling.http_exchange import JSON, SDP, HttpResponse
from smproxy.signaling.node_channel import PeerEnded
from smproxy.signaling.payloads import Reason
from smproxy.signaling.whip import IceServer
from smproxy.signaling.whip_urls import ID_DIGITS, Endpoint, read_endpoint, read_session

logger = logging.getLogger(__name__)

#: Every path that may be an endpoint or a session's; ``read_endpoint`` and ``read_session`` decide.
PATHS = r"/{whip:(?:.+/)?(?:whip|whep)(?:/.*)?}"
_ENDPOINT_METHODS = "GET, HEAD, OPTIONS, POST"


class WhipRoutes:
    """The WHIP and WHEP routes. ``close`` ends what they hold."""

    def __init__(
        self,
        rules: AdmissionRules,
        *,
        origins: Origins,
        registry: OriginRegistry,
        sessions: Sessions,
        streams: LiveStreams,
        transcripts: Transcripts,
        faults: FaultInjection,
        clock: Clock,
        authenticator: Authenticator,
        ice_servers: Sequence[IceServer] = (),
        tracer: Tracer | None = None,
        new_identity: Callable[[], str] = lambda: secrets.token_hex(ID_DIGITS // 2),
    ) -> None:
        self._ice_servers = ice_servers
        self._sessions = sessions
        self._transcripts = transcripts
        self._origins = origins
        self._table = WhipTable()
        self._offers = Offers(
            rules,
            registry=registry,
            sessions=sessions,
            streams=streams,
            transcripts=transcripts,
            table=self._table,
            origins=origins,
            faults=faults,
            clock=clock,
            new_identity=new_identity,
            authenticator=authenticator,
            tracer=tracer,
        )
        self._unwatch = sessions.on_ended(self._session_ended)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; they come after all that are more special."""
        return [web.route("*", PATHS, self.handle)]

    async def close(self) -> None:
        """Drop all sessions and connections."""
        self._unwatch()
        await self._origins.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request on an endpoint or a session."""
        path = request.rel_url.raw_path
        try:
            if (known := read_session(path)) is not None:
                return await self._on_session(request, *known)
            if (endpoint := read_endpoint(path)) is not None:
                return await send(request, await self._on_endpoint(request, endpoint))
            raise Problem(404, f"{path[:200]} is neither a WHIP nor a WHEP endpoint.")
        except Problem as problem:
            return await send(request, problem.response())

    async def _on_endpoint(self, request: web.Request, endpoint: Endpoint) -> HttpOutcome:
        match request.method:
            case "POST":
                return await self._offers.take(request, endpoint, await _body_of(request))
            case "OPTIONS":
                faults = self._offers.preflight(request, endpoint)
                if faults is None:
                    return await self._options(request, endpoint)
                outcome, _ = await faults.run(
                    exchange_of(request, endpoint.protocol, b""), lambda: self._options(request, endpoint)
                )
                return outcome
            case "HEAD" if endpoint.protocol == "whep":  # discovery (draft-ietf-wish-whep): what the endpoint takes
                return HttpResponse(200, (("Content-Type", SDP),))
            case "GET" | "HEAD":
                return HttpResponse(204)
            case method:
                raise Problem(405, f"{method} is not for an endpoint.", {"Allow": _ENDPOINT_METHODS})

    async def _options(self, request: web.Request, endpoint: Endpoint) -> HttpResponse:
        headers = [("Accept-Post", SDP), ("Allow", _ENDPOINT_METHODS)]
        if (node := self._offers.node(request, endpoint)) is not None:
            # The vendor's SDK sends what follows to the node that is named here, by ``host=``.
            headers.append(("Session-Host", node.address))
        headers += [server.link for server in self._ice_servers]  # never in a preflight's answer, which no page sees
        return HttpResponse(200, tuple(headers))

    async def _on_session(self, request: web.Request, identity: str, tail: str) -> web.StreamResponse:
        session = self._table.get(identity)
        if session is None and request.method == "DELETE" and self._table.delete_ended(identity):
            return await send(request, HttpResponse(200, (("Content-Type", JSON),), b"{}"))  # FFmpeg wants a body
        if session is None:
            raise Problem(404, "There is no such session: it has ended, or never was.")
        body = await _body_of(request)
        number = session.attempt.session
        self._note(number, "client", request_note(request.method, request.raw_path, request.headers, body))
        if session.faults is None or request.method == "GET":
            answer = await self._forward(request, session, tail, body)
            if isinstance(answer, web.StreamResponse):
                return answer
            self._note(number, "origin", response_note(answer))
            return await send(request, answer)

        async def forward() -> HttpResponse:
            try:
                answer = await self._forward(request, session, tail, body)
            except Problem as problem:
                return problem.response()
            assert isinstance(answer, HttpResponse)  # only a GET is answered with a stream
            return answer

        outcome, reached = await session.faults.run(exchange_of(request, session.protocol, body), forward)
        self._note(number, "origin" if reached else "proxy", response_note(outcome))
        return await send(request, outcome)

    async def _forward(
        self, request: web.Request, session: WhipSession, tail: str, body: bytes
    ) -> HttpResponse | web.StreamResponse:
        """Have the origin answer a request about a session.

        An event stream is passed on until it ends.
        """
        node = session.attempt.node
        url = session.to_origin(tail, _origin_query(request))
        headers = sent_on(request.headers, request.remote or "", request.secure)
        try:
            async with self._origins.exchange(request.method, url, headers, body or None) as response:
                if response.content_type == "text/event-stream":
                    return await _stream(request, session, response)
                answer = b"" if request.method == "HEAD" else await read_body(response)
        except ExchangeFailed as error:
            raise Problem(502, f"The origin {node.address} cannot be reached: {error}.") from None
        passed = passed_on(response, session.to_client)
        if (location := response.headers.get("Location")) is not None:
            own = session.to_client(URL(urljoin(str(url), location), encoded=True))
            passed += () if own is None else (("Location", own),)
        if request.method == "DELETE" and not tail and (response.status < 300 or response.status in (404, 410)):
            self._table.delete_ended(session.identity)
            if not node.reports:
                self._sessions.report(node, PeerEnded(session.attempt.token, Reason.USER_ACTION))
            self._table.remove(session)
        return HttpResponse(response.status, passed, answer)

    def _note(self, session: int, side: Side, message: dict[str, object]) -> None:
        if (transcript := self._transcripts.get(session)) is not None:
            transcript.add_exchange(side, message)

    def _session_ended(self, session: Session) -> None:
        attempt = session.attempt
        if attempt is not None and (known := self._table.of_attempt(attempt.token)) is not None:
            self._table.end(known)


async def _stream(request: web.Request, session: WhipSession, response: ClientResponse) -> web.StreamResponse:
    """Pass server-sent events on until the session, the origin or the client ends."""
    out = web.StreamResponse(status=response.status, headers=CIMultiDict(passed_on(response, session.to_client)))
    await out.prepare(request)
    session.closers.add(response.close)
    try:
        async for chunk in response.content.iter_any():
            await out.write(chunk)
    except (ClientError, OSError) as error:
        logger.debug("an event stream ended: %s", error)
    finally:
        session.closers.discard(response.close)
    return out


async def _body_of(request: web.Request) -> bytes:
    """Return the body of a request.

    Raises:
        Problem: it is too large.
    """
    body = await request.read()  # the middleware has read it
    if len(body) > MAX_BODY:
        raise Problem(413, f"The body is larger than {MAX_BODY} bytes.")
    return body


def _origin_query(request: web.Request) -> str:
    """Return the query for the origin: without what is addressed to the manager."""
    raw = request.rel_url.raw_query_string
    return "&".join(pair for pair in raw.split("&") if pair and pair.partition("=")[0].lower() not in {"host", "app"})
