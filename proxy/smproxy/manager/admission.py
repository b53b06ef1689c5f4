"""Decide on each client's WebSocket upgrade: dial an origin, or refuse it."""

from __future__ import annotations

import logging

import msgspec
from yarl import URL

from smproxy.auth.grant import NOTHING
from smproxy.auth.request import make_request
from smproxy.faults.admission_fault import FailedConnection, FailedDial, HttpError, RejectedConnection
from smproxy.manager.attempt import Attempt, Client, about_refused
from smproxy.manager.authenticator import Authenticator, Decision
from smproxy.manager.faults.connection import ConnectionFaults, FaultRefusal
from smproxy.manager.faults.injection import FaultInjection
from smproxy.manager.origin_registry import Node, OriginChoiceError, OriginRegistry
from smproxy.manager.relay.relay import Relay
from smproxy.manager.sessions import Sessions
from smproxy.manager.settings import AdmissionRules
from smproxy.manager.tracing import Tracer
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling import messages
from smproxy.signaling.clock import Clock
from smproxy.signaling.messages import ServerMessage
from smproxy.signaling.node_channel import ATTEMPT_HEADER
from smproxy.signaling.params import ConnectionParams, ParamError
from smproxy.signaling.payloads import Role
from smproxy.signaling.renaming import Renaming
from smproxy.signaling.socket_endpoints import read_socket_endpoint

logger = logging.getLogger(__name__)

POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
BAD_GATEWAY = 1014  # registered with IANA


class Admission:
    """Check an upgrade request; have the relay dial, or refuse it with a signaling message.

    The SDK never rejects on a close code and sees no reason in an HTTP status, so a refusal is an accepted upgrade, a
    code-only ``RejectedConnection`` and a close whose reason names the parameter.
    """

    def __init__(
        self,
        rules: AdmissionRules,
        *,
        registry: OriginRegistry,
        sessions: Sessions,
        relay: Relay,
        transcripts: Transcripts,
        faults: FaultInjection,
        clock: Clock,
        authenticator: Authenticator,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._authenticator = authenticator
        self._rules = rules
        self._registry = registry
        self._sessions = sessions
        self._relay = relay
        self._transcripts = transcripts
        self._faults = faults
        self._clock = clock

    def __call__(self, request: UpgradeRequest) -> None:
        """Decide on one upgrade request; every path answers it."""
        if self._rules.disabled_by is not None:
            logger.warning("upgrade refused: %s switches the proxy off", self._rules.disabled_by)
            request.reject(403, f"The WebSocket proxy is disabled by {self._rules.disabled_by}.")
            return
        if not self._sessions.may_act():
            request.reject(503, "This node has no place in its cluster now: try again later, or another one.")
            return
        if self._tracer is not None:
            sent = URL(request.target, encoded=True).query.get("traceparent") or request.headers.get("traceparent")
            request.trace = self._tracer.begin("websocket", request.remote_ip, sent)
        try:
            params = self._read(request)
            faults = self._faults.choose(params)
            if faults.uses and self._refused_by_fault(request, faults):
                return
        except ParamError as error:
            self._refuse(request, error)
            return
        if self._authenticator.asks(faults):
            self._authenticator.spawn(self._authorize(request, faults))
        else:
            self._open(request, faults)

    async def _authorize(self, request: UpgradeRequest, faults: ConnectionFaults) -> None:
        """Let a client in, or refuse it, once there is a verdict.

        Until then it waits for the answer to its upgrade.
        """
        params = faults.params
        asked = make_request(
            params,
            request.target.partition("?")[2],
            stream=None if params.role is Role.SUBSCRIBER else params.id,
            address=request.remote_ip,
            origin=request.headers.get("origin"),
        )
        decision = await self._authenticator.decide(asked, faults, request.trace)
        if request.closed:
            if request.trace is not None:
                request.trace.end("the client left")
            return
        try:
            if decision.verdict.allowed:
                self._open(request, faults, decision)
                return
            reason = decision.verdict.reason
            session = self._sessions.refuse(params.connection, request.remote_ip, reason, request.trace)
            self._transcripts.open(session, _url(request))
            self._authenticator.note(session, params, decision)
            text = messages.connect_status(messages.CONNECT_REJECTED)
            self._turn_away(request, session, text, POLICY_VIOLATION, f"not allowed: {reason}")
        except Exception:
            logger.exception("an upgrade request could not be handled")
            if not request.answered:
                request.reject(500, "internal error")

    def _open(self, request: UpgradeRequest, faults: ConnectionFaults, decision: Decision | None = None) -> None:
        """Begin the session of a client that is let in."""
        grant = NOTHING if decision is None else decision.verdict.grant
        params = grant.apply(faults.params)
        rewriter = None if grant.name is None else Renaming(grant.name)
        try:
            node = self._choose(params, grant.name or params.id)
        except ParamError as error:
            self._refuse(request, error)
            return
        client = Client(
            remote_ip=request.remote_ip,
            user_agent=request.headers.get("user-agent", "")[:500],
            secure=request.secure,
            since_ms=self._clock.wall_ms(),
        )
        attempt = self._sessions.open(params, node, client, request.trace)
        if logger.isEnabledFor(logging.INFO):
            logger.info(
                "session %d: %s %r in %s from %s to origin %s",
                attempt.session,
                params.role,
                params.id,
                params.scope,
                request.remote_ip,
                node.address,
                extra=attempt.about,
            )
        transcript = self._transcripts.open(attempt.session, _url(request))
        if decision is not None:
            self._authenticator.admitted(attempt, decision)
        failed, dial_fails = faults.refusal(FailedConnection), faults.refusal(FailedDial)
        self._faults.begin(faults, attempt, dialled=failed is None and dial_fails is None)
        if failed is not None:
            self._fail(request, failed, attempt)
            return
        if dial_fails is not None:
            dial_fails.fault.acted(attempt.session, params)
        if node.command is not None:
            node.command(attempt.announcement)
        if attempt.trace is not None:
            attempt.dialing = attempt.trace.step("dial", **{"server.address": node.address})
        origin_filter = None if node.reports or self._rules.pass_switch else keeps_the_socket
        try:
            attempt.relay = self._relay.open(
                request,
                host=node.host,
                port=node.port,
                connect=node.connect,
                target=params.origin_target,
                headers={ATTEMPT_HEADER: attempt.token} if node.reports else {},
                observer=attempt,
                origin_filter=origin_filter,
                transcript=transcript,
                faults=self._faults.pipeline(faults, attempt, origin_filter, rewriter),
                rewriter=rewriter,
                unreachable=None if dial_fails is None else dial_fails.how.after,
            )
        except ValueError as error:  # what was checked above should not get here, but no session may hang on it
            attempt.dial_failed(str(error))
            self._relay.refuse(
                request, messages.connect_error(messages.CONNECT_FAILED), BAD_GATEWAY, "bad origin address"
            )

    def _read(self, request: UpgradeRequest) -> ConnectionParams:
        endpoint = read_socket_endpoint(request.path)
        query = request.target.partition("#")[0].partition("?")[2]
        params = ConnectionParams.from_query(
            query if endpoint is None else endpoint.apply(query),
            default_app=self._rules.default_app,
            customer_scope_required=self._rules.customer_scope_required,
            default_customer_scope=self._rules.default_customer_scope,
        )
        if endpoint is None or endpoint.role is None:
            return params
        return msgspec.structs.replace(params, role=endpoint.role)

    def _choose(self, params: ConnectionParams, stream: str) -> Node:
        try:
            return self._registry.choose(
                params.host,
                region=params.region,
                strict=params.strict,
                stream=(params.scope, stream),
                role=params.role,
            )
        except OriginChoiceError as error:
            raise _no_origin(params, error) from None

    def _refuse(self, request: UpgradeRequest, error: ParamError) -> None:
        hint = f": {error.hint}" if error.hint else ""
        session = self._sessions.refuse(
            error.connection, request.remote_ip, trace=request.trace, route_error=error.route_error
        )
        redact = self._transcripts.open(session, _url(request)).redactor.text
        value = "(absent)" if error.value is None else repr(_shortened(redact(error.value)))
        problem = redact(f"{error.problem}{hint}")
        logger.warning(
            "refused %s: %s=%s %s",
            request.remote_ip,
            error.parameter,
            value,
            problem,
            extra=about_refused(session, error.connection),
        )
        text = messages.connect_status(messages.CONNECT_REJECTED)
        self._turn_away(request, session, text, POLICY_VIOLATION, str(error))

    def _turn_away(self, request: UpgradeRequest, session: int, text: str, code: int, reason: str) -> None:
        transcript = self._transcripts.open(session, _url(request))
        transcript.add_proxy_message(text)
        transcript.add_close("proxy", code, reason)
        self._transcripts.ended(session)
        self._relay.refuse(request, text, code, reason)

    def _refused_by_fault(self, request: UpgradeRequest, faults: ConnectionFaults) -> bool:
        """Refuse the connection before it has an origin, if a fault says so.

        Return whether it was refused.
        """
        params = faults.params
        if (error := faults.refusal(HttpError)) is not None:
            logger.warning(
                "refused %s: fault %s",
                request.remote_ip,
                error.fault.name,
                extra=about_refused(None, params.connection),
            )
            error.fault.acted(None, params)
            if request.trace is not None:
                request.trace.end(f"fault {error.fault.name}")
            request.reject(error.how.status, f"Refused by the fault {error.fault.name}.")
            return True
        if (rejected := faults.refusal(RejectedConnection)) is not None:
            session = self._sessions.refuse(params.connection, request.remote_ip, trace=request.trace)
            logger.warning(
                "refused %s: fault %s",
                request.remote_ip,
                rejected.fault.name,
                extra=about_refused(session, params.connection),
            )
            rejected.fault.acted(session, params)
            self._turn_away(request, session, rejected.how.message, rejected.how.code, rejected.how.reason)
            return True
        return False

    def _fail(self, request: UpgradeRequest, failed: FaultRefusal[FailedConnection], attempt: Attempt) -> None:
        """Refuse the connection in place of the dial, as a fault says."""
        failed.fault.acted(attempt.session, attempt.params)
        attempt.dial_failed(failed.how.reason)
        self._turn_away(request, attempt.session, failed.how.message, failed.how.code, failed.how.reason)


def _no_origin(params: ConnectionParams, error: OriginChoiceError) -> ParamError:
    """Return the refusal of a client for which there is no origin.

    Not made where it is raised: an exception that its own frame knows waits for the cycle collector, with the client's request.
    """
    value = params.region if error.parameter == "region" else params.host
    refusal = ParamError(error.parameter, value, str(error), error.hint)
    refusal.connection, refusal.route_error = params.connection, error.error
    return refusal


def keeps_the_socket(message: ServerMessage | None) -> bool:
    """Withhold the message on which an SDK leaves the socket.

    Without a node channel a session's end is seen only there.
    """
    return not (message and message.data and message.data.code == messages.DATA_CHANNEL_AVAILABLE)


def _url(request: UpgradeRequest) -> str:
    """Return what the client dialed."""
    return f"{'wss' if request.secure else 'ws'}://{request.host}{request.target}"


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"
