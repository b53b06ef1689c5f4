"""WHIP and WHEP on the manager's port: who asks for what, at which origin, and what is passed on.

Sources: RFC 9725 (WHIP), draft-ietf-wish-whep, and Red5's dialect of both. The manager decides which origin serves a session
and keeps the books; the exchange itself (answers, entity tags, fragments) is the origin's, and passes unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from urllib.parse import urljoin

from aiohttp import ClientError, ClientResponse, web
from yarl import URL

from smproxy.manager.admission import AdmissionRules
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.origin_registry import Node, OriginChoiceError, Registry
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.manager.whip.exchange import (
    MAX_BODY,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    ExchangeFailed,
    Origins,
    read_body,
)
from smproxy.manager.whip.links import rewrite_links
from smproxy.manager.whip.parameters import Request, read_bearer, read_request
from smproxy.manager.whip.problem import Problem
from smproxy.manager.whip.table import WhipSession, WhipTable
from smproxy.signaling.clock import Clock
from smproxy.signaling.node import ATTEMPT_HEADER, AttemptFailed, PeerEnded, PlayStarted, StreamStarted, TransportUp
from smproxy.signaling.params import ParamError
from smproxy.signaling.payloads import ConnectError, Reason
from smproxy.signaling.whip_endpoints import ID_DIGITS, Endpoint, origin_path, read_endpoint, read_session

logger = logging.getLogger(__name__)

#: Every path that may be an endpoint or a session's; ``read_endpoint`` and ``read_session`` decide.
PATHS = r"/{whip:(?:.+/)?(?:whip|whep)(?:/.*)?}"

SDP = "application/sdp"

#: Which error a refusal stands for; other statuses are ``REJECTED``, or from 500 on ``ORIGIN_ERROR``.
_ERROR_OF_STATUS = {400: ConnectError.INVALID_SDP, 409: ConnectError.NAME_IN_USE, 422: ConnectError.INVALID_SDP}


class WhipRoutes:
    """The WHIP and WHEP routes. ``close`` ends what they hold."""

    def __init__(
        self,
        rules: AdmissionRules,
        *,
        registry: Registry,
        sessions: Sessions,
        clock: Clock,
        new_identity: Callable[[], str] = lambda: secrets.token_hex(ID_DIGITS // 2),
    ) -> None:
        self._rules = rules
        self._registry = registry
        self._sessions = sessions
        self._clock = clock
        self._new_identity = new_identity
        self._origins = Origins()
        self._table = WhipTable()
        self._unwatch = sessions.watch(self._session_changed)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; they come after all that are more special."""
        return [web.route("*", PATHS, self.handle)]

    async def close(self) -> None:
        """Let go of all sessions and connections."""
        self._unwatch()
        await self._origins.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request on an endpoint or a session."""
        path = request.rel_url.raw_path
        try:
            if (known := read_session(path)) is not None:
                return await self._on_session(request, *known)
            if (endpoint := read_endpoint(path)) is not None:
                return await self._on_endpoint(request, endpoint)
            raise Problem(404, f"{path[:200]} is neither a WHIP nor a WHEP endpoint.")
        except Problem as problem:
            return problem.response()

    # the endpoint -----------------------------------------------------------------------------------------------------

    async def _on_endpoint(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        match request.method:
            case "POST":
                return await self._open(request, endpoint)
            case "OPTIONS":
                return self._options(request)
            case "GET":
                return web.Response(status=204)
            case "HEAD":
                # Discovery (draft-ietf-wish-whep): what a WHEP endpoint takes is told without a body.
                return (
                    web.Response(status=200, content_type=SDP) if endpoint.door == "whep" else web.Response(status=204)
                )
            case method:
                raise Problem(405, f"{method} is not for an endpoint.", {"Allow": "GET, HEAD, OPTIONS, POST"})

    def _options(self, request: web.Request) -> web.Response:
        headers = {"Accept-Post": SDP, "Allow": "GET, HEAD, OPTIONS, POST"}
        with contextlib.suppress(OriginChoiceError):  # the POST will say so
            # The vendor's SDK sends what follows to the node that is named here, by ``host=``.
            headers["Session-Host"] = self._registry.choose(request.query.get("host") or None).address
        return web.Response(status=200, headers=headers)

    async def _open(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        if self._rules.disabled_by is not None:
            raise Problem(403, f"The proxy is disabled by {self._rules.disabled_by}.")
        if self._table.full:
            raise Problem(
                503, f"There are {len(self._table)} sessions, as many as there can be.", {"Retry-After": "10"}
            )
        bearer = read_bearer(request.headers.get("Authorization", ""))
        remote_ip = request.remote or ""
        try:
            asked = read_request(
                endpoint,
                request.rel_url,
                bearer,
                default_app=self._rules.default_app,
                scope_required=self._rules.scope_required,
                make_id=lambda: f"subscriber-{self._new_identity()[:8]}",
            )
            node = self._choose(asked)
        except ParamError as error:
            hint = f": {error.hint}" if error.hint else ""
            logger.warning("refused %s: %s %s%s", remote_ip, error.parameter, error.problem, hint)
            self._sessions.refuse(error.connection, remote_ip)
            raise Problem(400, f"{error}{hint}.") from None
        body = await _body_of(request)
        client = Client(
            remote_ip=remote_ip,
            user_agent=request.headers.get("User-Agent", "")[:500],
            secure=request.secure,
            transport=endpoint.door,
            since_ms=self._clock.wall_ms(),
        )
        attempt = self._sessions.open(asked.params, node, client)
        logger.info(
            "session %d: %s %r in %s from %s over %s to origin %s",
            attempt.session, asked.params.role, asked.stream, asked.params.room, remote_ip, endpoint.door, node.address,
        )  # fmt: skip
        try:
            return await self._exchange_offer(request, endpoint, asked, node, attempt, body)
        except asyncio.CancelledError:
            self._sessions.report(node, AttemptFailed(attempt.token, ConnectError.TIMEOUT))
            raise
        finally:
            attempt.exchange_over()

    def _choose(self, asked: Request) -> Node:
        try:
            return self._registry.choose(asked.params.host)
        except OriginChoiceError as error:
            refusal = ParamError("host", asked.params.host, str(error), error.hint)
            refusal.connection = asked.params.connection
            raise refusal from None

    async def _exchange_offer(
        self, request: web.Request, endpoint: Endpoint, asked: Request, node: Node, attempt: Attempt, body: bytes
    ) -> web.StreamResponse:
        base = URL.build(scheme="http", host=node.host, port=node.port)
        path = origin_path(endpoint.door, asked.params.room, asked.stream)
        url = URL(f"{base}{path}?{asked.params.origin_query}", encoded=True)
        headers = self._headers(request)
        if node.reports:
            headers[ATTEMPT_HEADER] = attempt.token
        try:
            async with self._origins.exchange("POST", url, headers, body) as response:
                answer = await read_body(response)
        except ExchangeFailed as error:
            attempt.dial_failed(str(error))
            raise Problem(502, f"The origin {node.address} cannot be reached: {error}.") from None
        if not 200 <= response.status < 300 and response.status != 406:
            self._refused(node, attempt, response.status)
            return _passed_on(response, answer, {})
        location = response.headers.get("Location")
        if location is None:
            self._refused(node, attempt, 502)
            raise Problem(502, f"The origin {node.address} gave no Location for the session.")
        resource = URL(urljoin(str(url), location), encoded=True)
        if resource.origin() != base.origin():
            self._refused(node, attempt, 502)
            raise Problem(502, f"The origin {node.address} gave a Location on another server.")
        identity = self._new_identity()
        session = WhipSession(identity, endpoint.door, attempt, endpoint.session_path(identity), resource)
        if self._sessions.attempt(attempt.token) is not None:
            self._table.add(session)
        if not node.reports:
            self._accepted(node, attempt, asked, endpoint)
        return _passed_on(response, answer, {"Location": session.path}, session)

    def _accepted(self, node: Node, attempt: Attempt, asked: Request, endpoint: Endpoint) -> None:
        """Conclude what an origin without a node channel does not report."""
        started = StreamStarted if endpoint.door == "whip" else PlayStarted
        self._sessions.report(node, started(attempt.token, asked.stream, asked.params.room))
        self._sessions.report(node, TransportUp(attempt.token))

    def _refused(self, node: Node, attempt: Attempt, status: int) -> None:
        """Note that the origin refused; one with a node channel has reported why, and the first report counts."""
        other = ConnectError.ORIGIN_ERROR if status >= 500 else ConnectError.REJECTED
        self._sessions.report(node, AttemptFailed(attempt.token, _ERROR_OF_STATUS.get(status, other)))

    # a session --------------------------------------------------------------------------------------------------------

    async def _on_session(self, request: web.Request, identity: str, tail: str) -> web.StreamResponse:
        session = self._table.get(identity)
        if session is None:
            raise Problem(404, "There is no such session: it has ended, or never was.")
        body = await _body_of(request)
        url = session.to_origin(tail, _origin_query(request))
        try:
            async with self._origins.exchange(request.method, url, self._headers(request), body or None) as response:
                if response.content_type == "text/event-stream":
                    return await self._stream(request, session, response)
                answer = b"" if request.method == "HEAD" else await read_body(response)
        except ExchangeFailed as error:
            raise Problem(502, f"The origin {session.attempt.node.address} cannot be reached: {error}.") from None
        if request.method == "DELETE" and not tail and (response.status < 300 or response.status in (404, 410)):
            if not session.attempt.node.reports:
                self._sessions.report(session.attempt.node, PeerEnded(session.attempt.token, Reason.USER_ACTION))
            self._table.remove(session)
        location = response.headers.get("Location")
        own = None if location is None else session.to_client(URL(urljoin(str(url), location), encoded=True))
        return _passed_on(response, answer, {} if own is None else {"Location": own}, session)

    async def _stream(self, request: web.Request, session: WhipSession, response: ClientResponse) -> web.StreamResponse:
        """Pass server-sent events on until the session, the origin or the client ends."""
        out = web.StreamResponse(status=response.status, headers=_kept(response, session))
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

    def _headers(self, request: web.Request) -> dict[str, str]:
        headers = {name: request.headers[name] for name in REQUEST_HEADERS if name in request.headers}
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = "https" if request.secure else "http"
        return headers

    def _session_changed(self, session: Session) -> None:
        attempt = session.attempt
        if session.over and attempt is not None and (known := self._table.of_attempt(attempt.token)) is not None:
            self._table.remove(known)


async def _body_of(request: web.Request) -> bytes:
    """Read the body of a client's request.

    Raises:
        Problem: it is too large.
    """
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise Problem(413, f"The body is larger than {MAX_BODY} bytes.")
    return body


def _origin_query(request: web.Request) -> str:
    """Return the query for the origin: without what is addressed to the manager."""
    raw = request.rel_url.raw_query_string
    return "&".join(pair for pair in raw.split("&") if pair and pair.partition("=")[0].lower() not in {"host", "app"})


def _passed_on(
    response: ClientResponse, body: bytes, more: dict[str, str], session: WhipSession | None = None
) -> web.Response:
    return web.Response(status=response.status, body=body or None, headers=_kept(response, session) | more)


def _kept(response: ClientResponse, session: WhipSession | None) -> dict[str, str]:
    headers = {name: response.headers[name] for name in RESPONSE_HEADERS if name in response.headers}
    if links := response.headers.getall("Link", []):
        headers["Link"] = ", ".join(rewrite_links(links, None if session is None else session.to_client))
    return headers
