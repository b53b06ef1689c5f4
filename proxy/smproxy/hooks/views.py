"""Journalled events as JSON for the API and the commands, with their deliveries."""

from __future__ import annotations

import msgspec

from smproxy.hooks.journal import DeliveryRecord, Stored


def listed(stored: Stored) -> bytes:
    """Return the event's JSON with its place in the journal as ``id`` in front."""
    return b'{"id":%d,' % stored.id + stored.event.body[1:]


def detailed(stored: Stored, deliveries: tuple[DeliveryRecord, ...]) -> bytes:
    """Return the event's JSON with its deliveries and their attempts."""
    rows = [
        {
            "sink": delivery.sink,
            "state": delivery.state,
            "tries": delivery.tries,
            "attempts": [
                {"at": attempt.at, "outcome": attempt.outcome, "detail": attempt.detail, "tookMs": attempt.took_ms}
                for attempt in delivery.attempts
            ],
        }
        for delivery in deliveries
    ]
    return listed(stored)[:-1] + b',"deliveries":' + msgspec.json.encode(rows) + b"}"
