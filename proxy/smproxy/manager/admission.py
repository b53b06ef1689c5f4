"""Admission: what becomes of a client's WebSocket upgrade."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from yarl import URL

from smproxy.faults import Fault
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.fault_injection import REFUSALS, Interference, Plan
from smproxy.manager.origin_registry import Node, OriginChoiceError, Registry
from smproxy.manager.relay.relay import Relay
from smproxy.manager.sessions import Sessions
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.signaling import messages
from smproxy.signaling.clock import Clock
from smproxy.signaling.messages import ServerMessage
from smproxy.signaling.node import ATTEMPT_HEADER, Announce
from smproxy.signaling.params import ConnectionParams, ParamError

logger = logging.getLogger(__name__)

POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
TRY_AGAIN_LATER = 1013  # registered with IANA, as is the next
BAD_GATEWAY = 1014


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """``disabled_by`` names the setting that has switched the proxy off, where one has."""

    disabled_by: str | None = None
    default_app: str = "live"
    scope_required: bool = True
    pass_switch: bool = False


class Admission:
    """Checks who asks for what, then lets the relay dial, or refuses in the signaling's own words.

    The SDK never rejects on a close code and sees no reason in an HTTP status, so a refusal is an accepted upgrade, a
    code-only ``Rejected`` and a close whose reason names the parameter.
    """

    def __init__(
        self,
        rules: AdmissionRules,
        *,
        registry: Registry,
        sessions: Sessions,
        relay: Relay,
        transcripts: Transcripts,
        interference: Interference,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._registry = registry
        self._sessions = sessions
        self._relay = relay
        self._transcripts = transcripts
        self._interference = interference
        self._clock = clock

    def __call__(self, request: UpgradeRequest) -> None:
        """Decide on one upgrade request; every path answers it."""
        if self._rules.disabled_by is not None:
            logger.warning("upgrade refused: %s switches the proxy off", self._rules.disabled_by)
            request.reject(403, f"The WebSocket proxy is disabled by {self._rules.disabled_by}.")
            return
        try:
            params = ConnectionParams.from_url(
                URL(request.target, encoded=True),
                default_app=self._rules.default_app,
                scope_required=self._rules.scope_required,
            )
            plan = self._interference.plan(params)
            if (fault := plan.find(*REFUSALS)) is not None:
                self._strike(request, plan, fault)
                return
            node = self._choose(params)
        except ParamError as error:
            self._refuse(request, error)
            return
        client = Client(
            remote_ip=request.remote_ip,
            user_agent=request.headers.get("user-agent", "")[:500],
            secure=request.secure,
            since_ms=self._clock.wall_ms(),
        )
        attempt = self._sessions.open(params, node, client)
        logger.info(
            "session %d: %s %r in %s from %s to origin %s",
            attempt.session,
            params.role,
            params.id,
            params.room,
            request.remote_ip,
            node.address,
        )
        self._interference.begin(plan, attempt)
        if (fault := plan.find("connect-failed")) is not None:
            self._fail(request, plan, fault, attempt)
            return
        unreachable = plan.find("origin-unreachable")
        if unreachable is not None:
            unreachable.acted(attempt.session, params)
        if node.command is not None:
            node.command(Announce(attempt.token))
        origin_filter = None if node.reports or self._rules.pass_switch else keeps_the_socket
        try:
            attempt.relay = self._relay.open(
                request,
                host=node.host,
                port=node.port,
                target=params.origin_target,
                headers={ATTEMPT_HEADER: attempt.token} if node.reports else {},
                observer=attempt,
                origin_filter=origin_filter,
                transcript=self._transcripts.open(attempt.session, _url(request)),
                faults=self._interference.pipeline(plan, attempt, origin_filter),
                unreachable=None if unreachable is None else float(unreachable.parameters["after"]),
            )
        except ValueError as error:  # what was checked above should not get here, but no session may hang on it
            attempt.dial_failed(str(error))
            self._relay.refuse(
                request, messages.connect_error(messages.CONNECT_FAILED), BAD_GATEWAY, "bad origin address"
            )

    def _choose(self, params: ConnectionParams) -> Node:
        try:
            return self._registry.choose(params.host)
        except OriginChoiceError as error:
            refusal = ParamError("host", params.host, str(error), error.hint)
            refusal.connection = params.connection
            raise refusal from None

    def _refuse(self, request: UpgradeRequest, error: ParamError) -> None:
        hint = f": {error.hint}" if error.hint else ""
        session = self._sessions.refuse(error.connection, request.remote_ip)
        redact = self._transcripts.open(session, _url(request)).redactor.text
        value = "(absent)" if error.value is None else repr(_shortened(redact(error.value)))
        problem = redact(f"{error.problem}{hint}")
        logger.warning("refused %s: %s=%s %s", request.remote_ip, error.parameter, value, problem)
        text = messages.connect_status(messages.CONNECT_REJECTED)
        self._turn_away(request, session, text, POLICY_VIOLATION, str(error))

    def _turn_away(self, request: UpgradeRequest, session: int, text: str, code: int, reason: str) -> None:
        transcript = self._transcripts.open(session, _url(request))
        transcript.add_proxy_message(text)
        transcript.add_close("proxy", code, reason)
        self._transcripts.ended(session)
        self._relay.refuse(request, text, code, reason)

    def _strike(self, request: UpgradeRequest, plan: Plan, fault: Fault) -> None:
        """Refuse on purpose."""
        params, values = plan.params, fault.parameters
        logger.warning("refused %s: fault %s", request.remote_ip, fault.name)
        if fault.name == "upgrade-refused":
            fault.acted(None, params)
            request.reject(int(values["status"]), f"Refused by the fault {fault.name}.")
            return
        session = self._sessions.refuse(params.connection, request.remote_ip)
        fault.acted(session, params)
        write = messages.connect_error if values.get("type") == "error" else messages.connect_status
        code = int(values.get("code", TRY_AGAIN_LATER))
        self._turn_away(request, session, write(messages.CONNECT_REJECTED), code, str(values["reason"]))

    def _fail(self, request: UpgradeRequest, plan: Plan, fault: Fault, attempt: Attempt) -> None:
        """Refuse on purpose as when no origin can be had."""
        reason = str(fault.parameters["reason"])
        fault.acted(attempt.session, plan.params)
        attempt.dial_failed(reason)
        text = messages.connect_error(messages.CONNECT_FAILED)
        self._turn_away(request, attempt.session, text, int(fault.parameters["code"]), reason)


def keeps_the_socket(message: ServerMessage | None) -> bool:
    """Withhold the notice on which an SDK leaves the socket: without a node channel the session's end is seen only there."""
    return not (message and message.data and message.data.code == messages.DATA_CHANNEL_AVAILABLE)


def _url(request: UpgradeRequest) -> str:
    """Return what the client dialed."""
    return f"{'wss' if request.secure else 'ws'}://{request.headers.get('host', '')}{request.target}"


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"
