"""What must hold of the hooks that a receiver got from all nodes, whatever happened to them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

_PAIRS = {"peer_joined": "peer_leaved", "remote_track_started": "remote_track_ended"}
_ENDS = frozenset({"disconnected", "connect_error"})


def _state(event: dict[str, Any]) -> str:
    payload = event["payload"]
    return str(payload.get("state") or payload["event"])


def sessions_of(events: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Sort the events by session, in the order in which they came; what came again is dropped by its uuid."""
    seen: set[str] = set()
    sessions: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["uuid"] not in seen:
            seen.add(event["uuid"])
            sessions[event["payload"]["session"]].append(event)
    return sessions


def ended(events: Iterable[dict[str, Any]]) -> bool:
    """Whether every session has an end."""
    return all(any(_state(event) in _ENDS for event in session) for session in sessions_of(events).values())


def check(events: Iterable[dict[str, Any]]) -> None:
    """Check that each start has one end, that ends come last, and that epochs order the sessions of a stream.

    Raises:
        AssertionError: something else came.
    """
    owners: dict[tuple[str, int], set[int]] = defaultdict(set)
    for number, session in sessions_of(events).items():
        states = [_state(event) for event in session]
        assert states[0] == "connecting", f"session {number} begins with {states}"
        assert sum(state in _ENDS for state in states) == 1, f"session {number} does not end once: {states}"
        assert states[-1] in _ENDS, f"session {number} goes on after its end: {states}"
        counts = Counter(states)
        for begin, end in _PAIRS.items():
            assert counts[begin] == counts[end], f"session {number}: {begin} and {end} are no pairs: {states}"
        epochs = {event["epoch"] for event in session if "epoch" in event}
        assert len(epochs) <= 1, f"session {number} has epochs {epochs}"
        for epoch in epochs:
            owners[session[0]["connection"]["id"], epoch].add(number)
    for (stream, epoch), numbers in owners.items():
        assert len(numbers) == 1, f"sessions {numbers} of {stream} have the same epoch {epoch}"
