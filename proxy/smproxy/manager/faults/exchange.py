"""Pass the HTTP requests of one WHIP or WHEP session through its faults."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, HttpOutcome, Sender
from smproxy.signaling.http_exchange import HttpResponse
from smproxy.signaling.payloads import ConnectError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionActions:
    """What faults can do to a session beside answering its requests."""

    report_refusal: Callable[[ConnectError], None]
    end: Callable[[], None]
    later: Callable[[float, Callable[[], None]], object]


class _PipelineHttp:
    """What one fault can do; a :class:`smproxy.faults.exchange_fault.ExchangeSession`."""

    def __init__(self, actions: SessionActions, acted: Callable[[str], None]) -> None:
        self.report_refusal = actions.report_refusal
        self.end = actions.end
        self.noted = False
        self._later = actions.later
        self._acted = acted

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._later(seconds, work)

    def acted(self, detail: str = "") -> None:
        if not self.noted:
            self.noted = True
            self._acted(detail)


class ExchangePipeline:
    """The faults of one session, in their order, each with what notes that it has acted.

    A fault that raises is logged, and the request goes on as if there were no such fault.
    """

    def __init__(self, faults: Sequence[tuple[ExchangeFault, Callable[[str], None]]], actions: SessionActions) -> None:
        self._faults = [fault for fault, _ in faults]
        self._sessions = [_PipelineHttp(actions, acted) for _, acted in faults]
        for fault, session in zip(self._faults, self._sessions, strict=True):
            fault.http = session

    async def run(
        self, exchange: HttpExchange, forward: Callable[[], Awaitable[HttpResponse]]
    ) -> tuple[HttpOutcome, bool]:
        """Return what a request gets, and whether it reached the origin.

        ``forward`` has the origin answer it.

        Raises:
            Exception: what ``forward`` raises.
        """
        for session in self._sessions:
            session.noted = False
        await self._hold(exchange, "client")
        outcome: HttpOutcome | None = None
        for fault in self._faults:
            outcome = _guarded(None, fault.on_request, exchange)
            if outcome is not None:
                return outcome, False
        response = await forward()
        await self._hold(exchange, "origin")
        for fault in self._faults:
            outcome = _guarded(response, fault.on_response, exchange, response)
            if not isinstance(outcome, HttpResponse):
                return outcome, True
            response = outcome
        return response, True

    async def _hold(self, exchange: HttpExchange, sender: Sender) -> None:
        seconds = sum(_guarded(0.0, fault.hold, exchange, sender) for fault in self._faults)
        if seconds > 0:
            await asyncio.sleep(seconds)


def _guarded(otherwise: T, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except Exception:
        logger.exception("a fault failed; the request goes on")
        return otherwise
