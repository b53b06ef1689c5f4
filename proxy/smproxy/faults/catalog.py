"""All kinds of faults, and the syntax in which ``simulate`` names them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType

from smproxy.faults import hooks, http, media, origin, signaling
from smproxy.faults.kind import FaultKind
from smproxy.faults.parameter import FaultError, Parameter, Values

#: Faults that one connection may ask for.
MAX_SIMULATED = 10

_PROBABILITY = Parameter(1.0, "", most=1, name="probability")
_SEED = Parameter(0, "", most=2**53, name="seed")


def _kinds(package: ModuleType) -> Iterator[type[FaultKind]]:
    """Yield the fault kinds that a package's modules define, in the order of the modules' names."""
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, FaultKind) and value.__module__ == module.__name__:
                yield value


#: The kinds by name: every class of a fault in the five packages.
KINDS: Mapping[str, type[FaultKind]] = MappingProxyType(
    {kind.name: kind for package in (signaling, http, media, origin, hooks) for kind in _kinds(package)}
)


def find(name: str) -> type[FaultKind]:
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

    kind: type[FaultKind]
    parameters: Values
    probability: float = 1.0
    seed: int | None = None


def read_simulate(text: str) -> list[Simulated]:
    """Read the value of ``simulate``: ``NAME[:KEY=VALUE…][,NAME…]``.

    Examples: ``publish-denied``, ``latency:ms=200:jitter=50,close:stage=publish``.

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


def split(text: str) -> tuple[str, dict[str, str]]:
    """Take ``NAME[:KEY=VALUE…]`` apart.

    Raises:
        FaultError: there is no such fault, or a part is no ``KEY=VALUE``.
    """
    name, *pairs = (piece.strip() for piece in text.split(":"))
    find(name)
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise FaultError(f"{name}: {pair[:100]!r} is no KEY=VALUE")
        given[key] = value
    return name, given


def _read_one(text: str) -> Simulated:
    name, given = split(text)
    kind = find(name)
    probability, seed = given.pop("probability", None), given.pop("seed", None)
    return Simulated(
        kind,
        kind.read(given),
        1.0 if probability is None else float(_PROBABILITY.read(probability)),
        None if seed is None else int(_SEED.read(seed)),
    )
