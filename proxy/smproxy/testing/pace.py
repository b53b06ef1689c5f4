"""Doing things when they are due."""

from __future__ import annotations

import asyncio


class Pace:
    """Waits until something is due, counted from the first time that it waited."""

    def __init__(self) -> None:
        self._origin: float | None = None

    async def until(self, seconds: float) -> None:
        """Wait until so many seconds after the origin.

        After a stall of more than a second the origin moves.
        """
        now = asyncio.get_running_loop().time()
        if self._origin is None:
            self._origin = now - seconds
        late = now - self._origin - seconds
        if late < 0:
            await asyncio.sleep(-late)
        elif late > 1:
            self._origin += late  # go on from here and do not send what was missed in one burst
