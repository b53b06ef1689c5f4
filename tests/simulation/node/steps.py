"""What happens in a run: steps drawn from a seed, which a reader understands and a shrinker can leave out."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.node.receivers import MISBEHAVIOURS, STATUSES

STREAMS = ("cam-1", "cam-2", "mic")
CUSTOMERS = ("acme", "umbrella", None)
USERS = ("ann", "bob")
#: Those that the node is started with, and others that are added while it runs.
RECEIVERS = ("r0", "r1")
MORE_RECEIVERS = ("r2", "r3")
#: Virtual seconds of trouble.
LENGTH = 40.0

_WEIGHTS = {
    "connect": 10,
    "progress": 30,
    "leave": 7,
    "receiver": 7,
    "disk": 2,
    "fault": 1,
    "faults off": 1,
    "kill": 1,
    "kill in a write": 1,
    "stop": 0.5,
    "clock": 0.5,
    "resend": 0.7,
    "add": 1.5,
    "remove": 1,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens at a time."""

    at: float
    what: str
    number: int = 0
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.at:7.3f} s  {self.what} {self.detail}".rstrip() + f"  ({self.number})"


@dataclass(frozen=True, slots=True)
class Setup:
    """How the node of a run is started."""

    window: float
    #: Events that are kept; ``None``: all.
    keep: int | None
    queue: int
    in_flight: int
    takeover: float | None
    #: Whether there are all hooks, those on request too.
    all_hooks: bool = False


def draw(seed: int) -> tuple[Setup, list[Step]]:
    """Draw the setting and the steps of a seed."""
    rng = random.Random(f"steps/{seed}")
    setup = Setup(
        window=rng.choice((0.0, 0.0, 3.0, 10.0)),
        keep=rng.choice((None, None, 40)),
        queue=rng.choice((10_000, 40, 8)),
        in_flight=rng.choice((32, 2, 1)),
        takeover=rng.choice((None, None, 0.0)),
        all_hooks=rng.random() < 0.5,
    )
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    steps = [Step(0.2, "connect", 0, "publisher cam-1 of acme as ann")]
    at = 0.2
    while at < LENGTH:
        # Much at once, then nothing for a while.
        at += rng.choice((0.0, 0.001, 0.02, 0.3, 0.3, 3.0)) * rng.uniform(0.2, 1.8)
        what = rng.choices(kinds, weights)[0]
        steps.append(Step(at, what, rng.getrandbits(30), _detail(what, rng)))
    return setup, steps


def _detail(what: str, rng: random.Random) -> str:
    match what:
        case "connect":
            role = "publisher" if rng.random() < 0.8 else "subscriber"
            return f"{role} {rng.choice(STREAMS)} of {rng.choice(CUSTOMERS)} as {rng.choice(USERS)}"
        case "progress":
            return rng.choice(
                (
                    *("up", "start", "audio", "video", "gap", "back", "track end"),
                    *("record", "record slowly", "recorded", "mute", "unmute", "counted"),
                    *("all",) * 6,
                )
            )
        case "leave":
            return rng.choice(("lost", "goodbye", "kicked", "failed", "origin lost", "timeout", "relay", "unreachable"))
        case "receiver":
            mode = rng.choice((*MISBEHAVIOURS, *map(str, STATUSES), "410", "good", "good", "good"))
            return f"{rng.choice((*RECEIVERS, *MORE_RECEIVERS))} {mode}"
        case "disk":
            return rng.choice(("full", "broken", "slow", "ok", "ok"))
        case "fault":
            kind = rng.choice(("hook-drop", "hook-delay", "hook-duplicate", "hook-reorder", "unpublish-lost"))
            return f"{kind} for {rng.choice(('cam-*', 'mic', 'c*1', '*'))} of {rng.choice(CUSTOMERS)}"
        case "kill" | "stop":
            return f"for {rng.choice((0.1, 1.0, 20.0))} s"
        case "add" | "remove":
            return rng.choice((*MORE_RECEIVERS, *MORE_RECEIVERS, *RECEIVERS))
        case "clock":
            return rng.choice(("-3600", "86400", "-0.5"))
        case _:
            return ""
