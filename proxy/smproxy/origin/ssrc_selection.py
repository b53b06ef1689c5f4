"""Which of several sources with one payload type a track follows. Sans-I/O.

Pages that edit ``a=ssrc-group:SIM`` into their offer send two or three sizes of one picture at once (simulcast), each as a
source of its own. A track is one of them: the best that flows.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Seconds without a frame after which a source flows no longer.
SILENT = 1.0
#: Seconds between two requests for a key frame of a source that might be followed.
_ASK_SPACING = 0.5


class SourceSelection:
    """Decides on each packet of a source that is not followed.

    ``group`` are the sources of one picture, the best one last.

    Without a group another source is believed to take the place of the one before, unless both go on.
    """

    def __init__(self, group: Sequence[int] = ()) -> None:
        self.group = tuple(group)
        self._left: dict[int, float] = {}
        self._asked = float("-inf")

    def takes(self, ssrc: int, followed: int, *, silent: bool, begins: bool, now: float) -> bool:
        """Return whether to follow ``ssrc`` instead of ``followed`` from this packet on.

        ``silent``: the one that is followed does not flow; ``begins``: a key frame begins in the packet, without which a
        picture cannot be shown. ``now`` in seconds.
        """
        if silent or self._better(ssrc, followed, now):
            if not self.group or begins:
                self._left[followed] = now
                return True
        elif not self.group:
            self._left[ssrc] = now
        return False

    def _better(self, ssrc: int, followed: int, now: float) -> bool:
        if self.group:
            return self._rank(ssrc) > self._rank(followed)
        return now - self._left.get(ssrc, float("-inf")) > SILENT

    def _rank(self, ssrc: int) -> int:
        return self.group.index(ssrc) if ssrc in self.group else -1

    def asks(self, ssrc: int, followed: int, *, silent: bool, now: float) -> bool:
        """Return whether to ask a source for a key frame, so that it can be followed."""
        if not self.group or not (silent or self._better(ssrc, followed, now)) or now - self._asked < _ASK_SPACING:
            return False
        self._asked = now
        return True
