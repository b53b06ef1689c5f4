"""Which stream names are taken, and by whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Claim:
    owner: object
    live: bool = False


class Streams:
    """The name table of one origin. A key is (room, name); an owner is compared by identity."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], _Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def claim(self, room: str, name: str, owner: object) -> bool:
        """Take a name; False when somebody else has it. Taking one's own name again is no harm."""
        return self._claims.setdefault((room, name), _Claim(owner)).owner is owner

    def go_live(self, room: str, name: str, owner: object) -> None:
        """Mark an own name as published."""
        claim = self._claims.get((room, name))
        if claim is not None and claim.owner is owner:
            claim.live = True

    def free(self, room: str, name: str, owner: object) -> None:
        """Give a name back; somebody else's is left alone."""
        claim = self._claims.get((room, name))
        if claim is not None and claim.owner is owner:
            del self._claims[(room, name)]

    def taken_by_another(self, room: str, name: str, owner: object) -> bool:
        """Say whether ``owner`` could not have the name."""
        claim = self._claims.get((room, name))
        return claim is not None and claim.owner is not owner

    def is_live(self, room: str, name: str) -> bool:
        """Say whether the stream can be subscribed to."""
        claim = self._claims.get((room, name))
        return claim is not None and claim.live
