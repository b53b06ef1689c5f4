"""Ask the authentication scheme about each new connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from smproxy.auth.grant import Grant
from smproxy.auth.request import AuthRequest
from smproxy.auth.scheme import Scheme
from smproxy.auth.verdict import Verdict, failed
from smproxy.faults import Fault
from smproxy.faults.auth_fault import AuthOutcome
from smproxy.log_fields import about
from smproxy.manager.attempt import Attempt
from smproxy.manager.faults.connection import ConnectionFaults
from smproxy.manager.session import Session
from smproxy.manager.sessions import Sessions
from smproxy.manager.tracing import ClientTrace
from smproxy.manager.transcripts import Transcripts
from smproxy.manager.verdict_log import VerdictLog
from smproxy.signaling.clock import Clock
from smproxy.signaling.params import ConnectionParams
from smproxy.tasks import Tasks, Timers

logger = logging.getLogger(__name__)

#: Seconds until a client is denied whose scheme has not decided: beyond the 9 s of a back end, for what must not happen.
TIMEOUT = 9.5

#: Clients that may wait for a verdict at a time; others are denied.
MAX_WAITING = 1_000

#: Seconds that back ends have when the manager stops, to be told of the ends of sessions.
STOP_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on a client, and how long it took; ``asked`` is false for one that comes back.

    ``fault`` has decided in place of the scheme, with ``outcome``.
    """

    request: AuthRequest
    verdict: Verdict
    took_ms: int
    asked: bool = True
    fault: Fault | None = None
    outcome: AuthOutcome | None = None


@dataclass(slots=True)
class _Admitted:
    """A client that was let in: what was asked, what was granted, and the timer of its lifetime."""

    request: AuthRequest
    grant: Grant
    lifetime: asyncio.TimerHandle | None = None


class Authenticator:
    """Decides who is let in. ``close`` reports the last sessions to the scheme and closes it."""

    def __init__(
        self,
        scheme: Scheme | None,
        *,
        sessions: Sessions,
        transcripts: Transcripts,
        log: VerdictLog,
        clock: Clock,
        lazy: bool = False,
    ) -> None:
        self._scheme = scheme
        self._sessions = sessions
        self._transcripts = transcripts
        self._log = log
        self._clock = clock
        self._lazy = lazy
        self._tasks = Tasks()
        self._endings = Tasks()
        self._waiting = 0
        self._lifetimes = Timers()
        self._admitted: dict[int, _Admitted] = {}
        self._unwatch = sessions.on_ended(self._session_ended)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that waits for a verdict."""
        self._tasks.spawn(work)

    def asks(self, faults: ConnectionFaults) -> bool:
        """Return whether anybody decides on a connection: the scheme, or a fault."""
        return self._scheme is not None or faults.authentication is not None

    async def decide(
        self, request: AuthRequest, faults: ConnectionFaults, trace: ClientTrace | None = None
    ) -> Decision:
        """Decide on a client; the time that it takes is a step of its trace."""
        if trace is None:
            return await self._decide(request, faults)
        step = trace.step("authentication")
        decision = await self._decide(request, faults)
        step.end(None if decision.verdict.allowed else decision.verdict.reason)
        return decision

    async def _decide(self, request: AuthRequest, faults: ConnectionFaults) -> Decision:
        """Decide on a client.

        One that comes back to its session with the same credentials is not asked about again, and has what it was granted.
        In lazy mode it is let in now, and ``admitted`` asks.
        """
        if (use := faults.authentication) is not None:
            return await self._decide_by_fault(request, use[0], use[1].decide())
        for known in self._returning():
            if known.request.same_client(request):
                return Decision(request, Verdict("allowed", grant=known.grant), 0, asked=False)
        if self._lazy:
            return Decision(request, Verdict("allowed"), 0, asked=False)
        return await self._ask(request)

    async def refusal(self, request: AuthRequest) -> str | None:
        """Return why the scheme does not let in who begins no signaling; ``None`` when it does."""
        if self._scheme is None:
            return None
        verdict = (await self._ask(request)).verdict
        return None if verdict.allowed else verdict.reason

    def admitted(self, attempt: Attempt, decision: Decision) -> None:
        """Note whose session a client that was let in has begun."""
        if decision.outcome is not None:
            self.note(attempt.session, attempt.params, decision)
            self._tasks.spawn(self._throw_out(attempt, decision.outcome))
            return
        if decision.asked:
            self.note(attempt.session, attempt.params, decision)
        elif attempt.session in self._admitted:
            return  # it came back
        elif self._lazy:
            self._tasks.spawn(self._ask_lazily(attempt, decision.request))
        self._admit(attempt.session, decision)

    def note(self, session: int, params: ConnectionParams, decision: Decision) -> None:
        """Keep a verdict in the transcript of a session; count a fault that has acted."""
        scheme = self._scheme.name if self._scheme is not None else ""
        if decision.fault is not None:
            scheme = decision.fault.name
            decision.fault.acted(session, params, decision.verdict.reason)
        self._log.add(session, scheme, decision.verdict, decision.took_ms)

    async def close(self) -> None:
        """End what waits, and give the scheme some time for the ends of sessions."""
        self._unwatch()
        self._tasks.cancel()
        self._lifetimes.cancel()
        await self._endings.drain(STOP_TIMEOUT)
        if self._scheme is not None:
            await self._scheme.close()

    async def _decide_by_fault(self, request: AuthRequest, fault: Fault, outcome: AuthOutcome) -> Decision:
        """Decide as a fault says."""
        await asyncio.sleep(outcome.after)
        verdict = Verdict(
            outcome.result,
            "" if outcome.result == "allowed" else outcome.reason,
            403 if outcome.result == "failed" else 401,
        )
        self._log.count(verdict, outcome.after)
        return Decision(request, verdict, round(outcome.after * 1000), fault=fault, outcome=outcome)

    async def _throw_out(self, attempt: Attempt, outcome: AuthOutcome) -> None:
        """End the session of a client that a fault has let in."""
        if outcome.close_after is not None:
            await asyncio.sleep(outcome.close_after)
            self._sessions.deny(attempt, outcome.reason)

    async def _ask(self, request: AuthRequest) -> Decision:
        scheme = self._scheme
        assert scheme is not None
        began = self._clock.monotonic()
        if self._waiting >= MAX_WAITING:
            verdict = failed(f"{MAX_WAITING} clients wait for a verdict already")
        else:
            self._waiting += 1
            try:
                async with asyncio.timeout(TIMEOUT):
                    verdict = await scheme.decide(request)
            except TimeoutError:
                verdict = failed(f"no verdict within {TIMEOUT:g} s")
            except Exception:
                logger.exception(
                    "the authentication scheme %s failed",
                    scheme.name,
                    extra=about(None, request.client_id, request.customer_scope, request.stream),
                )
                verdict = failed("the authentication scheme failed")
            finally:
                self._waiting -= 1
        took = self._clock.monotonic() - began
        self._log.count(verdict, took)
        if not verdict.allowed:
            logger.warning(
                "%s of %r as %r over %s from %s is not allowed: %s",
                request.action, request.stream or request.client_id, request.username, request.transport,
                request.address, verdict.reason,
                extra=about(None, request.client_id, request.customer_scope, request.stream),
            )  # fmt: skip
        return Decision(request, verdict, round(took * 1000))

    async def _ask_lazily(self, attempt: Attempt, request: AuthRequest) -> None:
        """Ask about a client that was let in, and end its session when it should not have been."""
        step = None if attempt.trace is None else attempt.trace.step("authentication")
        decision = await self._ask(request)
        if step is not None:
            step.end(None if decision.verdict.allowed else decision.verdict.reason)
        self.note(attempt.session, attempt.params, decision)
        if decision.verdict.allowed:
            if attempt.session in self._admitted:
                self._admit(attempt.session, decision)
        else:
            self._forget(attempt.session)
            self._sessions.deny(attempt, decision.verdict.reason)

    def _admit(self, session: int, decision: Decision) -> None:
        """Keep what was allowed until the session ends, which a lifetime may do."""
        self._forget(session)
        admitted = self._admitted[session] = _Admitted(decision.request, decision.verdict.grant)
        if (seconds := admitted.grant.lifetime) is not None:
            message = f"its lifetime of {seconds:g} s is over"
            admitted.lifetime = self._lifetimes.after(seconds, lambda: self._sessions.expire(session, message))

    def _forget(self, session: int) -> _Admitted | None:
        admitted = self._admitted.pop(session, None)
        if admitted is not None and admitted.lifetime is not None:
            self._lifetimes.forget(admitted.lifetime)
        return admitted

    def _returning(self) -> list[_Admitted]:
        """Return what was allowed of the sessions that wait for their publishers."""
        found = (self._admitted.get(number) for number in self._sessions.waiting)
        return [admitted for admitted in found if admitted is not None]

    def _session_ended(self, session: Session) -> None:
        admitted = self._forget(session.number)
        if admitted is not None and admitted.request.action == "publish" and self._scheme is not None:
            self._endings.spawn(self._report_end(session.number, self._scheme, admitted.request))

    async def _report_end(self, session: int, scheme: Scheme, request: AuthRequest) -> None:
        """Report the end of a session to the scheme."""
        began = self._clock.monotonic()
        came_to = await scheme.ended(request)
        if came_to is not None and (transcript := self._transcripts.get(session)) is not None:
            transcript.add_end_call(scheme.name, came_to, round((self._clock.monotonic() - began) * 1000))
