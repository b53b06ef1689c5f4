"""What happens in a run of the manager: steps drawn from a seed."""

from __future__ import annotations

import random

from smproxy.faults import Layer
from smproxy.faults.catalog import KINDS

from tests.simulation.node.steps import Step

#: Virtual seconds of trouble.
LENGTH = 40.0

#: Of the clients with a WebSocket, and with WHIP and WHEP; those of the model of WHIP have others, for which no fault is.
IDS = ("cam-1", "mic-1", "chaos-1", "chaos-2")
CUSTOMERS = ("acme", "umbrella")

#: What cannot happen here: it needs nodes, or a TURN server.
_LEFT_OUT = {"node-fault", "node-sunset", "turn-auth-failed"}
FAULTS = tuple(name for name, kind in KINDS.items() if kind.layer is not Layer.HOOKS and name not in _LEFT_OUT)

_WEIGHTS = {"connect": 8, "request": 8, "whip": 20, "leave": 3, "fault": 5, "faults off": 2, "origin": 0.5}


def draw(seed: int) -> list[Step]:
    """Draw the steps of a seed."""
    rng = random.Random(f"manager/{seed}")
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    steps, at = [Step(0.1, "connect", rng.getrandbits(30), "publisher cam-1 of acme")], 0.1
    while at < LENGTH:
        at += rng.choice((0.0, 0.01, 0.3, 1.0)) * rng.uniform(0.2, 1.8)
        what = rng.choices(kinds, weights)[0]
        steps.append(Step(at, what, rng.getrandbits(30), _detail(what, rng)))
    return steps


def _detail(what: str, rng: random.Random) -> str:
    match what:
        case "connect":
            return f"{rng.choice(('publisher', 'subscriber'))} {rng.choice(IDS)} of {rng.choice(CUSTOMERS)}"
        case "request":
            return f"{rng.choice(('whip', 'whep'))} {rng.choice(IDS)} of {rng.choice(CUSTOMERS)}"
        case "leave":
            return rng.choice(("goodbye", "lost"))
        case "fault":
            # Never for cam and mic of acme, whose WHIP sessions have a model of their own.
            pattern, customer = rng.choice(
                (("*chaos-*", None), ("*chaos-1", "acme"), (None, "umbrella"), ("*a*-2", None))
            )
            role = rng.choice((None, None, "publisher", "subscriber"))
            return f"{rng.choice(FAULTS)} for {pattern} of {customer} as {role}"
        case "origin":
            return f"gone for {rng.choice((0.5, 3.0))} s"
        case _:
            return ""
