"""Faults of a whole origin."""

from proxy.faults.kind import FaultKind
from proxy.faults.origin import origin_crash, origin_full, origin_unreachable

FAULTS: tuple[FaultKind, ...] = (origin_unreachable.FAULT, origin_crash.FAULT, origin_full.FAULT)
