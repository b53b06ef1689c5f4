"""Reading the parameters of a request: what is unknown or cannot be read is refused with what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from smproxy.manager.rest.errors import ApiError

#: Carries the administrator's token and belongs to no route.
_TOKEN = "accessToken"  # noqa: S105 - a name, no secret


class Parameters:
    """The query of one request; ``known`` are the names that its route has.

    Raises:
        ApiError: 400, there is a parameter that is not known, or one is given twice.
    """

    def __init__(self, query: Mapping[str, str], known: Collection[str]) -> None:
        names = list(query.keys())
        for name in names:
            if name != _TOKEN and name not in known:
                those = f"those are {', '.join(known)}" if known else "this call takes none"
                raise ApiError(400, f"There is no parameter {name[:100]!r}: {those}.")
            if names.count(name) > 1:
                raise ApiError(400, f"The parameter {name} is given twice.")
        self._query = query

    def text(self, name: str) -> str | None:
        """Return a value as it came."""
        return self._query.get(name)

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str | None:
        """Return one of the allowed values."""
        value = self._query.get(name)
        if value is None:
            return default
        if value not in allowed:
            raise ApiError(400, f"{name}={value[:100]!r} is none of {', '.join(allowed)}.")
        return value

    def choices(self, name: str, allowed: Collection[str]) -> frozenset[str]:
        """Return several of the allowed values, which commas part."""
        chosen = frozenset(value.strip() for value in self._query.get(name, "").split(",") if value.strip())
        for value in sorted(chosen.difference(allowed)):
            raise ApiError(400, f"{name}={value[:100]!r} is none of {', '.join(allowed)}.")
        return chosen

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number."""
        value = self._query.get(name)
        return default if value is None else whole_number(name, value, least=least, most=most)

    def seconds(self, name: str, default: float, *, most: float) -> float:
        """Return a length of time."""
        value = self._query.get(name)
        if value is None:
            return default
        digits = value.replace(".", "", 1)
        if not (digits.isascii() and digits.isdigit() and len(value) <= 10 and float(value) <= most):
            raise ApiError(400, f"{name}={value[:100]!r} is not a number of seconds from 0 to {most:g}.")
        return float(value)

    def switch(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self._query.get(name)
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
