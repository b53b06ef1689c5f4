"""A network that changes with time, as people write it."""

from __future__ import annotations

from dataclasses import dataclass

from smproxy.network.conditions import MOST, Conditions, NetworkError
from smproxy.network.profiles import PROFILES

#: Steps of one scenario, and the latest second of one.
MAX_STEPS = 50
MAX_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """From ``at`` seconds on: these conditions up and down."""

    at: float
    up: Conditions
    down: Conditions


Scenario = tuple[ScenarioStep, ...]


def read_scenario(text: str) -> Scenario:
    """Read ``SECONDS WHAT[;SECONDS WHAT…]``.

    ``WHAT`` is the name of a profile, conditions (``rate=300 delay=50``), or a profile and conditions that differ from it.

    Examples: ``5 3g;20 good``, ``0 rate=2000;10 outage=3000``.

    Raises:
        NetworkError: a step cannot be read, has no such profile or condition, or comes before the one ahead of it.
    """
    parts = [part.split() for part in text.split(";") if part.strip()]
    if len(parts) > MAX_STEPS:
        raise NetworkError(f"a scenario of {len(parts)} steps: at most {MAX_STEPS}")
    steps: list[ScenarioStep] = []
    for words in parts:
        at = _number(words[0])
        if at is None or not 0 <= at <= MAX_SECONDS:
            raise NetworkError(f"{words[0][:50]!r} is no second from 0 to {MAX_SECONDS:g}: a step is 'SECONDS WHAT'")
        if len(words) == 1:
            raise NetworkError(f"the step at {words[0][:50]} says nothing: name a profile or conditions, as in '5 3g'")
        if steps and at < steps[-1].at:
            raise NetworkError(f"the step at {at:g} comes after the one at {steps[-1].at:g}: put them in order")
        steps.append(_step(at, words[1:]))
    return tuple(steps)


def _step(at: float, words: list[str]) -> ScenarioStep:
    up = down = Conditions()
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            profile = PROFILES.get(name)
            if profile is None:
                known = ", ".join(PROFILES)
                raise NetworkError(f"there is no profile {name[:50]!r}: those are {known}; conditions are NAME=NUMBER")
            up, down = profile.up, profile.down
            continue
        number = _number(value)
        if number is None:
            raise NetworkError(
                f"{name[:50]}={value[:50]} is not usable: it takes a number from 0 to {MOST.get(name, 0):g}"
            )
        up, down = up.changed({name: number}), down.changed({name: number})
    return ScenarioStep(at, up, down)


def _number(text: str) -> float | None:
    try:
        return float(text) if len(text) <= 30 else None
    except ValueError:
        return None
