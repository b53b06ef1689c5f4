"""What a fault is: its name, the room in which it acts, its parameters, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str
Values: TypeAlias = Mapping[str, Any]

#: Characters of a text parameter.
TEXT_LIMIT = 200


class FaultError(ValueError):
    """A fault that cannot be switched on; the text says what was given and what there is."""


class Room(StrEnum):
    """Where a fault acts."""

    SIGNALING = "signaling"
    MEDIA = "media"
    ORIGIN = "origin"
    HOOKS = "hooks"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a fault. The default gives the type; ``least`` and ``most`` hold for numbers, ``choices`` for words.

    Of a number with ``spans`` only what is in one of them is allowed, both ends included.
    """

    name: str
    default: Value
    help: str
    least: float = 0
    most: float = 3600
    choices: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true, false"
        if isinstance(self.default, str):
            return "text"
        if self.spans:
            return ", ".join(f"{low} to {high}" if low != high else str(low) for low, high in self.spans)
        number = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{number} from {self.least:g} to {self.most:g}"

    def read(self, value: object) -> Value:
        """Return a value, which may come as text, as what it should be.

        Raises:
            FaultError: it cannot be.
        """
        read = self._text(value) if isinstance(self.default, str) else self._number(value)
        if read is None:
            shown = repr(value)
            shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
            raise FaultError(f"{self.name}={shown} is not usable: it takes {self.allowed}")
        return read

    def _text(self, value: object) -> str | None:
        if not isinstance(value, str) or len(value) > TEXT_LIMIT or not value.isprintable():
            return None
        return value if not self.choices or value in self.choices else None

    def _number(self, value: object) -> Value | None:
        if isinstance(self.default, bool):
            if isinstance(value, str):
                return {"true": True, "false": False}.get(value.lower())
            return value if isinstance(value, bool) else None
        if isinstance(value, str):
            try:
                value = float(value) if len(value) <= 30 else None
            except ValueError:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            return None
        if isinstance(self.default, float):
            return float(value)
        if value != int(value) or (self.spans and not any(low <= value <= high for low, high in self.spans)):
            return None
        return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault.

    ``effect`` says what it does, ``publish`` what ``publish()`` of SDK 11 makes of it. ``make`` gives what acts on one
    session's signaling or on the hooks; media and origin faults have none: those are carried out by their name. ``live``: it
    acts on sessions, too, that were there before it was switched on.
    """

    name: str
    room: Room
    effect: str
    publish: str
    parameters: tuple[Parameter, ...] = ()
    make: Callable[[Values, Random], Any] | None = None
    live: bool = False

    def read(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters, those given and the defaults of the others.

        Raises:
            FaultError: one is unknown or unusable.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise FaultError(f"{self.name} has no parameter {name[:100]!r}: {_listed(list(known))}")
        try:
            return {
                name: parameter.read(given[name]) if name in given else parameter.default
                for name, parameter in known.items()
            }
        except FaultError as error:
            raise FaultError(f"{self.name}: {error}") from None


def _listed(names: list[str]) -> str:
    return f"those are {', '.join(names)}" if names else "it has none"


def close_code(default: int, *, cut: bool = False) -> Parameter:
    """Make the parameter for the code of a Close frame (RFC 6455, 7.4); ``cut`` allows 1006, which stands for none."""
    spans = ((1000, 1003), (1006, 1014), (3000, 4999)) if cut else ((1000, 1003), (1007, 1014), (3000, 4999))
    help_text = "close code; 1006 cuts the connection without a Close frame" if cut else "close code"
    return Parameter("code", default, help_text, 1000, 4999, spans=spans)
