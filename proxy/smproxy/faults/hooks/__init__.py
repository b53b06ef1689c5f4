"""Faults in the delivery of hooks, and scenarios made of them that people meet in production."""

from smproxy.faults.hooks import (
    delay,
    drop,
    duplicate,
    duplicate_publish,
    late_unpublish,
    reorder,
    stale_keepalive,
    unpublish_lost,
    unpublish_without_publish,
)
from smproxy.faults.kind import FaultKind

FAULTS: tuple[FaultKind, ...] = (
    delay.FAULT,
    drop.FAULT,
    duplicate.FAULT,
    reorder.FAULT,
    late_unpublish.FAULT,
    unpublish_lost.FAULT,
    duplicate_publish.FAULT,
    unpublish_without_publish.FAULT,
    stale_keepalive.FAULT,
)
