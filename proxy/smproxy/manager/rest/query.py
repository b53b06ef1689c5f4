"""Read the parameters of a request.

What is unknown, empty or cannot be read is refused with what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from smproxy.manager.rest.errors import ApiError

#: Carries the administrator's token and belongs to no route.
_TOKEN = "accessToken"  # noqa: S105 - a name, no secret

#: Characters of a number of seconds: JavaScript and Python write at most 17 digits that count, and few zeros before them.
_LONGEST_NUMBER = 40

_seconds = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+", re.ASCII).fullmatch


class Parameters:
    """The query of one request; ``known`` are the names that its route has.

    The case of names does not count.

    Raises:
        ApiError: 400, there is a parameter that is not known, or without a value, or one is given twice.
    """

    def __init__(self, query: Mapping[str, str], known: Collection[str]) -> None:
        names = {name.lower(): name for name in (*known, _TOKEN)}
        self._values: dict[str, str] = {}
        for written, value in query.items():
            name = names.get(written.lower())
            if name is None:
                those = f"those are {', '.join(known)}" if known else "this call takes none"
                raise ApiError(400, f"There is no parameter {written[:100]!r}: {those}.")
            if name in self._values:
                raise ApiError(400, f"The parameter {name} is given twice.")
            if not value and name != _TOKEN:
                raise ApiError(400, f"The parameter {name} has no value: give it one, or leave it out.")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """Return a value as it came."""
        return self._values.get(name)

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str | None:
        """Return one of the allowed values."""
        value = self._values.get(name)
        if value is None:
            return default
        if value not in allowed:
            raise ApiError(400, f"{name}={value[:100]!r} is none of {', '.join(allowed)}.")
        return value

    def choices(self, name: str, allowed: Collection[str]) -> frozenset[str]:
        """Return several of the allowed values, which commas part."""
        text = self._values.get(name)
        if text is None:
            return frozenset()
        chosen = frozenset(value.strip() for value in text.split(",") if value.strip())
        for value in sorted(chosen.difference(allowed)) or ([text] if not chosen else []):
            raise ApiError(400, f"{name}={value[:100]!r} is none of {', '.join(allowed)}.")
        return chosen

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number."""
        number = self.optional_number(name, least=least, most=most)
        return default if number is None else number

    def optional_number(self, name: str, *, least: int, most: int) -> int | None:
        """Return a whole number, ``None`` when it was not given."""
        value = self._values.get(name)
        return None if value is None else whole_number(name, value, least=least, most=most)

    def seconds(self, name: str, default: float, *, most: float) -> float:
        """Return a length of time."""
        value = self._values.get(name)
        if value is None:
            return default
        if len(value) > _LONGEST_NUMBER or _seconds(value) is None or float(value) > most:
            raise ApiError(400, f"{name}={value[:100]!r} is not a number of seconds from 0 to {most:g}.")
        return float(value)

    def switch(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self._values.get(name)
        if value is None:
            return default
        known = {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
        if known is None:
            raise ApiError(400, f"{name}={value[:100]!r} is neither true nor false.")
        return known


def whole_number(name: str, text: str, *, least: int, most: int) -> int:
    """Read a whole number.

    Raises:
        ApiError: 400, it is none, or out of bounds.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise ApiError(400, f"{name}={text[:100]!r} is not a whole number from {least} to {most}.")
    return int(text)
