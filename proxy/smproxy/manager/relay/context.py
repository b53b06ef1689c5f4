"""What all sessions of a relay share."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from smproxy.manager.deadlines import Deadlines
from smproxy.manager.relay.dial import Dial, Dialing
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.relay.refusal import Refusal
from smproxy.manager.upgrade import UpgradeRequest

#: Sweeps from the latest sound of a leg to its ping.
SWEEPS_TO_PING = 4


@dataclass(slots=True)
class Common:
    """Limits, time-outs and the relay's own calls, as its sessions see them."""

    limits: RelayLimits
    rng: random.Random
    dials: Deadlines
    boundaries: Deadlines
    closings: Deadlines
    refuse: Callable[[UpgradeRequest], Refusal]
    dial: Callable[[Dialing, bytes], Dial]
    sweeps_to_end: int
