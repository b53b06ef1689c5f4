"""A client's offer: who sent it, which origin takes it, and the session that begins with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urljoin

from aiohttp import web
from yarl import URL

from smproxy.auth.request import make_request
from smproxy.faults.admission_fault import FailedConnection, FailedDial, HttpError, RejectedConnection
from smproxy.faults.exchange_fault import HttpExchange, HttpOutcome
from smproxy.manager.attempt import Attempt, Client, about_refused
from smproxy.manager.authenticator import Authenticator, Decision
from smproxy.manager.faults.connection import ConnectionFaults
from smproxy.manager.faults.exchange import ExchangePipeline
from smproxy.manager.faults.injection import FaultInjection
from smproxy.manager.live_streams import LiveStreams
from smproxy.manager.origin_registry import Node, OriginChoiceError, OriginRegistry
from smproxy.manager.sessions import Sessions
from smproxy.manager.settings import AdmissionRules
from smproxy.manager.tracing import ClientTrace, Tracer
from smproxy.manager.transcript import Side, Transcript
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.whip.exchange import ExchangeFailed, Origins, read_body
from smproxy.manager.whip.parameters import Request, read_bearer, read_request
from smproxy.manager.whip.problem import Problem
from smproxy.manager.whip.reply import passed_on, sent_on
from smproxy.manager.whip.session_table import WhipSession, WhipTable
from smproxy.manager.whip.transcript_entries import request_note, response_note
from smproxy.printable import printable
from smproxy.signaling.clock import Clock
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse, problem_detail
from smproxy.signaling.node_channel import ATTEMPT_HEADER, AttemptFailed, PlayStarted, StreamStarted, TransportUp
from smproxy.signaling.params import ParamError
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.whip_urls import Endpoint, WhipProtocol, WhipTarget

logger = logging.getLogger(__name__)

#: Which error a refusal stands for; other statuses are ``REJECTED``, or from 500 on ``ORIGIN_ERROR``.
_ERROR_OF_STATUS = {400: ConnectError.INVALID_SDP, 409: ConnectError.NAME_IN_USE, 422: ConnectError.INVALID_SDP}

#: Characters of a refusal in the log.
_SHOWN = 300

#: The trace of a request, if there is one.
TRACE: web.RequestKey[ClientTrace] = web.RequestKey("trace", ClientTrace)


class Offers:
    """Takes offers to origins, and keeps the sessions that come of them in ``table``."""

    def __init__(
        self,
        rules: AdmissionRules,
        *,
        registry: OriginRegistry,
        sessions: Sessions,
        streams: LiveStreams,
        transcripts: Transcripts,
        table: WhipTable,
        origins: Origins,
        faults: FaultInjection,
        clock: Clock,
        new_identity: Callable[[], str],
        authenticator: Authenticator,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._authenticator = authenticator
        self._rules = rules
        self._registry = registry
        self._sessions = sessions
        self._streams = streams
        self._transcripts = transcripts
        self._table = table
        self._origins = origins
        self._faults = faults
        self._clock = clock
        self._new_identity = new_identity

    async def take(self, request: web.Request, endpoint: Endpoint, body: bytes) -> HttpOutcome:
        """Answer a POST on an endpoint.

        Raises:
            Problem: it is refused; when a session was begun, its hooks say so.
        """
        if self._rules.disabled_by is not None:
            raise Problem(403, f"The proxy is disabled by {self._rules.disabled_by}.")
        if not self._sessions.may_act():
            raise Problem(503, "This node has no place in its cluster now.", {"Retry-After": "5"})
        if self._table.full:
            raise Problem(
                503, f"There are {len(self._table)} sessions, as many as there can be.", {"Retry-After": "10"}
            )
        if self._tracer is not None:
            sent = request.headers.get("traceparent") or request.query.get("traceparent")
            request[TRACE] = self._tracer.begin(endpoint.protocol, request.remote or "", sent)
        asked, node, faults = self._admit(request, endpoint, body)
        decision = await self._authorize(request, asked, faults, body) if self._authenticator.asks(faults) else None
        if decision is not None:
            asked = asked.granted(decision.verdict.grant)
            if decision.verdict.grant.name is not None:
                node = self._choose_again(request, asked, body)
        client = Client(
            remote_ip=request.remote or "",
            user_agent=request.headers.get("User-Agent", "")[:500],
            secure=request.secure,
            since_ms=self._clock.wall_ms(),
        )
        attempt = self._sessions.open(asked.params, node, client, request.get(TRACE))
        logger.info(
            "session %d: %s %r in %s from %s over %s to origin %s",
            attempt.session, asked.params.role, asked.stream, asked.params.scope, client.remote_ip,
            endpoint.protocol, node.address, extra=attempt.about,
        )  # fmt: skip
        transcript = self._note_request(request, attempt.session, body)
        if decision is not None:
            self._authenticator.admitted(attempt, decision)
        try:
            outcome, answered_by = await self._answer(request, endpoint, asked, attempt, body, faults)
        except asyncio.CancelledError:
            self._sessions.report(node, AttemptFailed(attempt.token, ConnectError.TIMEOUT))
            raise
        finally:
            attempt.exchange_over()
        transcript.add_exchange(answered_by, response_note(outcome))
        if isinstance(outcome, HttpResponse) and (why := problem_detail(outcome.body)) is not None:
            # Many libraries do not show their user what an answer says.
            level = logging.INFO if outcome.status == 409 else logging.WARNING  # who waits for a stream asks often
            said = transcript.redactor.text(printable(why[:_SHOWN]))
            logger.log(
                level, "session %d: refused with %d: %s", attempt.session, outcome.status, said, extra=attempt.about
            )
        return outcome

    def node(self, request: web.Request, endpoint: Endpoint) -> Node | None:
        """Return the origin for an OPTIONS on an endpoint; ``None``: the POST gives the reason."""
        with contextlib.suppress(ParamError, Problem):
            return self._choose(self._read(request, endpoint))
        return None

    def preflight(self, request: web.Request, endpoint: Endpoint) -> ExchangePipeline | None:
        """Return the faults that an OPTIONS on an endpoint passes, if there are any."""
        try:
            return self._faults.preflight(self._read(request, endpoint).params)
        except (ParamError, Problem):
            return None  # the POST will say so

    def _admit(self, request: web.Request, endpoint: Endpoint, body: bytes) -> tuple[Request, Node, ConnectionFaults]:
        """Read the parameters, draw the faults and choose the origin."""
        try:
            asked = self._read(request, endpoint)
            faults = self._faults.choose(asked.params, request.method)
            self._refuse_by_fault(request, faults, body)
            return asked, self._choose(asked), faults
        except ParamError as error:
            raise self._unusable(request, error, body) from None

    def _choose_again(self, request: web.Request, asked: Request, body: bytes) -> Node:
        """Choose the origin of a stream that the client did not ask for by this name."""
        try:
            return self._choose(asked)
        except ParamError as error:
            raise self._unusable(request, error, body) from None

    def _unusable(self, request: web.Request, error: ParamError, body: bytes) -> Problem:
        """Emit the hook of a refusal for a parameter; return the answer."""
        session = self._sessions.refuse(
            error.connection, request.remote or "", trace=request.get(TRACE), route_error=error.route_error
        )
        redact = self._transcripts.open(session, str(request.url)).redactor.text
        why = redact(f"{error}: {error.hint}" if error.hint else str(error))
        logger.warning("refused %s: %s", request.remote, why, extra=about_refused(session, error.connection))
        status = 404 if error.parameter == "region" else 400
        return self._refusal(request, session, body, Problem(status, f"{why}."))

    async def _authorize(self, request: web.Request, asked: Request, faults: ConnectionFaults, body: bytes) -> Decision:
        """Return the decision that lets a client in.

        Raises:
            Problem: it is not let in.
        """
        decision = await self._authenticator.decide(
            make_request(
                asked.params,
                request.rel_url.raw_query_string,
                stream=asked.stream,
                bearer=read_bearer(request.headers.get("Authorization", "")),
                address=request.remote or "",
                origin=request.headers.get("Origin"),
            ),
            faults,
            request.get(TRACE),
        )
        verdict = decision.verdict
        if not verdict.allowed:
            session = self._sessions.refuse(
                asked.params.connection, request.remote or "", verdict.reason, request.get(TRACE)
            )
            self._transcripts.open(session, str(request.url))
            self._authenticator.note(session, asked.params, decision)
            headers = {"WWW-Authenticate": "Bearer"} if verdict.status == 401 else None
            raise self._refusal(
                request, session, body, Problem(verdict.status, f"Not allowed: {verdict.reason}.", headers)
            )
        return decision

    def _read(self, request: web.Request, endpoint: Endpoint) -> Request:
        """Read what a request is about; who watches a provision gets its nearest live level."""
        asked = read_request(
            endpoint,
            request.rel_url,
            read_bearer(request.headers.get("Authorization", "")),
            default_app=self._rules.default_app,
            customer_scope_required=self._rules.customer_scope_required,
            default_customer_scope=self._rules.default_customer_scope,
            make_id=lambda: f"subscriber-{self._new_identity()[:8]}",
        )
        if endpoint.protocol == "whip":
            return asked
        session = self._streams.nearest(asked.params.scope, asked.stream)
        return asked if session is None else replace(asked, stream=session.life.peer)

    def _refuse_by_fault(self, request: web.Request, faults: ConnectionFaults, body: bytes) -> None:
        """Refuse the client before it has an origin, if a fault says so."""
        if (error := faults.refusal(HttpError)) is not None:
            logger.warning(
                "refused %s: fault %s",
                request.remote,
                error.fault.name,
                extra=about_refused(None, faults.params.connection),
            )
            error.fault.acted(None, faults.params)
            if (trace := request.get(TRACE)) is not None:
                trace.end(f"fault {error.fault.name}")
            raise Problem(error.how.status, f"Refused by the fault {error.fault.name}.")
        if (rejected := faults.refusal(RejectedConnection)) is not None:
            session = self._sessions.refuse(faults.params.connection, request.remote or "", trace=request.get(TRACE))
            logger.warning(
                "refused %s: fault %s",
                request.remote,
                rejected.fault.name,
                extra=about_refused(session, faults.params.connection),
            )
            rejected.fault.acted(session, faults.params)
            raise self._refusal(request, session, body, _problem(rejected.how))

    def _refusal(self, request: web.Request, session: int, body: bytes, problem: Problem) -> Problem:
        """Keep the exchange of a client that was refused before it had an origin."""
        transcript = self._note_request(request, session, body)
        transcript.add_exchange("proxy", response_note(problem.response()))
        self._transcripts.ended(session)
        return problem

    def _choose(self, asked: Request) -> Node:
        try:
            return self._registry.choose(
                asked.params.host,
                region=asked.params.region,
                strict=asked.params.strict,
                stream=(asked.params.scope, asked.stream),
                role=asked.params.role,
            )
        except OriginChoiceError as error:
            value = asked.params.region if error.parameter == "region" else asked.params.host
            refusal = ParamError(error.parameter, value, str(error), error.hint)
            refusal.connection, refusal.route_error = asked.params.connection, error.error
            raise refusal from None

    def _note_request(self, request: web.Request, session: int, body: bytes) -> Transcript:
        transcript = self._transcripts.open(session, str(request.url))
        transcript.add_exchange("client", request_note("POST", request.raw_path, request.headers, body))
        return transcript

    async def _answer(
        self,
        request: web.Request,
        endpoint: Endpoint,
        asked: Request,
        attempt: Attempt,
        body: bytes,
        faults: ConnectionFaults,
    ) -> tuple[HttpOutcome, Side]:
        """Return the answer to an offer, and who gave it."""
        failed, dial_fails = faults.refusal(FailedConnection), faults.refusal(FailedDial)
        self._faults.begin(faults, attempt, dialled=failed is None and dial_fails is None)
        if failed is not None:
            failed.fault.acted(attempt.session, asked.params)
            attempt.dial_failed(failed.how.reason)
            return _problem(failed.how).response(), "proxy"
        if dial_fails is not None:
            dial_fails.fault.acted(attempt.session, asked.params)
            await asyncio.sleep(dial_fails.how.after)
            attempt.dial_failed("a fault keeps it from being reached")
            return Problem(502, f"The origin {attempt.node.address} cannot be reached.").response(), "proxy"
        pipeline = self._faults.exchanges(faults, attempt)
        answered_by: Side = "origin"

        async def forward() -> HttpResponse:
            nonlocal answered_by
            try:
                return await self._exchange(request, endpoint, asked, attempt, body, pipeline)
            except Problem as problem:
                answered_by = "proxy"
                return problem.response()

        if pipeline is None:
            return await forward(), answered_by
        outcome, reached = await pipeline.run(exchange_of(request, endpoint.protocol, body), forward)
        if not reached:  # the first report counts, which may be the fault's own
            self._refused(attempt, outcome.status if isinstance(outcome, HttpResponse) else None)
        return outcome, answered_by if reached else "proxy"

    async def _exchange(
        self,
        request: web.Request,
        endpoint: Endpoint,
        asked: Request,
        attempt: Attempt,
        body: bytes,
        faults: ExchangePipeline | None,
    ) -> HttpResponse:
        node = attempt.node
        base = URL.build(scheme="http", host=node.host, port=node.port)
        path = WhipTarget(endpoint.protocol, asked.params.scope, asked.stream).path
        url = URL(f"{base}{path}?{asked.params.origin_query}", encoded=True)
        headers = sent_on(request.headers, attempt.client.remote_ip, request.secure)
        if node.command is not None:
            node.command(attempt.announcement)
            headers[ATTEMPT_HEADER] = attempt.token
        if attempt.trace is not None:
            attempt.dialing = attempt.trace.step("dial", **{"server.address": node.address})
        try:
            async with self._origins.exchange("POST", url, headers, body) as response:
                answer = await read_body(response)
            attempt.dialed()
        except ExchangeFailed as error:
            attempt.dial_failed(str(error), error.error)
            raise Problem(502, f"The origin {node.address} cannot be reached: {error}.") from None
        # 406 with a Location is the counter-offer of a WHEP server: the session has begun.
        location = response.headers.get("Location")
        if not 200 <= response.status < 300 and not (response.status == 406 and location):
            self._refused(attempt, response.status)
            return HttpResponse(response.status, passed_on(response, None), answer)
        if location is None:
            self._refused(attempt, 502)
            raise Problem(502, f"The origin {node.address} gave no Location for the session.")
        resource = URL(urljoin(str(url), location), encoded=True)
        if resource.origin() != base.origin():
            self._refused(attempt, 502)
            raise Problem(502, f"The origin {node.address} gave a Location on another server.")
        identity = self._new_identity()
        session = WhipSession(identity, endpoint.protocol, attempt, endpoint.session_path(identity), resource, faults)
        if self._sessions.attempt(attempt.token) is not None:
            self._table.add(session)
        if not node.reports:
            self._accepted(attempt, asked, endpoint)
        passed = (*passed_on(response, session.to_client), ("Location", session.path))
        return HttpResponse(response.status, passed, answer)

    def _accepted(self, attempt: Attempt, asked: Request, endpoint: Endpoint) -> None:
        """Conclude what an origin without a node channel does not report."""
        started = StreamStarted if endpoint.protocol == "whip" else PlayStarted
        self._sessions.report(attempt.node, started(attempt.token, asked.stream, asked.params.scope))
        self._sessions.report(attempt.node, TransportUp(attempt.token))

    def _refused(self, attempt: Attempt, status: int | None) -> None:
        """Note that the client was refused.

        An origin with a node channel has reported why, and the first report counts.

        ``status`` ``None``: it got no answer.
        """
        if status is None:
            error = ConnectError.TIMEOUT
        else:
            other = ConnectError.ORIGIN_ERROR if status >= 500 else ConnectError.REJECTED
            error = _ERROR_OF_STATUS.get(status, other)
        self._sessions.report(attempt.node, AttemptFailed(attempt.token, error))


def exchange_of(request: web.Request, protocol: WhipProtocol, body: bytes) -> HttpExchange:
    """Return a client's request as its faults see it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = HttpRequest(request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, headers, body)
    return HttpExchange(asked, protocol, str(request.url.origin()))


def _problem(how: RejectedConnection | FailedConnection) -> Problem:
    """Return a refusal by a fault as a problem."""
    reason = how.reason[:1].upper() + how.reason[1:].rstrip(".") + "."
    return Problem(how.status, reason, {"Retry-After": "5"} if how.status == 503 else None)
