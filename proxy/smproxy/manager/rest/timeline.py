"""One session in the order of time: messages, hooks and their deliveries, and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from smproxy.faults import FaultRegistry, Injection
from smproxy.hooks.journal import DeliveryRecord, Journal, JournalError, JournalQuery, Stored
from smproxy.manager.transcript import Entry, Transcript, json_object
from smproxy.manager.transcripts import Transcripts
from smproxy.signaling.http_exchange import problem_detail
from smproxy.signaling.messages import ClientMessage, UnusableMessage, read_client, read_server
from smproxy.signaling.payload_words import payload_words

#: Hooks of one session that are looked up, and entries of one timeline: the latest of each.
MAX_HOOKS = 500
MAX_ENTRIES = 2_000

#: Characters of the reason for which a request was refused.
_SHOWN = 300

Kind = Literal["signaling", "hook", "delivery", "fault"]


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True, rename={"by": "from"}):
    """One thing that happened, at ``at`` (Unix milliseconds).

    ``from`` and ``to`` are sender and receiver.
    """

    at: int
    kind: Kind
    by: str
    to: str
    title: str
    detail: str


class TimelineView(msgspec.Struct, frozen=True):
    """The entries of one session, the oldest first. ``truncated``: only the latest are here."""

    entries: list[TimelineEntry]
    truncated: bool = False


class Timeline:
    """Merges the transcript of a session, the journal of hooks and the log of faults."""

    def __init__(self, transcripts: Transcripts, journal: Journal | None, faults: FaultRegistry) -> None:
        self._transcripts = transcripts
        self._journal = journal
        self._faults = faults

    async def of(self, session: int) -> TimelineView:
        """Return the timeline of a session. A journal that cannot be read leaves its part out."""
        transcript = self._transcripts.get(session)
        entries = [] if transcript is None else [_signaling(entry, transcript) for entry in transcript.entries()]
        entries += [_fault(injection) for injection in self._faults.log() if injection.session == session]
        entries += await self._hooks(session)
        # Stable: within a millisecond in the order above, but nothing comes before the session's first hook.
        entries.sort(key=lambda entry: (entry.at, entry.title != "#1 connecting"))
        return TimelineView(entries[-MAX_ENTRIES:], truncated=len(entries) > MAX_ENTRIES)

    async def _hooks(self, session: int) -> list[TimelineEntry]:
        if self._journal is None:
            return []
        entries = []
        try:
            query = JournalQuery(session=session, newest_first=True, limit=MAX_HOOKS)
            for stored in reversed(await self._journal.find(query)):
                entries.append(_hook(stored))
                if (known := await self._journal.get(stored.event.uuid)) is not None:
                    for delivery in known[1]:
                        entries += _attempts(stored, delivery)
        except JournalError:
            return entries
        return entries


def _hook(stored: Stored) -> TimelineEntry:
    event = stored.event
    body: dict[str, Any] = msgspec.json.decode(event.body)
    title = f"#{event.seq} {event.state}"
    detail = " ".join(payload_words(body["payload"]))
    return TimelineEntry(at=event.ts, kind="hook", by="proxy", to="hooks", title=title, detail=detail)


def _attempts(stored: Stored, delivery: DeliveryRecord) -> Iterable[TimelineEntry]:
    title = f"#{stored.event.seq} {stored.event.state}"
    for number, attempt in enumerate(delivery.attempts, 1):
        why = f": {attempt.detail}" if attempt.detail else ""
        took = f"{' in' if attempt.outcome == 'delivered' else ', took'} {attempt.took_ms} ms"
        detail = f"{attempt.outcome}{took}, attempt {number}{why}"
        yield TimelineEntry(at=attempt.at, kind="delivery", by="hooks", to=delivery.sink, title=title, detail=detail)


def _fault(injection: Injection) -> TimelineEntry:
    return TimelineEntry(
        at=injection.at,
        kind="fault",
        by="proxy",
        to="session",
        title=injection.fault,
        detail=f"{injection.id}{': ' if injection.detail else ''}{injection.detail}",
    )


def _signaling(entry: Entry, transcript: Transcript) -> TimelineEntry:
    to = {"client": "origin", "origin": "client", "proxy": "client"}[entry.side]
    detail: str = entry.via
    if entry.close is not None:
        code, reason = entry.close
        title = "close" if code is None else f"close {code}"
        detail = transcript.redactor.text(reason)
    elif entry.text is None:
        title = "binary message"
    elif entry.via == "auth":
        message = json_object(entry.text.decode()) or {}
        to = "authentication"
        title = f"{message.get('scheme')}: {message.get('result')}"
        granted = [f"{key} {message[key]}" for key in _GRANTED if key in message]
        parts = [str(message.get("reason") or ""), *granted]
        said = [transcript.redactor.text(part) for part in parts if part]
        detail = ", ".join([*said, f"took {message.get('tookMs')} ms"])
    elif entry.via == "http":
        title = exchange_title(entry.text, transcript.redactor.text)
        detail = f"http, {_reason(entry.text, transcript.redactor.text) or f'{len(entry.text)} bytes'}"
    else:
        title = (client_title if entry.side == "client" else server_title)(entry.text, transcript.redactor.text)
        detail = f"{entry.via}, {len(entry.text)} bytes"
    return TimelineEntry(at=int(entry.at * 1000), kind="signaling", by=entry.side, to=to, title=title, detail=detail)


#: What a back end's answer may have beside its verdict, in the order in which it is shown.
_GRANTED = ("name", "lifetime", "recording", "meta", "url")

#: What names a client's message, in the order in which it is looked for.
_NAMES = (
    "is_available", "handle_offer", "handle_answer", "handle_candidate", "publish", "unpublish", "request_offer", "subscribe",
    "switch_channel", "mute", "send", "call_adapter", "message", "log",
)  # fmt: skip
_CAMEL = {name: ClientMessage.__struct_encode_fields__[ClientMessage.__struct_fields__.index(name)] for name in _NAMES}


def exchange_title(text: bytes, redact: Callable[[str], str] = str) -> str:
    """Name an HTTP request by its method and path, a response by its status."""
    message = json_object(text.decode(errors="replace")) or {}
    return redact(str(message.get("request", ""))).partition("?")[0][:100] or str(message.get("status", "HTTP"))


def _reason(text: bytes, redact: Callable[[str], str]) -> str | None:
    """Return why an HTTP response refuses, ``None`` for one that does not, and for a request."""
    message = json_object(text.decode(errors="replace")) or {}
    body = message.get("body")
    why = problem_detail(body.encode()) if "status" in message and isinstance(body, str) else None
    return None if why is None else redact(why[:_SHOWN])


def client_title(text: bytes, redact: Callable[[str], str] = str) -> str:
    """Name a client's message in a few words: ``handleOffer cam-1``."""
    message = read_client(text)
    if message is None:
        return "unreadable message"
    if isinstance(message, UnusableMessage):
        return f"{message.verb} that cannot be used"
    for name in _NAMES:
        value = getattr(message, name)
        if value is not UNSET:
            return f"{_CAMEL[name]} {redact(value)[:100]}" if isinstance(value, str) else _CAMEL[name]
    return "message"


def server_title(text: bytes, redact: Callable[[str], str] = str) -> str:
    """Name a server's message in a few words: its code, ``answer``, ``isAvailable false``."""
    message = read_server(text)
    if message is None:
        return "unreadable message"
    if message.is_available is not UNSET:
        return f"isAvailable {str(message.is_available).lower()}"
    data = message.data
    if data is UNSET:
        return "message"
    if data.sdp is not UNSET:
        return redact(data.sdp.type)[:100]
    if data.candidate is not UNSET:
        return "candidate"
    if data.code is not UNSET:
        return redact(data.code)[:100]
    return "message"
