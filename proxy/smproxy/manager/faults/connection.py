"""The faults of one connection, drawn when it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from smproxy.faults import Fault, FaultKind
from smproxy.faults.admission_fault import AdmissionFault, FailedConnection, FailedDial, HttpError, RejectedConnection
from smproxy.faults.auth_fault import AuthFault
from smproxy.faults.catalog import Simulated
from smproxy.faults.exchange_fault import ExchangeFault
from smproxy.faults.signaling_fault import SignalingFault
from smproxy.manager.faults.exchange import ExchangePipeline, SessionActions
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.origin_filter import OriginFilter
from smproxy.manager.relay.rewrite import Rewriter
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import ConnectError

R = TypeVar("R", HttpError, RejectedConnection, FailedConnection, FailedDial)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a fault: the fault that was switched on, and what it does this time."""

    fault: Fault
    behaviour: FaultKind


@dataclass(frozen=True, slots=True)
class FaultRefusal(Generic[R]):
    """How a fault refuses a connection."""

    fault: Fault
    how: R


@dataclass(frozen=True, slots=True)
class ConnectionFaults:
    """What is done to one connection. ``hooks``: the faults of hooks that it asked for itself."""

    params: ConnectionParams
    uses: tuple[Use, ...] = ()
    hooks: tuple[Simulated, ...] = ()

    @property
    def authentication(self) -> tuple[Fault, AuthFault] | None:
        """The first fault that decides on the client in place of the authentication scheme."""
        for use in self.uses:
            if isinstance(use.behaviour, AuthFault):
                return use.fault, use.behaviour
        return None

    def refusal(self, how: type[R]) -> FaultRefusal[R] | None:
        """Return the first refusal of this form."""
        for use in self.uses:
            if isinstance(use.behaviour, AdmissionFault) and isinstance(refused := use.behaviour.refuse(), how):
                return FaultRefusal(use.fault, refused)
        return None

    def pipeline(
        self,
        session: int,
        report_refusal: Callable[[ConnectError], None],
        origin_filter: OriginFilter | None,
        rewriter: Rewriter | None = None,
    ) -> FaultPipeline | None:
        """Make what the messages of the connection pass; ``None`` when no fault acts on them."""
        if not self.uses:
            return None
        faults = [
            (use.behaviour, partial(self._acted, use.fault, session))
            for use in self.uses
            if isinstance(use.behaviour, SignalingFault)
        ]
        if not faults:
            return None
        return FaultPipeline(faults, report_refusal=report_refusal, origin_filter=origin_filter, rewriter=rewriter)

    def exchanges(self, session: int | None, actions: SessionActions) -> ExchangePipeline | None:
        """Make what the HTTP requests of the connection pass; ``None`` when no fault acts on them."""
        faults = [
            (use.behaviour, partial(self._acted, use.fault, session))
            for use in self.uses
            if isinstance(use.behaviour, ExchangeFault)
        ]
        return ExchangePipeline(faults, actions) if faults else None

    def _acted(self, fault: Fault, session: int | None, detail: str) -> None:
        fault.acted(session, self.params, detail)
