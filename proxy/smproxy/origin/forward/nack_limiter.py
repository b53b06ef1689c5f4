"""How often a client may have packets again."""

from __future__ import annotations

#: Seconds before a packet is sent again that was sent again: a receiver repeats its NACK before the answer is there.
RESEND_SPACING = 0.02
#: Packets sent again in one second at most, whatever the client asks for.
MAX_RESENT = 500
#: Packets that are looked up in one second at most: a flood of requests is not worth the time to read it.
MAX_ASKED = 4096


class NackLimiter:
    """Allows each packet once in a while and all together so many a second.

    Times in seconds, monotonic.
    """

    __slots__ = ("_asked", "_at", "_left", "_since")

    def __init__(self) -> None:
        self._at: dict[int, float] = {}
        self._since = float("-inf")
        self._left = MAX_RESENT
        self._asked = 0

    def clear(self) -> None:
        """Forget the packets, whose numbers mean others now."""
        self._at.clear()

    def accepts(self, asked: int, now: float) -> bool:
        """Return whether to look at a request for so many packets: a client has its share a second."""
        if now - self._since >= 1:
            self._since, self._left, self._asked = now, MAX_RESENT, 0
            self._at = {other: at for other, at in self._at.items() if now - at < RESEND_SPACING}
        had, self._asked = self._asked, self._asked + asked
        return self._left > 0 and had < MAX_ASKED

    def allows(self, number: int, now: float) -> bool:
        """Return whether this packet may be sent again."""
        return self._left > 0 and now - self._at.get(number, float("-inf")) >= RESEND_SPACING

    def count(self, number: int, now: float) -> None:
        """Note that it was."""
        self._left -= 1
        self._at[number] = now
