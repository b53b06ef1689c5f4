"""Log lines for what may happen thousands of times a second."""

from __future__ import annotations

import logging
from collections.abc import Callable

from smproxy.log_fields import About


class ThrottledLog:
    """Logs one warning per ``interval`` seconds at most, and counts what it leaves out."""

    def __init__(self, logger: logging.Logger, now: Callable[[], float], interval: float = 10.0) -> None:
        self._logger = logger
        self._now = now
        self._interval = interval
        self._next: float | None = None
        self._left_out = 0

    def warning(
        self,
        message: str,
        *args: object,
        error: BaseException | None = None,
        level: int = logging.WARNING,
        extra: About | None = None,
    ) -> None:
        """Log ``message % args``, with the traceback of ``error``, unless one was logged just now."""
        now = self._now()
        if self._next is not None and now < self._next:
            self._left_out += 1
            return
        if self._left_out:
            message, args = f"{message} (and %d more like this)", (*args, self._left_out)
        self._next, self._left_out = now + self._interval, 0
        self._logger.log(level, message, *args, exc_info=error, extra=extra)
