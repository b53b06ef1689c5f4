"""How many nodes there are at the start, in which regions, and what for."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Nodes at a time: each has sockets of its own, and an address 127.0.0.x.
MAX_NODES = 100
#: The region of a node that was given none.
DEFAULT_REGION = "local"
ROLES = ("origin", "edge")

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_FORM = "it takes a number such as 3, or REGION:N[,REGION:N…] such as us-east:2,eu-west:1,us-east/edge:1"


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node at the start."""

    region: str = DEFAULT_REGION
    role: str = "origin"


def read_region(text: str) -> str:
    """Read the name of a region.

    Raises:
        ValueError: it is none.
    """
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text[:100]!r} is no region: it takes letters, digits and - . _, such as us-east")
    return text


def read_nodes(text: str) -> tuple[NodeSpec, ...]:
    """Read ``N``, or ``REGION[/ROLE]:N`` several times.

    Raises:
        ValueError: it is none of that, there is no origin among them, or there are too many.
    """
    specs: list[NodeSpec] = []
    for part in text.split(","):
        place, colon, number = part.strip().rpartition(":")
        if not (number.isascii() and number.isdigit() and 0 < len(number) <= 4) or (colon and not place):
            raise ValueError(_FORM)
        region, slash, role = place.partition("/")
        if slash and role not in ROLES:
            raise ValueError(f"{role[:100]!r} is neither {' nor '.join(ROLES)}: {_FORM}")
        specs += [NodeSpec(read_region(region or DEFAULT_REGION), role or "origin")] * int(number)
    if not 0 < len(specs) <= MAX_NODES:
        raise ValueError(f"{len(specs)} nodes: it takes 1 to {MAX_NODES}")
    if all(spec.role == "edge" for spec in specs):
        raise ValueError("there are only edges, which take no publishers: name an origin, too")
    return tuple(specs)
