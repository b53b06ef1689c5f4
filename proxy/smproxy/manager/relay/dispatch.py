"""Decode the messages of one connection and pass them to the observer and the transcript."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec

from smproxy.manager.relay.observer import Observer, RelayEnd, TranscriptWriter
from smproxy.signaling.messages import read_client_verb, read_server_notice
from smproxy.signaling.payloads import RouteError

logger = logging.getLogger(__name__)

P = ParamSpec("P")


class MessageDispatcher:
    """Call an observer and, if there is one, a transcript.

    What they raise is logged and counted, and hurts no traffic.
    """

    __slots__ = (
        "_came",
        "_note_client",
        "_note_origin",
        "_now",
        "_observer",
        "_tidied",
        "_tidy_at",
        "_transcript",
        "failures",
        "unreadable",
    )  # fmt: skip

    def __init__(self, observer: Observer, transcript: TranscriptWriter | None) -> None:
        #: Messages that were binary or could not be read.
        self.unreadable = 0
        self.failures = 0
        self._observer = observer
        self._transcript = transcript
        self._came = self._tidied = self._tidy_at = 0  # bytes of both legs
        if transcript is not None:
            self._now, self._note_client, self._note_origin = (
                transcript.now,
                transcript.from_client,
                transcript.from_origin,
            )

    def client_message(self, text: bytes | None) -> None:
        """Take a message of the client; ``None`` when it was binary."""
        message = None if text is None else read_client_verb(text)
        if message is None:
            self.unreadable += 1
        if self._transcript is not None:
            try:
                self._note_client(self._now())
                self._note_client(text)
                self._came += len(text or b"")
                if self._came > self._tidy_at:
                    self._tidy(self._transcript)
            except Exception:
                self._failed()
        try:
            self._observer.client_message(message)
        except Exception:
            self._failed()

    def origin_message(self, text: bytes | None) -> None:
        """Take a message of the origin; ``None`` when it was binary."""
        message = None if text is None else read_server_notice(text)
        if message is None:
            self.unreadable += 1
        if self._transcript is not None:
            try:
                self._note_origin(self._now())
                self._note_origin(text)
                self._came += len(text or b"")
                if self._came > self._tidy_at:
                    self._tidy(self._transcript)
            except Exception:
                self._failed()
        try:
            self._observer.origin_message(message)
        except Exception:
            self._failed()

    def dialed(self) -> None:
        """Both legs are up."""
        self._report(self._observer.dialed)

    def dial_failed(self, why: str, error: RouteError) -> None:
        """The client has been refused, for the origin could not be reached."""
        self._report(self._observer.dial_failed, why, error)
        self._let_go()

    def refused(self, text: str, code: int, reason: str) -> None:
        """The relay sent ``text`` to the client, and closes."""
        if self._transcript is not None:
            self._report(self._transcript.add_proxy_message, text)
            self._report(self._transcript.add_close, "proxy", code, reason)

    def ended(self, end: RelayEnd) -> None:
        """Both legs are gone."""
        if self._transcript is not None:
            self._report(self._transcript.add_close, end.by, end.code, end.detail)
        self._report(self._observer.ended, end)
        self._let_go()

    def turned_away(self, end: RelayEnd) -> None:
        """The client was refused before or while the origin was dialed.

        The transcript has that already.
        """
        self._report(self._observer.ended, end)
        self._let_go()

    def _let_go(self) -> None:
        """Drop observer and transcript: nothing follows.

        The observer knows the connection, so that both would wait for the cycle collector, with their sockets' objects.
        """
        del self._observer
        self._transcript = None

    def _tidy(self, transcript: TranscriptWriter) -> None:
        """Have the transcript make room, after so many bytes."""
        self._tidy_at = self._came + transcript.trim(self._came - self._tidied)
        self._tidied = self._came

    def _report(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception:
            self._failed()

    def _failed(self) -> None:
        self.failures += 1
        logger.exception("the observer of a relayed connection failed")
