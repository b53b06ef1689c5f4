"""All kinds of faults, and the words in which ``simulate`` asks for them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType

from smproxy.faults import hooks, media, origin, signaling
from smproxy.faults.kind import FaultError, FaultKind, Parameter, Value

#: Faults that one connection may ask for.
MAX_SIMULATED = 10

_PROBABILITY = Parameter("probability", 1.0, "", most=1)
_SEED = Parameter("seed", 0, "", most=2**53)


def _kinds(*rooms: ModuleType) -> dict[str, FaultKind]:
    return {kind.name: kind for room in rooms for kind in room.FAULTS}


#: The kinds by name, in the order of the documentation.
KINDS: Mapping[str, FaultKind] = MappingProxyType(_kinds(signaling, media, origin, hooks))


def find(name: str) -> FaultKind:
    """Return the kind of this name.

    Raises:
        FaultError: there is none; the text lists those that there are, the likeliest first.
    """
    kind = KINDS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name[:100], KINDS, 3, 0.75)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise FaultError(f"there is no fault {name[:100]!r}: {meant}those are {', '.join(KINDS)}")
    return kind


@dataclass(frozen=True, slots=True)
class Simulated:
    """A fault that a connection asked for itself."""

    kind: FaultKind
    parameters: Mapping[str, Value]
    probability: float = 1.0
    seed: int | None = None


def read_simulate(text: str) -> list[Simulated]:
    """Read ``NAME[:KEY=VALUE…][,NAME…]``, as in ``publish-denied`` or ``latency:ms=200:jitter=50,close:stage=publish``.

    Beside a fault's own parameters there are ``probability`` and ``seed``.

    Raises:
        FaultError: a name, a parameter or a value is not known, or there are too many faults.
    """
    asked = [part.strip() for part in text.split(",") if part.strip()]
    if not asked:
        raise FaultError("names no fault")
    if len(asked) > MAX_SIMULATED:
        raise FaultError(f"names {len(asked)} faults: at most {MAX_SIMULATED}")
    return [_read_one(part) for part in asked]


def _read_one(text: str) -> Simulated:
    name, *pairs = (piece.strip() for piece in text.split(":"))
    kind = find(name)
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise FaultError(f"{name}: {pair[:100]!r} is no KEY=VALUE")
        given[key] = value
    probability, seed = given.pop("probability", None), given.pop("seed", None)
    return Simulated(
        kind,
        kind.read(given),
        1.0 if probability is None else float(_PROBABILITY.read(probability)),
        None if seed is None else int(_SEED.read(seed)),
    )
