"""Faults in what is said on the socket."""

from smproxy.faults.kind import FaultKind
from smproxy.faults.signaling import (
    bandwidth,
    candidates_reordered,
    close,
    connect_failed,
    connect_rejected,
    latency,
    name_in_use,
    no_starting,
    no_trickle_completed,
    offer_error,
    publish_denied,
    silence,
    unpublish_unanswered,
    upgrade_refused,
)

#: In the order in which they strike.
FAULTS: tuple[FaultKind, ...] = (
    upgrade_refused.FAULT,
    connect_rejected.FAULT,
    connect_failed.FAULT,
    silence.FAULT,
    name_in_use.FAULT,
    offer_error.FAULT,
    candidates_reordered.FAULT,
    no_trickle_completed.FAULT,
    publish_denied.FAULT,
    no_starting.FAULT,
    close.FAULT,
    unpublish_unanswered.FAULT,
    latency.FAULT,
    bandwidth.FAULT,
)
