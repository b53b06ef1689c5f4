"""The node channel between machines, a WebSocket.

It carries the messages of ``smproxy.signaling.node_channel`` as JSON.
"""

from __future__ import annotations

from collections import deque

import msgspec

from smproxy.signaling.node_channel import Command, Report

#: Reports that wait for a manager whose connection broke; the oldest makes room.
MAX_WAITING = 20_000
#: After so many reports a manager confirms them.
CONFIRM_EVERY = 64


class Confirm(msgspec.Struct, frozen=True, tag="confirm", tag_field="type"):
    """A manager has the reports up to this number."""

    number: int


class NumberedReport(msgspec.Struct, frozen=True, array_like=True):
    """A report with its number, by which a broken connection goes on."""

    number: int
    report: Report


_to_origin = msgspec.json.Decoder(Command | Confirm)
_to_manager = msgspec.json.Decoder(NumberedReport)
encode = msgspec.json.Encoder().encode


def read_command(text: str | bytes) -> Command | Confirm:
    """Read what a manager sends. Raises ``msgspec.MsgspecError``."""
    message: Command | Confirm = _to_origin.decode(text)
    return message


def read_report(text: str | bytes) -> NumberedReport:
    """Read what an origin sends. Raises ``msgspec.MsgspecError``."""
    return _to_manager.decode(text)


class ReportOutbox:
    """Reports on their way to one manager, kept until it has confirmed them."""

    def __init__(self) -> None:
        self._waiting: deque[NumberedReport] = deque(maxlen=MAX_WAITING)
        self._number = 0

    def add(self, report: Report) -> NumberedReport:
        """Number a report and keep it."""
        self._number += 1
        numbered = NumberedReport(self._number, report)
        self._waiting.append(numbered)
        return numbered

    def confirmed(self, number: int) -> None:
        """Forget what the manager has."""
        while self._waiting and self._waiting[0].number <= number:
            self._waiting.popleft()

    def waiting(self) -> list[NumberedReport]:
        """Return what the manager may not have, the oldest first."""
        return list(self._waiting)
