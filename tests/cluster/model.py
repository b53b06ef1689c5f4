"""What must hold of the hooks that a receiver got from all nodes, whatever happened to them.

The promise is that of docs/cluster.md. A node delivers what it saw of a session in order and whole, also when it comes back
after its death. When it is dead another node writes the ends, with the uuids that the dead one gives them; what the dead one
had not delivered comes after these. So the events of each node are checked for themselves, and all together by their uuids.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

_PAIRS = {"peer_joined": "peer_leaved", "remote_track_started": "remote_track_ended"}
_PAIRS["local_track_attached"] = "local_track_detached"
_ENDS = frozenset({"disconnected", "connect_error"})

Event = dict[str, Any]


def _state(event: Event) -> str:
    payload = event["payload"]
    return str(payload.get("state") or payload["event"])


def _states(events: Iterable[Event]) -> list[str]:
    return [f"{_state(event)} {event['seq']} of {event['node']}" for event in events]


class Session:
    """The events of one session: as each node wrote them, and as they came, each uuid once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.came: list[Event] = []
        self.written: dict[int, list[Event]] = defaultdict(list)
        self._seen: set[tuple[str, int]] = set()

    def take(self, event: Event) -> None:
        """Take the next event that came; what a node delivers again is dropped by its uuid."""
        uuid, node = event["uuid"], event["node"]
        if all(uuid != known["uuid"] for known in self.came):
            self.came.append(event)
        if (uuid, node) not in self._seen:
            self._seen.add((uuid, node))
            self.written[node].append(event)

    @property
    def owner(self) -> int | None:
        """The node that saw the session, if it has delivered its beginning."""
        return next((event["node"] for event in self.came if _state(event) == "connecting"), None)

    def over(self, away: Collection[int]) -> bool:
        """Whether it has its end, and the node that saw it, unless that is away, has delivered it whole."""
        owner = self.owner
        if owner is None or owner in away:
            return any(_state(event) in _ENDS for event in self.came)
        return any(_state(event) in _ENDS for event in self.written[owner])

    def check(self, away: Collection[int]) -> None:
        """Check it; ``away`` are the nodes that have not come back, which may not have delivered all."""
        shown = f"session {self.number}: {_states(self.came)}"
        owner = self.owner
        assert owner is not None or away, f"{shown} has no beginning"
        whole = owner is not None and owner not in away
        own = self.written[owner] if owner is not None else []
        others = {node: events for node, events in self.written.items() if node != owner}
        assert len(others) <= 1, f"{shown} was ended by several nodes: {sorted(others)}"
        self._check_own(own, shown, whole=whole)
        for events in others.values():
            self._check_ends_by_another(events, own, shown, whole=whole)
        ends = {event["uuid"] for events in self.written.values() for event in events if _state(event) in _ENDS}
        assert len(ends) == 1, f"{shown} ends {len(ends)} times"
        self._check_what_is_late(owner, shown)
        if whole:
            counts = Counter(_state(event) for event in self.came)
            for begin, end in _PAIRS.items():
                assert counts[begin] == counts[end], f"{shown}: {begin} and {end} are no pairs"

    @staticmethod
    def _check_own(own: Sequence[Event], shown: str, *, whole: bool) -> None:
        """Nothing is lost and nothing overtakes: 1, 2, 3 … up to the end, or to where the node died."""
        assert [event["seq"] for event in own] == list(range(1, len(own) + 1)), f"{shown} came as {_states(own)}"
        at = next((place for place, event in enumerate(own) if _state(event) in _ENDS), None)
        assert at is not None or not whole, f"{shown} has no end of its own node"
        after = own[at + 1 :] if at is not None else []
        assert all(_state(event).startswith("recording_") for event in after), f"{shown} goes on after its end"

    @staticmethod
    def _check_ends_by_another(events: Sequence[Event], own: Sequence[Event], shown: str, *, whole: bool) -> None:
        """They are ends only, go on from an event that there was, and the node that saw the session writes each, too."""
        ends = {*_ENDS, *_PAIRS.values(), "recording_saved"}
        assert all(_state(event) in ends for event in events), f"{shown}: {_states(events)} of another node"
        seqs = [event["seq"] for event in events]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), f"{shown}: {_states(events)} of another node"
        assert _state(events[-1]) in _ENDS, f"{shown}: {_states(events)} of another node"
        if whole:
            assert seqs[0] <= len(own) + 1, f"{shown}: {_states(events)} of another node, after {len(own)} events"
            unknown = {event["uuid"] for event in events} - {event["uuid"] for event in own}
            assert not unknown, f"{shown}: {_states(events)} of another node have uuids of no end of {_states(own)}"

    def _check_what_is_late(self, owner: int | None, shown: str) -> None:
        """What comes after the end is what its dead node had not delivered, and the end is another node's."""
        at = next(place for place, event in enumerate(self.came) if _state(event) in _ENDS)
        late = [event for event in self.came[at + 1 :] if not _state(event).startswith("recording_")]
        if late:
            assert self.came[at]["node"] != owner, f"{shown} goes on after the end of its own node"
            assert all(event["node"] == owner for event in late), f"{shown} goes on after its end"


def comes_late(session: Session) -> bool:
    """Whether something of the session came after its end, which its own node had not delivered before."""
    at = next((place for place, event in enumerate(session.came) if _state(event) in _ENDS), len(session.came))
    return any(not _state(event).startswith("recording_") for event in session.came[at + 1 :])


def sessions_of(deliveries: Iterable[Event]) -> dict[int, Session]:
    """Sort everything that was delivered, repeated events included, by session."""
    sessions: dict[int, Session] = {}
    for event in deliveries:
        number = event["payload"]["session"]
        sessions.setdefault(number, Session(number)).take(event)
    return sessions


def over(deliveries: Iterable[Event], away: Collection[int] = ()) -> bool:
    """Whether every session has its end, and every node but those that are away has delivered what it saw."""
    return all(session.over(away) for session in sessions_of(deliveries).values())


def check(deliveries: Iterable[Event], away: Collection[int] = ()) -> None:
    """Check all sessions, and that epochs order those of a stream.

    ``away``: the numbers of nodes that are dead or frozen still. What they saw may be incomplete, but has one end.

    Raises:
        AssertionError: a promise was broken.
    """
    owners: dict[tuple[str, int], set[int]] = defaultdict(set)
    for number, session in sessions_of(deliveries).items():
        session.check(away)
        epochs = {event["epoch"] for event in session.came if "epoch" in event}
        assert len(epochs) <= 1, f"session {number} has epochs {epochs}"
        for epoch in epochs:
            owners[session.came[0]["connection"]["id"], epoch].add(number)
    for (stream, epoch), numbers in owners.items():
        assert len(numbers) == 1, f"sessions {numbers} of {stream} have the same epoch {epoch}"
