"""What all connections of a relay share."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from smproxy.manager.deadlines import Deadlines
from smproxy.manager.relay.dial import Dial, DialOwner
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.refusal import Refusal
from smproxy.manager.upgrade import UpgradeRequest

#: Sweeps from the latest data of a leg to its ping.
SWEEPS_TO_PING = 4


@dataclass(slots=True)
class RelayContext:
    """Limits, time-outs, and how a connection asks the relay for a dial or a refusal."""

    limits: RelayLimits
    rng: random.Random
    dials: Deadlines
    boundaries: Deadlines
    closings: Deadlines
    refuse: Callable[[UpgradeRequest], Refusal]
    dial: Callable[[DialOwner, bytes], Dial]
    sweeps_to_end: int
