"""The hooks that came, in the order of arrival, and a way to wait for more."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smproxy.hooks.event import EncodedEvent
from smproxy.signaling.clock import monotonic

#: Hooks that are kept.
KEPT: Final = 10_000

#: What a field is called when it is not there.
ABSENT: Final = "(absent)"


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook.

    ``number`` counts 1, 2, 3 … in the order of arrival, ``arrived`` is the monotonic clock then, in seconds.
    """

    number: int
    event: Mapping[str, Any]
    body: bytes
    arrived: float

    def __getitem__(self, field: str) -> Any:
        """Return a field by its name alone, wherever in the message it is; raises ``KeyError``.

        ``event`` is the kind (``session``, ``peer`` …), ``state`` what happened (``connected``, ``peer_joined`` …).
        """
        value = self.get(field, ABSENT)
        if value is ABSENT:
            raise KeyError(field)
        return value

    def get(self, field: str, default: Any = None) -> Any:
        """Return a field by its name alone, or ``default``."""
        payload, connection = self._part("payload"), self._part("connection")
        if field == "state":
            return payload.get("state") or payload.get("event") or default
        for part in (self.event, payload, connection):
            if field in part:
                return part[field]
        return default

    @property
    def payload(self) -> Mapping[str, Any]:
        """What happened."""
        return self._part("payload")

    @property
    def connection(self) -> Mapping[str, Any]:
        """The parameters of the client's URL."""
        return self._part("connection")

    @property
    def state(self) -> str:
        """What happened, in one word: ``connected``, ``peer_joined``, ``remote_track_started`` …"""
        return str(self.get("state", ""))

    @property
    def session(self) -> int | None:
        """Number of the session."""
        return self._part("payload").get("session")

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self.event.get(name)
        return part if isinstance(part, Mapping) else {}


class HookLog:
    """Keeps the latest hooks. It belongs to one event loop, but may be read from anywhere."""

    def __init__(self, kept: int = KEPT) -> None:
        self._hooks: deque[Hook] = deque(maxlen=kept)
        self._changed = asyncio.Event()
        #: How many have come.
        self.count = 0

    def __iter__(self) -> Iterator[Hook]:
        return iter(list(self._hooks))

    def __len__(self) -> int:
        return len(self._hooks)

    def add(self, body: bytes, event: Mapping[str, Any] | None = None) -> Hook:
        """Take a hook that came now; a CloudEvent counts as the event that it carries."""
        self.count += 1
        if event is None:
            event = json.loads(body)
            assert isinstance(event, dict)
        if "specversion" in event and isinstance(event.get("data"), Mapping):
            event = event["data"]
        hook = Hook(self.count, event, body, monotonic())
        self._hooks.append(hook)
        self._changed.set()
        self._changed = asyncio.Event()
        return hook

    def since(self, number: int) -> list[Hook]:
        """Return the hooks after the one with this number."""
        return [hook for hook in list(self._hooks) if hook.number > number]

    def offer(self, event: EncodedEvent) -> None:
        """Take a hook of the dispatcher (see :class:`smproxy.hooks.sink.EventListener`)."""
        if not event.internal:
            self.add(event.body)

    async def close(self) -> None:
        """Nothing comes any more. What came stays readable."""

    async def more(self) -> None:
        """Wait until another hook comes."""
        await self._changed.wait()
