"""What a test expects of a hook, and how far a hook is from it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from smproxy.hooks.event import HookEvent
from smproxy.signaling.hook_names import STATES
from smproxy.signaling.payloads import EVENT_OF, Connection
from smproxy.testing.hook_log import ABSENT, Hook

#: One step of an order: a name (``"connected"``, ``"peer"``), or fields.
Step: TypeAlias = str | Mapping[str, Any]


def _field_names() -> tuple[str, ...]:
    structs: list[type[msgspec.Struct]] = [HookEvent, Connection, *EVENT_OF]
    names = [field.encode_name for struct in structs for field in msgspec.structs.fields(struct)]
    return tuple(sorted({"state", *names} - {"payload", "connection"}))


#: What can be asked of a hook.
FIELDS: Final = _field_names()
_STATE_NAMES: Final = frozenset(state for states in STATES.values() for state in states)
#: A hook of another kind is further away than one of somebody else.
_WEIGHT: Final = {"event": 2, "state": 2}


@dataclass(frozen=True, slots=True)
class Expectation:
    """Fields of a hook and their values; a function is called with the hook's value."""

    fields: Mapping[str, Any]

    @classmethod
    def of(cls, what: Step | None = None, **fields: Any) -> Expectation:
        """Read what a test gave.

        Raises:
            TypeError: No hook has such a name or field: the test could never pass.
        """
        named: dict[str, Any] = {}
        if isinstance(what, str):
            named[_kind_of(what)] = what
        elif what is not None:
            named.update(what)
        for name in named.keys() & fields.keys():
            if named[name] != fields[name]:
                raise TypeError(f"{name} is given twice: {named[name]!r} and {fields[name]!r}")
        merged = {
            ("customerScope" if name == "customer_scope" else name): wanted for name, wanted in (named | fields).items()
        }
        for name in merged:
            if name not in FIELDS:
                raise TypeError(f"no hook has a field {name!r}{_hint(name, FIELDS)}")
        for name, known in (("event", frozenset(STATES)), ("state", _STATE_NAMES)):
            if isinstance(merged.get(name), str) and merged[name] not in known:
                raise TypeError(f"no hook has {name}={merged[name]!r}{_hint(merged[name], known)}")
        return cls(merged)

    def differing(self, hook: Hook) -> list[str]:
        """Return the fields in which the hook is not what is expected."""
        return [name for name, wanted in self.fields.items() if not _likes(wanted, hook.get(name, ABSENT))]

    def matches(self, hook: Hook) -> bool:
        """Return whether this is the hook."""
        return all(_likes(wanted, hook.get(name, ABSENT)) for name, wanted in self.fields.items())

    def distance(self, hook: Hook) -> int:
        """Return how far the hook is from it; 0 is a match."""
        return sum(_WEIGHT.get(name, 1) for name in self.differing(hook))

    def __str__(self) -> str:
        rest = [f"{name}={shown(value)}" for name, value in self.fields.items() if name != "event"]
        event = self.fields.get("event")
        return " ".join([str(event)] * (event is not None) + rest) or "hook"


def shown(value: Any) -> str:
    """Write a value of an expectation or a hook, in bounded length."""
    if callable(value):
        return f"<{getattr(value, '__name__', type(value).__name__).strip('<>')}>"
    text = value if isinstance(value, str) and value and value.isprintable() and " " not in value else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _likes(wanted: Any, value: Any) -> bool:
    if callable(wanted):
        check: Callable[[Any], object] = wanted
        return value is not ABSENT and bool(check(value))
    # In Python 1 == True; in a message they are not the same.
    return bool(wanted == value) and isinstance(wanted, bool) == isinstance(value, bool)


def _kind_of(name: str) -> str:
    if name in STATES:
        return "event"
    if name in _STATE_NAMES:
        return "state"
    raise TypeError(f"no hook is called {name!r}{_hint(name, [*STATES, *_STATE_NAMES])}")


def _hint(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f": did you mean {near[0]!r}?" if near else f": there are {', '.join(sorted(set(known)))}"
