"""The journal: every hook on disk before it is sent, and its deliveries."""

from __future__ import annotations

from smproxy.hooks.event import Stored
from smproxy.hooks.journal.journal import FILE_NAME, Journal, JournalReader
from smproxy.hooks.journal.types import (
    AttemptRecord,
    DeliveryRecord,
    JournalError,
    JournalQuery,
    JournalStatus,
    Retention,
    State,
)

__all__ = [
    "FILE_NAME",
    "AttemptRecord",
    "DeliveryRecord",
    "Journal",
    "JournalError",
    "JournalReader",
    "JournalStatus",
    "JournalQuery",
    "Retention",
    "State",
    "Stored",
]
