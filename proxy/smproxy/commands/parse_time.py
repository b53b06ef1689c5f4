"""Points in time as people write them."""

from __future__ import annotations

import re
from datetime import datetime

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

#: Below this a number is too small for Unix milliseconds; it would be a day of January 1970.
_LEAST_MS = 10**11


def milliseconds(text: str, now: float) -> int:
    """Read ``10m`` (so long ago), ``2026-11-21T20:15``, or Unix milliseconds.

    The units are s, m, h and d; a moment is local unless it names a zone.

    ``now`` is Unix time in seconds. Raises ``ValueError``.
    """
    if match := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
        return max(0, int((now - int(match[1]) * _UNITS[match[2]]) * 1000))
    if re.fullmatch(r"[0-9]{12,15}", text) and int(text) >= _LEAST_MS:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        if not text.isdigit():
            return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError(f"{text!r} is no time: write 10m, 2026-11-21T20:15:00 or Unix milliseconds")
