"""A scenario: what happens to the nodes when, from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smproxy.manager.node_provider import NodeAction
from smproxy.nodes.node_spec import ROLES, read_region

MAX_STEPS = 1000
#: The latest second of a step, and the longest time that one may name.
MAX_SECONDS = 86_400.0

_ADD = "add"
_DOES = (_ADD, *NodeAction)
_FORM = 'a step is [[step]] with at = SECONDS and one of add = N, sunset = "node2", …'


class ScenarioError(ValueError):
    """A scenario that cannot be used; one line says which step and why."""


@dataclass(frozen=True, slots=True)
class NodeStep:
    """After ``at`` seconds: add ``count`` nodes, or do ``action`` to ``node``."""

    at: float
    action: NodeAction | None = None
    node: str = ""
    count: int = 0
    region: str | None = None
    role: str = "origin"
    #: How long: until the sunset's end, until a fault is noticed, or until an added node is in service.
    seconds: float | None = None


def load_node_scenario(path: Path) -> tuple[NodeStep, ...]:
    """Read a scenario's file.

    Raises:
        ScenarioError: it cannot be read or used.
    """
    try:
        return read_node_scenario(path.read_bytes().decode())
    except OSError as error:
        raise ScenarioError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: it is no UTF-8") from None
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from None


def read_node_scenario(text: str) -> tuple[NodeStep, ...]:
    """Read a scenario; its steps come back in the order of their times.

    Raises:
        ScenarioError: it is no TOML, or a step says nothing that can be done.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ScenarioError(f"it is no TOML: {error or 'too deep'}") from None
    steps = document.pop("step", [])
    if document:
        raise ScenarioError(f"{next(iter(document))[:100]!r} is not known: {_FORM}")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise ScenarioError(f"it has no steps: {_FORM}")
    if len(steps) > MAX_STEPS:
        raise ScenarioError(f"{len(steps)} steps: at most {MAX_STEPS}")
    read = []
    for number, step in enumerate(steps, 1):
        try:
            read.append(_read_step(step))
        except ValueError as error:
            raise ScenarioError(f"step {number}: {error}") from None
    return tuple(sorted(read, key=lambda step: step.at))


def _read_step(step: dict[str, Any]) -> NodeStep:
    does = [name for name in _DOES if name in step]
    if "at" not in step or len(does) != 1:
        raise ValueError(f"it has {', '.join(step) or 'nothing'}: {_FORM} ({', '.join(_DOES)})")
    action = does[0]
    allowed = {"at", action, "seconds"} | ({"region", "role"} if action == _ADD else set())
    for name in step:
        if name not in allowed:
            raise ValueError(f"{name[:100]!r} does not go with {action}: those are {', '.join(sorted(allowed))}")
    at = _seconds("at", step["at"])
    seconds = _seconds("seconds", step["seconds"]) if "seconds" in step else None
    if action != _ADD:
        node = step[action]
        if not isinstance(node, str) or not node:
            raise ValueError(f'{action} = {node!r:.100} names no node: it takes one such as "node2"')
        return NodeStep(at, NodeAction(action), node, seconds=seconds)
    count = step[_ADD]
    if type(count) is not int or not 0 < count <= 100:
        raise ValueError(f"add = {count!r:.100} is not a whole number from 1 to 100")
    region, role = step.get("region"), step.get("role", "origin")
    if region is not None:
        read_region(region if isinstance(region, str) else repr(region))
    if role not in ROLES:
        raise ValueError(f"role = {role!r:.100} is neither {' nor '.join(ROLES)}")
    return NodeStep(at, count=count, region=region, role=role, seconds=seconds)


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:
        raise ValueError(f"{name} = {value!r:.100} is not a number of seconds from 0 to {MAX_SECONDS:g}")
    return float(value)


class NodeSchedule:
    """Which steps of a scenario are due. ``begun`` is the time of its second 0."""

    def __init__(self, steps: tuple[NodeStep, ...], begun: float) -> None:
        self._steps = list(steps)
        self._begun = begun

    @property
    def due(self) -> float | None:
        """When the next step is due; ``None`` after the last one."""
        return self._begun + self._steps[0].at if self._steps else None

    def take(self, now: float) -> list[NodeStep]:
        """Return the steps that are due, each once."""
        taken: list[NodeStep] = []
        while self._steps and now >= self._begun + self._steps[0].at:
            taken.append(self._steps.pop(0))
        return taken
