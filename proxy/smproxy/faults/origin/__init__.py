"""Faults of a whole origin."""

from smproxy.faults.kind import FaultKind
from smproxy.faults.origin import origin_crash, origin_full, origin_unreachable

FAULTS: tuple[FaultKind, ...] = (origin_unreachable.FAULT, origin_crash.FAULT, origin_full.FAULT)
