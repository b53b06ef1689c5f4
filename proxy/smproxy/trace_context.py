"""The trace context: who called, in which trace (W3C Trace Context, 3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Version, trace, parent and flags. Later versions may go on after the flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def read_traceparent(text: str | None) -> tuple[int, int, int] | None:
    """Read trace, parent and flags of a ``traceparent``; ``None`` when it is none."""
    match = None if text is None else _TRACEPARENT.fullmatch(text.strip())
    if match is None or (match[4] and match[0].startswith("00")):
        return None
    return int(match[1], 16), int(match[2], 16), int(match[3], 16)


def write_traceparent(trace: int, span: int, flags: int) -> str:
    """Write a ``traceparent``."""
    return f"00-{trace:032x}-{span:016x}-{flags & 1:02x}"


def event_traceparent(traceparent: str, uuid: str) -> str:
    """Return the context of an event in the trace of its session.

    The id of its span is the end of the event's UUID.
    """
    return f"{traceparent[:36]}{event_span(uuid):016x}{traceparent[52:]}"


def event_span(uuid: str) -> int:
    """Return the id of an event's span.

    It is never 0: a UUID has set bits there (RFC 9562, 4.1).
    """
    return int(uuid[19:].replace("-", ""), 16)


def environment_asks(environment: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's variables name a receiver, and do not switch traces off."""
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return not off and any(environment.get(name) for name in names)
