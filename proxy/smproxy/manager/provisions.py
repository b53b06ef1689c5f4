"""Provisions: streams of several levels for adaptive bitrate.

They are announced before they are published.

Nothing is transcoded here: a page publishes its levels itself, each under its own name, and a viewer of the provision is sent
to the nearest level that is live.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smproxy.signaling.clock import Clock

#: Most provisions that are kept.
LIMIT = 1000


class ProvisionError(Exception):
    """A provision that cannot be kept; the message says why."""


class ProvisionExistsError(ProvisionError):
    """There is a provision of this name."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a provision: ``number`` 1 is the best."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Provision:
    """A provision of ``scope``; ``document`` is what was sent, as its interface answers it."""

    scope: str
    name: str
    levels: tuple[Level, ...]
    document: Mapping[str, Any]
    updated_ms: int = 0


class Provisions:
    """The provisions, in the order in which they came. They are kept in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], Provision] = {}

    def __iter__(self) -> Iterator[Provision]:
        return iter(list(self._known.values()))

    def find(self, scope: str, name: str) -> Provision | None:
        """Find a provision."""
        return self._known.get((scope, name))

    def add(self, scope: str, name: str, levels: tuple[Level, ...], document: Mapping[str, Any]) -> Provision:
        """Keep a new provision.

        Raises:
            ProvisionExistsError: there is one.
            ProvisionError: there are too many.
        """
        if (scope, name) in self._known:
            raise ProvisionExistsError(f"Provision already exists for {scope}/{name}")
        if len(self._known) >= LIMIT:
            raise ProvisionError(f"There are {LIMIT} provisions, as many as there can be: delete some.")
        return self.put(scope, name, levels, document)

    def put(self, scope: str, name: str, levels: tuple[Level, ...], document: Mapping[str, Any]) -> Provision:
        """Keep a provision in place of the one that there is."""
        provision = Provision(scope, name, levels, document, self._clock.wall_ms())
        self._known[scope, name] = provision
        return provision

    def remove(self, scope: str, name: str) -> Provision | None:
        """Forget a provision and return it."""
        return self._known.pop((scope, name), None)

    def nearest(self, scope: str, name: str) -> list[str]:
        """Return the levels to show in place of a provision or of one of its levels, nearest first.

        They are names.
        """
        whole = self.find(scope, name)
        if whole is not None:
            return [level.name for level in sorted(whole.levels, key=lambda level: level.number)]
        for provision in self._known.values():
            asked = next((level for level in provision.levels if level.name == name), None)
            if provision.scope == scope and asked is not None:
                wanted = asked.number
                return [
                    level.name
                    for level in sorted(provision.levels, key=lambda each: (abs(each.number - wanted), each.number))
                    if level is not asked
                ]
        return []
