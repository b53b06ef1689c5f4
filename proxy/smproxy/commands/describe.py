"""Hooks in words: one line for one event, whatever its format."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from smproxy.signaling.payload_words import payload_words

Event = dict[str, Any]

#: Characters of a line for an event of a form that is not known.
MAX_UNKNOWN = 300


def describe(event: Event, *, date: bool = False) -> str:
    """Return one readable line for an event, a CloudEvent of one, or any JSON object."""
    try:
        line = _own(event, date) or _cloud(event, date) or _red5(event, date)
    except (KeyError, TypeError, ValueError, AttributeError):
        line = None
    return line or json.dumps(event, separators=(",", ":"), ensure_ascii=False)[:MAX_UNKNOWN]


def identity(event: Event) -> str | None:
    """Return what stays the same when an event is sent again."""
    value = event.get("uuid") or (event.get("id") if "specversion" in event else None)
    return value if isinstance(value, str) else None


def clock(ts_ms: float, *, date: bool = False) -> str:
    """Write Unix milliseconds as local time.

    A number that is no time of a calendar is shown as it is.
    """
    try:
        text = datetime.fromtimestamp(ts_ms / 1000).isoformat(sep=" ", timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(ts_ms)
    return text if date else text.partition(" ")[2]


def _own(event: Event, date: bool) -> str | None:
    if not {"uuid", "ts", "payload", "connection"} <= event.keys():
        return None
    payload, connection = event["payload"], event["connection"]
    what = payload.get("state") or payload.get("event")
    facts = payload_words(payload)
    customer, name = connection.get("customerScope"), connection.get("id")
    return " ".join(
        [clock(event["ts"], date=date), f"{customer or '-':<8}", f"{name or '-':<12}", f"{payload['session']}",
         f"#{event['seq']:<3}", f"{what:<20}", *facts]
    ).rstrip()  # fmt: skip


def _cloud(event: Event, date: bool) -> str | None:
    if "specversion" not in event:
        return None
    if isinstance(event.get("data"), dict) and (line := _own(event["data"], date)):
        return line
    at = datetime.fromisoformat(event["time"]).timestamp() * 1000
    return f"{clock(at, date=date)} {event['type']} {event.get('subject') or ''} {event['id']}"


def _red5(event: Event, date: bool) -> str | None:
    if not {"event", "timestamp"} <= event.keys():
        return None
    facts = [
        f"{key}={value}" for key, value in event.items() if key not in {"event", "timestamp"} and value is not None
    ]
    return " ".join([clock(event["timestamp"], date=date), f"{event['event']:<22}", *facts])
