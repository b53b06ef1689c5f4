"""Log lines on stderr, as text for people or as JSON for machines."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

import msgspec

from smproxy.log_fields import LogFields
from smproxy.printable import printable


class TextFormatter(logging.Formatter):
    """``20:15:03.123 info  manager.admission: message``; a message is always one line."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        name = record.name.removeprefix("smproxy.")
        line = f"{clock}.{int(record.msecs):03d} {record.levelname.lower():7} {name}: {printable(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    ``ts`` in Unix milliseconds, ``level``, ``logger``, ``message``; ``session``, ``id``, ``customerScope`` and ``stream`` of
    the session that the line is about, as far as they are known; ``exception`` if any.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "ts": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "about", None)
        if isinstance(fields, LogFields):
            known = zip(("session", "id", "customerScope", "stream"), fields, strict=True)
            entry |= {name: value for name, value in known if value is not None}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return printable(msgspec.json.encode(entry).decode())


def configure_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send the log of the whole process to ``stream``, by default stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("smproxy").setLevel(level.upper())
    # Libraries log what a peer did wrong with a traceback, and URLs with what is secret in them; the proxy has its own line.
    for name in ("websockets", "aiohttp", "aioice", "aiortc", "opentelemetry", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
