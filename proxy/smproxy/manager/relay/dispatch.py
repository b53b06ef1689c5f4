"""Who reads along with one session: reads what is said, and passes it to the observer and to the record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec

from smproxy.manager.relay.observer import Observer, Recorder, RelayEnd
from smproxy.signaling.messages import read_client, read_server

logger = logging.getLogger(__name__)

P = ParamSpec("P")


class Listener:
    """Tells an observer and, if there is one, a record. What they raise is logged and counted, and hurts no traffic."""

    __slots__ = (
        "_came", "_note_client", "_note_origin", "_now", "_observer", "_record", "_tidied", "_tidy_at", "failures",
        "unreadable",
    )  # fmt: skip

    def __init__(self, observer: Observer, record: Recorder | None) -> None:
        #: Messages that were binary or could not be read.
        self.unreadable = 0
        self.failures = 0
        self._observer = observer
        self._record = record
        self._came = self._tidied = self._tidy_at = 0  # bytes of both legs
        if record is not None:
            self._now, self._note_client, self._note_origin = record.now, record.from_client, record.from_origin

    def client_said(self, text: bytes | None) -> None:
        """Take a message of the client; ``None`` when it was binary."""
        message = None if text is None else read_client(text)
        if message is None:
            self.unreadable += 1
        if self._record is not None:
            self._note(self._record, self._note_client, text)
        try:
            self._observer.client_said(message)
        except Exception:
            self._failed()

    def origin_said(self, text: bytes | None) -> None:
        """Take a message of the origin; ``None`` when it was binary."""
        message = None if text is None else read_server(text)
        if message is None:
            self.unreadable += 1
        if self._record is not None:
            self._note(self._record, self._note_origin, text)
        try:
            self._observer.origin_said(message)
        except Exception:
            self._failed()

    def dialed(self) -> None:
        """Both legs are up."""
        self._report(self._observer.dialed)

    def dial_failed(self, why: str) -> None:
        """The client has been refused, for the origin could not be reached."""
        self._report(self._observer.dial_failed, why)

    def refused(self, text: str, code: int, reason: str) -> None:
        """The relay said ``text`` to the client, and closes."""
        if self._record is not None:
            self._report(self._record.proxy, text)
            self._report(self._record.closed, "proxy", code, reason)

    def ended(self, end: RelayEnd) -> None:
        """Both legs are gone."""
        if self._record is not None:
            self._report(self._record.closed, end.by, end.code, end.detail)
        self._report(self._observer.ended, end)

    def turned_away(self, end: RelayEnd) -> None:
        """The client was refused before or while the origin was dialed; the record knows that already."""
        self._report(self._observer.ended, end)

    def _note(self, record: Recorder, note: Callable[[object], None], text: bytes | None) -> None:
        try:
            note(self._now())
            note(text)
            if text is not None:
                self._came += len(text)
                if self._came > self._tidy_at:
                    self._tidy_at = self._came + record.tidy(self._came - self._tidied)
                    self._tidied = self._came
        except Exception:
            self._failed()

    def _report(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception:
            self._failed()

    def _failed(self) -> None:
        self.failures += 1
        logger.exception("the observer of a relayed session failed")
