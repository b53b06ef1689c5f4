"""The faults that are switched on, and the log of what they have done."""

from __future__ import annotations

import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from smproxy.faults.catalog import KINDS, Simulated, find
from smproxy.faults.fault import Fault
from smproxy.faults.kind import FaultKind, Layer
from smproxy.faults.match import Match, Subject
from smproxy.faults.parameter import FaultError, Value, Values
from smproxy.signaling.clock import Clock

#: Faults that are switched on at a time, entries of the log, and sessions whose faults are remembered.
MAX_FAULTS = 1_000
MAX_LOG = 1_000
MAX_SESSIONS = 10_000

#: Characters of what a fault asks of an id, a customer scope or an app.
MAX_PATTERN = 1_000

#: What the id of a fault is that a connection asked for itself.
SIMULATED = "simulate"


@dataclass(frozen=True, slots=True)
class Injection:
    """One time that a fault has acted. ``at``: Unix time in milliseconds."""

    at: int
    id: str
    fault: str
    session: int | None
    connection_id: str | None
    customer_scope: str | None
    detail: str


class FaultRegistry:
    """The faults of one simulator.

    Belongs to the event loop; does no I/O. See :mod:`smproxy.faults` for its use. ``prefix``: what names of faults begin with.
    """

    def __init__(self, *, clock: Clock | None = None, rng: random.Random | None = None, prefix: str = "f") -> None:
        self._prefix = prefix
        self._clock = clock or Clock()
        self._rng = rng or random.SystemRandom()
        self._faults: dict[str, Fault] = {}
        self._simulated: OrderedDict[int, list[Fault]] = OrderedDict()
        self._log: deque[Injection] = deque(maxlen=MAX_LOG)
        self._names: OrderedDict[int, list[str]] = OrderedDict()
        self._number = 0
        self._watchers: list[Callable[[Fault, bool], None]] = []

    def now(self) -> float:
        """Return the monotonic time, in seconds."""
        return self._clock.monotonic()

    def add(
        self,
        kind: str | type[FaultKind],
        *,
        id: str | None = None,
        customer_scope: str | None = None,
        role: str | None = None,
        app: str | None = None,
        count: int | None = None,
        probability: float = 1.0,
        seed: int | None = None,
        ttl: float | None = None,
        **parameters: Value,
    ) -> Fault:
        """Switch a fault on; see :mod:`smproxy.faults`.

        Raises:
            FaultError: there is no such fault or parameter, a value cannot be used, or there are ``MAX_FAULTS`` already.
        """
        if customer_scope is None and "customerScope" in parameters:  # its name everywhere else
            customer_scope = str(parameters.pop("customerScope"))
        return self.switch_on(
            kind,
            parameters,
            id=id,
            customer_scope=customer_scope,
            role=role,
            app=app,
            count=count,
            probability=probability,
            seed=seed,
            ttl=ttl,
        )

    def switch_on(
        self,
        kind: str | type[FaultKind],
        parameters: Mapping[str, object],
        *,
        id: str | None = None,
        customer_scope: str | None = None,
        role: str | None = None,
        app: str | None = None,
        count: int | None = None,
        probability: float = 1.0,
        seed: int | None = None,
        ttl: float | None = None,
        fault_id: str | None = None,
    ) -> Fault:
        """Switch a fault on, as :meth:`add` does, with parameters of any origin.

        ``fault_id`` is how it is called, where that is given.

        Raises:
            FaultError: as :meth:`add`.
        """
        if isinstance(kind, str):
            kind = find(kind)
        elif kind.layer is Layer.MEDIA and kind is not KINDS.get(kind.name):
            raise FaultError(f"{kind.name} cannot be carried out: origins know only the media faults of the catalog")
        values = kind.read(parameters)
        if role not in {None, "publisher", "subscriber"}:
            raise FaultError(f"role={role!r} is neither publisher nor subscriber")
        for asked, pattern in (("id", id), ("customerScope", customer_scope), ("app", app)):
            if pattern is not None and len(pattern) > MAX_PATTERN:
                raise FaultError(f"{asked} has {len(pattern)} characters: at most {MAX_PATTERN}")
        if count is not None and not (isinstance(count, int) and 0 < count <= 10**9):
            raise FaultError(f"count={count!r} is not a whole number from 1 on")
        if not 0 <= probability <= 1:
            raise FaultError(f"probability={probability!r} is not a number from 0 to 1")
        if ttl is not None and not 0 < ttl < math.inf:
            raise FaultError(f"ttl={ttl!r} is not a number of seconds above 0")
        self._purge()
        if len(self._faults) >= MAX_FAULTS:
            raise FaultError(f"there are {MAX_FAULTS} faults already: remove some")
        if fault_id is not None and (len(fault_id) > MAX_PATTERN or fault_id in self._faults):
            raise FaultError(f"as={fault_id[:100]!r} is too long, or the name of a fault that is on")
        self._number += 1
        match = Match(id, customer_scope, role, app)
        name = fault_id or f"{self._prefix}{self._number}"
        fault = self._make(name, kind, values, match, count, probability, seed, ttl, None)
        self._faults[fault.id] = fault
        for watcher in self._watchers:
            watcher(fault, True)
        return fault

    def get(self, id: str) -> Fault | None:
        """Return a fault that was switched on and not removed."""
        self._purge()
        return self._faults.get(id)

    def remove(self, id: str) -> bool:
        """Switch a fault off; return whether it was there."""
        fault = self.get(id)
        if fault is not None:
            fault.remove()
        return fault is not None

    def clear(self) -> int:
        """Switch all faults off; return how many there were. The log stays."""
        faults = self.active()
        for fault in [*faults, *(each for several in self._simulated.values() for each in several)]:
            fault.remove()
        return len(faults)

    def active(self) -> list[Fault]:
        """Return the faults that are switched on, the oldest first.

        Those whose count is used up are among them.
        """
        self._purge()
        return list(self._faults.values())

    def log(self) -> list[Injection]:
        """Return what faults have done, the latest last."""
        return list(self._log)

    def forget_log(self) -> None:
        """Forget what faults have done."""
        self._log.clear()
        self._names.clear()

    def names_for(self, session: int) -> list[str]:
        """Return the names of the faults that acted on a session, in the order of their first acts."""
        return list(self._names.get(session, ()))

    def watch(self, watcher: Callable[[Fault, bool], None]) -> Callable[[], None]:
        """Have ``watcher`` called with each fault that is switched on (``True``) or off.

        Returns a function that ends that.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # for what carries faults out ----------------------------------------------------------------------------------

    def simulate(self, asked: Iterable[Simulated], session: int | None) -> list[Fault]:
        """Switch on, for one session only, what its connection asked for."""
        faults = [
            self._make(SIMULATED, each.kind, each.parameters, Match(), None, each.probability, each.seed, None, session)
            for each in asked
        ]
        if session is not None and any(fault.kind.layer is Layer.HOOKS for fault in faults):
            self._simulated[session] = [fault for fault in faults if fault.kind.layer is Layer.HOOKS]
            while len(self._simulated) > MAX_SESSIONS:
                self._simulated.popitem(last=False)
        return faults

    def connection_faults(self) -> list[Fault]:
        """Return the faults that are on and may be for a new connection."""
        self._purge()
        return [fault for fault in self._faults.values() if fault.kind.layer is not Layer.HOOKS]

    @property
    def has_hook_faults(self) -> bool:
        """Whether any fault may be for the hooks of some session."""
        return bool(self._faults or self._simulated)

    def hook_faults(self, session: int) -> list[Fault]:
        """Return the faults that may be for the hooks of a session."""
        self._purge()
        known = (fault for fault in self._faults.values() if fault.kind.layer is Layer.HOOKS)
        return [*self._simulated.get(session, ()), *known]

    def forget_session(self, session: int) -> None:
        """Forget what a session's connection has asked for: it is over."""
        self._simulated.pop(session, None)

    def forget(self, fault: Fault) -> None:
        """Remove a fault."""
        known = self._faults.pop(fault.id, None) is fault
        if fault.session is not None:
            own = self._simulated.pop(fault.session, [])
            known = fault in own
            if others := [each for each in own if each is not fault]:
                self._simulated[fault.session] = others
        if known:
            for watcher in self._watchers:
                watcher(fault, False)

    def note(self, fault: Fault, session: int | None, subject: Subject, detail: str) -> None:
        """Log that a fault has acted."""
        entry = Injection(
            self._clock.wall_ms(), fault.id, fault.name, session, subject.id, subject.customer_scope, detail
        )
        self._log.append(entry)
        if session is None:
            return
        names = self._names.setdefault(session, [])
        if fault.name not in names:
            names.append(fault.name)
        while len(self._names) > MAX_SESSIONS:
            self._names.popitem(last=False)

    def _make(
        self,
        id: str,
        kind: type[FaultKind],
        parameters: Values,
        match: Match,
        count: int | None,
        probability: float,
        seed: int | None,
        ttl: float | None,
        session: int | None,
    ) -> Fault:
        return Fault(
            self,
            id,
            kind,
            parameters,
            match,
            count=count,
            probability=probability,
            seed=self._rng.getrandbits(32) if seed is None else seed,
            ttl=ttl,
            session=session,
            now=self.now(),
        )

    def _purge(self) -> None:
        for fault in [fault for fault in self._faults.values() if fault.over]:
            fault.remove()
