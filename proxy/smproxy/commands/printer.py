"""What ``smproxy listen`` does with an event, wherever it came from: verify, print, count."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping

from smproxy.commands.describe import Event, describe, identity
from smproxy.commands.output import USAGE, CommandError, ReaderGone, write

#: Events that are recognised when they come again.
REMEMBERED = 10_000


class Inbox:
    """Takes events until ``count`` are there, then sets ``done``."""

    def __init__(self, *, secret: str | None, as_json: bool, count: int | None) -> None:
        self._verifier = None
        if secret is not None:
            from smproxy.commands.verifier import Verifier

            try:
                self._verifier = Verifier(secret)
            except ValueError as error:
                raise CommandError(f"--secret: {error}", USAGE) from None
        self._as_json = as_json
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.count = count
        self.taken = 0
        self.bad = 0
        self.done = asyncio.Event()
        self.timed_out = False
        self.reader_gone = False
        #: Why listening ended before its time.
        self.trouble: str | None = None

    @property
    def missing(self) -> int:
        """How many events are yet to come."""
        return max(0, self.count - self.taken) if self.count is not None else 0

    def problem(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Verify the signature of a delivery; print, count and return what is wrong with it."""
        problem = None if self._verifier is None else self._verifier.problem(body, headers)
        if problem is not None:
            self.bad += 1
            identifier = headers.get("webhook-id", "without webhook-id")[:80]
            if not self._as_json:
                self._write(f"BAD SIGNATURE {identifier}: {problem}")
        return problem

    def take(self, text: str) -> bool:
        """Print and count an event; ``False`` for what is no JSON object."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(event, dict):
            return False
        again = self._again(event)
        if self._as_json:
            self._write(text if text.isprintable() else json.dumps(event))
        else:
            self._write(describe(event) + (" (again)" if again else ""))
        self.taken += 1
        if self.taken == self.count:
            self.done.set()
        return True

    def fail(self, why: str) -> None:
        """End, for a reason that is not the user's."""
        self.trouble = self.trouble or why
        self.done.set()

    def _again(self, event: Event) -> bool:
        known = identity(event)
        if known is None:
            return False
        again = known in self._seen
        self._seen[known] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return again

    def _write(self, line: str) -> None:
        try:
            write(line)
        except ReaderGone:
            self.reader_gone = True
            self.done.set()
