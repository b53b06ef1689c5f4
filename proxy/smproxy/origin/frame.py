"""What the first packets of a video frame tell about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameStart:
    """A frame begins here; ``width`` and ``height`` in pixels, 0 where the packet does not say."""

    key: bool
    width: int = 0
    height: int = 0
