"""A client's offer: who sent it, which origin takes it, and the session that begins with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urljoin

from aiohttp import web
from yarl import URL

from smproxy.manager.admission import AdmissionRules
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.origin_registry import Node, OriginChoiceError, Registry
from smproxy.manager.sessions import Sessions
from smproxy.manager.transcript import Side, Transcript
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.whip.exchange import ExchangeFailed, Origins, read_body
from smproxy.manager.whip.notes import request_note, response_note
from smproxy.manager.whip.parameters import Request, read_bearer, read_request
from smproxy.manager.whip.problem import Problem
from smproxy.manager.whip.reply import Reply, passed_on, sent_on
from smproxy.manager.whip.table import WhipSession, WhipTable
from smproxy.signaling.clock import Clock
from smproxy.signaling.node import ATTEMPT_HEADER, Announce, AttemptFailed, PlayStarted, StreamStarted, TransportUp
from smproxy.signaling.params import ParamError
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.whip_endpoints import Endpoint, origin_path

logger = logging.getLogger(__name__)

#: Which error a refusal stands for; other statuses are ``REJECTED``, or from 500 on ``ORIGIN_ERROR``.
_ERROR_OF_STATUS = {400: ConnectError.INVALID_SDP, 409: ConnectError.NAME_IN_USE, 422: ConnectError.INVALID_SDP}


class Offers:
    """Takes offers to origins, and keeps the sessions that come of them in ``table``."""

    def __init__(
        self,
        rules: AdmissionRules,
        *,
        registry: Registry,
        sessions: Sessions,
        transcripts: Transcripts,
        table: WhipTable,
        origins: Origins,
        clock: Clock,
        new_identity: Callable[[], str],
    ) -> None:
        self._rules = rules
        self._registry = registry
        self._sessions = sessions
        self._transcripts = transcripts
        self._table = table
        self._origins = origins
        self._clock = clock
        self._new_identity = new_identity

    async def take(self, request: web.Request, endpoint: Endpoint, body: bytes) -> Reply:
        """Answer a POST on an endpoint.

        Raises:
            Problem: it is refused; when a session was begun, its hooks say so.
        """
        if self._rules.disabled_by is not None:
            raise Problem(403, f"The proxy is disabled by {self._rules.disabled_by}.")
        if self._table.full:
            raise Problem(
                503, f"There are {len(self._table)} sessions, as many as there can be.", {"Retry-After": "10"}
            )
        asked, node = self._admit(request, endpoint, body)
        client = Client(
            remote_ip=request.remote or "",
            user_agent=request.headers.get("User-Agent", "")[:500],
            secure=request.secure,
            since_ms=self._clock.wall_ms(),
        )
        attempt = self._sessions.open(asked.params, node, client)
        logger.info(
            "session %d: %s %r in %s from %s over %s to origin %s",
            attempt.session, asked.params.role, asked.stream, asked.params.room, client.remote_ip, endpoint.door, node.address,
        )  # fmt: skip
        transcript = self._note_request(request, attempt.session, body)
        answered_by: Side = "origin"
        try:
            reply = await self._exchange(request, endpoint, asked, attempt, body)
        except Problem as problem:
            reply, answered_by = problem.reply(), "proxy"
        except asyncio.CancelledError:
            self._sessions.report(node, AttemptFailed(attempt.token, ConnectError.TIMEOUT))
            raise
        finally:
            attempt.exchange_over()
        transcript.add_exchange(answered_by, response_note(reply.status, reply.headers, reply.body))
        return reply

    def _admit(self, request: web.Request, endpoint: Endpoint, body: bytes) -> tuple[Request, Node]:
        """Read the parameters and choose the origin."""
        try:
            asked = read_request(
                endpoint,
                request.rel_url,
                read_bearer(request.headers.get("Authorization", "")),
                default_app=self._rules.default_app,
                scope_required=self._rules.scope_required,
                make_id=lambda: f"subscriber-{self._new_identity()[:8]}",
            )
            return asked, self._choose(asked)
        except ParamError as error:
            session = self._sessions.refuse(error.connection, request.remote or "")
            transcript = self._note_request(request, session, body)
            why = transcript.redactor.text(f"{error}: {error.hint}" if error.hint else str(error))
            logger.warning("refused %s: %s", request.remote, why)
            problem = Problem(400, f"{why}.")
            transcript.add_exchange("proxy", response_note(400, {}, problem.reply().body))
            self._transcripts.ended(session)
            raise problem from None

    def _choose(self, asked: Request) -> Node:
        try:
            return self._registry.choose(asked.params.host)
        except OriginChoiceError as error:
            refusal = ParamError("host", asked.params.host, str(error), error.hint)
            refusal.connection = asked.params.connection
            raise refusal from None

    def _note_request(self, request: web.Request, session: int, body: bytes) -> Transcript:
        transcript = self._transcripts.open(session, str(request.url))
        transcript.add_exchange("client", request_note("POST", request.raw_path, request.headers, body))
        return transcript

    async def _exchange(
        self, request: web.Request, endpoint: Endpoint, asked: Request, attempt: Attempt, body: bytes
    ) -> Reply:
        node = attempt.node
        base = URL.build(scheme="http", host=node.host, port=node.port)
        path = origin_path(endpoint.door, asked.params.room, asked.stream)
        url = URL(f"{base}{path}?{asked.params.origin_query}", encoded=True)
        headers = sent_on(request.headers, attempt.client.remote_ip, request.secure)
        if node.command is not None:
            node.command(Announce(attempt.token))
            headers[ATTEMPT_HEADER] = attempt.token
        try:
            async with self._origins.exchange("POST", url, headers, body) as response:
                answer = await read_body(response)
        except ExchangeFailed as error:
            attempt.dial_failed(str(error))
            raise Problem(502, f"The origin {node.address} cannot be reached: {error}.") from None
        # 406 with a Location is the counter-offer of a WHEP server: the session has begun.
        location = response.headers.get("Location")
        if not 200 <= response.status < 300 and not (response.status == 406 and location):
            self._refused(attempt, response.status)
            return Reply(response.status, passed_on(response, None), answer)
        if location is None:
            self._refused(attempt, 502)
            raise Problem(502, f"The origin {node.address} gave no Location for the session.")
        resource = URL(urljoin(str(url), location), encoded=True)
        if resource.origin() != base.origin():
            self._refused(attempt, 502)
            raise Problem(502, f"The origin {node.address} gave a Location on another server.")
        identity = self._new_identity()
        session = WhipSession(identity, endpoint.door, attempt, endpoint.session_path(identity), resource)
        if self._sessions.attempt(attempt.token) is not None:
            self._table.add(session)
        if not node.reports:
            self._accepted(attempt, asked, endpoint)
        return Reply(response.status, passed_on(response, session.to_client) | {"Location": session.path}, answer)

    def _accepted(self, attempt: Attempt, asked: Request, endpoint: Endpoint) -> None:
        """Conclude what an origin without a node channel does not report."""
        started = StreamStarted if endpoint.door == "whip" else PlayStarted
        self._sessions.report(attempt.node, started(attempt.token, asked.stream, asked.params.room))
        self._sessions.report(attempt.node, TransportUp(attempt.token))

    def _refused(self, attempt: Attempt, status: int) -> None:
        """Note that the origin refused; one with a node channel has reported why, and the first report counts."""
        other = ConnectError.ORIGIN_ERROR if status >= 500 else ConnectError.REJECTED
        self._sessions.report(attempt.node, AttemptFailed(attempt.token, _ERROR_OF_STATUS.get(status, other)))
