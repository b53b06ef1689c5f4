"""What is fuzzed: each target takes bytes and raises when a promise is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from tests.fuzz.targets import configuration, http, media, signaling

#: Takes what came; whatever it raises is a fault.
Target = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class FuzzTarget:
    """A target, examples of what it takes, and words that are likely to matter."""

    run: Target
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    #: How much slower than others a run is.
    cost: int = 1


def _of(module: ModuleType) -> dict[str, FuzzTarget]:
    return {name: FuzzTarget(*entry) for name, entry in module.TARGETS.items()}


TARGETS: dict[str, FuzzTarget] = _of(signaling) | _of(media) | _of(http) | _of(configuration)
