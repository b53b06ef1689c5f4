"""Journal and delivery: at least once, in order within a session, the same bytes and uuid, and not without need again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smproxy.hooks.journal import State

from tests.simulation.node.models.receiver import ReceiverModel
from tests.simulation.node.models.violation import broken


@dataclass(frozen=True, slots=True)
class Known:
    """An event that was published and not lost with a process before it was on disk."""

    uuid: str
    session: int
    state: str
    body: bytes
    #: Customer scope, stream and watcher.
    stream: tuple[str | None, str | None, str | None]
    place: int


class DeliveryModel:
    """All events, and what became of each at each receiver."""

    def __init__(self, receivers: Mapping[str, ReceiverModel]) -> None:
        self.receivers = receivers
        self.events: dict[str, Known] = {}
        self._of_session: dict[int, list[Known]] = {}
        self._leaves: dict[tuple[str | None, str | None, str | None], list[Known]] = {}
        #: What the process, or the file of the one before, says of a delivery.
        self.states: dict[tuple[str, str], State] = {}
        #: Deliveries that have come to an end in any process.
        self.ever: dict[tuple[str, str], State] = {}
        #: Deliveries that somebody asked to have again.
        self.again: set[tuple[str, str]] = set()
        self._resending = 0
        #: Events that were on disk before anybody was sent them.
        self.durable: set[str] = set()
        self._published: list[str] = []
        #: Events that the journal has not handed on yet.
        self.waiting: set[str] = set()
        #: Sessions that a fault on hooks is for.
        self.touched: set[int] = set()

    def published(self, event: Known) -> None:
        """Take an event of the process."""
        if event.uuid in self.events:
            broken("delivery", f"the uuid {event.uuid} is used twice")
        self.events[event.uuid] = event
        self.waiting.add(event.uuid)
        self._published.append(event.uuid)
        for receiver in self.receivers.values():
            receiver.published(event.uuid)
        self._know(event)

    def _know(self, event: Known) -> None:
        self._of_session.setdefault(event.session, []).append(event)
        if event.state == "peer_leaved":
            self._leaves.setdefault(event.stream, []).append(event)

    def offered(self, uuid: str, healthy: bool) -> None:
        """Take that the journal handed an event on, and whether it says that it is on disk."""
        self.waiting.discard(uuid)
        if healthy:
            self.durable.add(uuid)

    def written(self, count: int) -> None:
        """Take how many of this process's events were written; they are in their order."""
        self.durable.update(self._published[:count])

    def requested(self, receiver: str, uuid: str, body: bytes) -> None:
        """Take a request that came in whole."""
        event = self.events.get(uuid)
        if event is None:
            broken("delivery", f"{receiver} is sent {uuid}, which was never published, or was not on disk at a crash")
        if event.body != body:
            broken("delivery", f"{receiver} is sent {uuid} with other bytes than before")
        if event.session in self.touched:
            return
        if not self.receivers[receiver].allows(uuid) and (receiver, uuid) not in self.again:
            broken("delivery", f"{receiver} is sent {event.state} {uuid}, which is not for it")
        if not self.pending(receiver, uuid) and (receiver, uuid) not in self.again:
            broken("delivery", f"{receiver} is sent {event.state} {uuid} again after it was settled")
        for earlier in self._of_session[event.session]:
            if earlier.place >= event.place:
                break
            if not self._settled(receiver, earlier):
                broken(
                    "delivery", f"{receiver} is sent {event.state} of session {event.session} before {earlier.state}"
                )
        if event.state == "peer_joined" and event.stream[2] is None:  # a subscriber's stream is known only then
            for left in self._leaves.get(event.stream, ()):
                free = left.session in self.touched or left.place >= event.place
                if not free and not self._settled(receiver, left):
                    broken("delivery", f"{receiver} is sent peer_joined of {event.stream} before the old peer_leaved")

    def updated(self, sink: str, uuid: str, state: State, accepted: bool) -> None:
        """Take what the process says became of an event."""
        if state is State.DELIVERED and not accepted:
            broken("delivery", f"{uuid} counts as delivered to {sink}, which never accepted it")
        event = self.events[uuid]
        if state is State.SKIPPED and event.session not in self.touched:
            broken("faults", f"{event.state} {uuid} is skipped at {sink}, but no fault is for its connection")
        self.states[sink, uuid] = state
        if state is State.DEAD and self._resending:
            self.again.add((sink, uuid))
        if state is not State.PENDING:
            self.ever[sink, uuid] = state

    def resending(self, begins: bool) -> None:
        """Take that somebody asks, or has asked, to deliver all dead letters again."""
        self._resending += 1 if begins else -1
        self.again |= {key for key, state in self.states.items() if state is State.DEAD}

    def restarted(self, on_disk: dict[str, int], states: dict[tuple[str, str], State], keeps_all: bool) -> None:
        """Take what the next process finds on disk: places by uuid, and what became of deliveries."""
        lost = self.durable - on_disk.keys() if keeps_all else set()
        if lost:
            broken("journal", f"{len(lost)} events that were on disk are gone after a crash, such as {min(lost)}")
        kept = on_disk.keys() if keeps_all else on_disk.keys() | self.durable
        last: dict[int, int] = {}
        for uuid, event in self.events.items():
            if uuid in kept:
                last[event.session] = max(event.place, last.get(event.session, 0))
        # One after the other is written; a file that is kept small may have forgotten the first of them since.
        known = [event for event in self.events.values() if event.place <= last.get(event.session, -1)]
        self.events, self._of_session, self._leaves = {}, {}, {}
        for event in known:
            self.events[event.uuid] = event
            self._know(event)
        for receiver in self.receivers.values():
            receiver.restarted(self.events.keys(), keeps_all)
        self._resending = 0
        self.waiting.clear()
        self._published.clear()
        self.states = dict(states)
        if not keeps_all:
            self.states |= {key: state for key, state in self.ever.items() if key[1] not in on_disk}
        self.durable |= on_disk.keys() & self.events.keys()

    def finished(self, on_disk: dict[tuple[str, str], State], keeps_all: bool) -> None:
        """Check, when all has had its time: every event was delivered or is a dead letter, and the file says so."""
        for uuid, event in self.events.items():
            for sink, receiver in self.receivers.items():
                if not receiver.owes(uuid):
                    continue
                if self.ever.get((sink, uuid)) is None:
                    broken("delivery", f"{event.state} {uuid} of session {event.session} never got to {sink}")
                if not keeps_all:
                    continue
                said, written = self.states.get((sink, uuid)), on_disk.get((sink, uuid))
                if written in (None, State.PENDING):
                    broken("journal", f"{event.state} {uuid} is pending at {sink} for ever")
                if said is not written:
                    broken("journal", f"{uuid} is {said!r} at {sink}, but {written!r} in the file")

    def pending(self, sink: str, uuid: str) -> bool:
        """Return whether a receiver has an event yet to get."""
        return self.states.get((sink, uuid), State.PENDING) is State.PENDING

    def _settled(self, sink: str, event: Known) -> bool:
        if not self.receivers[sink].owes(event.uuid):
            return True
        return self.states.get((sink, event.uuid), State.PENDING) is not State.PENDING or event.session in self.touched
