"""The parameters of a fault.

They are declared as class attributes, read from text or JSON, and typed on instances.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Generic, Self, TypeAlias, TypeVar, overload

Value: TypeAlias = bool | int | float | str
Values: TypeAlias = Mapping[str, Value]

T = TypeVar("T", bool, int, float, str)

#: Characters of a text parameter.
TEXT_LIMIT = 200


class FaultError(ValueError):
    """A fault that cannot be switched on; the text says what was given and what there is."""


class Parameter(Generic[T]):
    """One parameter of a fault: ``after = Parameter(1.0, "seconds until …")`` in its class.

    The default gives the type. ``least`` and ``most`` hold for numbers, ``choices`` for words. Of a number with ``spans`` only
    what is in one of them is allowed, both ends included. On an instance of the fault the attribute is the value.
    """

    def __init__(
        self,
        default: T,
        help: str,
        least: float = 0,
        most: float = 3600,
        *,
        choices: tuple[str, ...] = (),
        spans: tuple[tuple[int, int], ...] = (),
        name: str = "",
    ) -> None:
        self.name = name
        self.default: T = default
        self.help = help
        self.least = least
        self.most = most
        self.choices = choices
        self.spans = spans

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        # An instance that was made with values has them in its own namespace, which comes before this.
        return self if instance is None else self.default

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return ", ".join(choice or "nothing" for choice in self.choices)
        if isinstance(self.default, bool):
            return "true, false"
        if isinstance(self.default, str):
            return "text"
        if self.spans:
            return ", ".join(f"{low} to {high}" if low != high else str(low) for low, high in self.spans)
        number = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{number} from {self.least:g} to {self.most:g}"

    def read(self, value: object) -> Value:
        """Return a value, which may come as text, in the parameter's type.

        Raises:
            FaultError: it is none that is allowed.
        """
        read = self._text(value) if isinstance(self.default, str) else self._number(value)
        if read is None:
            shown = repr(value)
            shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
            near = difflib.get_close_matches(value[:100], self.choices, 1) if isinstance(value, str) else ()
            meant = f"did you mean {near[0]}? " if near else ""
            raise FaultError(f"{self.name}={shown} is not usable: {meant}it takes {self.allowed}")
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


AnyParameter: TypeAlias = Parameter[Any]


def close_code(default: int, *, cut: bool = False) -> Parameter[int]:
    """Make the parameter for the code of a Close frame (RFC 6455, 7.4).

    ``cut`` allows 1006, which stands for none.
    """
    spans = ((1000, 1003), (1006, 1014), (3000, 4999)) if cut else ((1000, 1003), (1007, 1014), (3000, 4999))
    help_text = "close code; 1006 cuts the connection without a Close frame" if cut else "close code"
    return Parameter(default, help_text, 1000, 4999, spans=spans)
