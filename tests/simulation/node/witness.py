"""Sees all that the node makes known, and asks every model about it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smproxy.hooks.event import Context, EncodedEvent, HookEvent, encode
from smproxy.hooks.journal import State
from smproxy.hooks.status import DeliveryUpdate

from tests.simulation.node.models.delivery import DeliveryModel, Known
from tests.simulation.node.models.fault_scope import FaultScopeModel
from tests.simulation.node.models.names import NamesModel
from tests.simulation.node.models.receiver import ReceiverModel
from tests.simulation.node.models.reconnect import ReconnectModel
from tests.simulation.node.models.rooms import RoomLifeModel, RoomsModel
from tests.simulation.node.models.session_life import ENDS, LifeModel
from tests.simulation.node.models.violation import broken
from tests.simulation.node.receivers import SimulatedReceiver
from tests.simulation.node.steps import MORE_RECEIVERS, RECEIVERS, Setup


class Witness:
    """The models of one run, and what they are told. Also a listener of the hooks."""

    def __init__(self, setup: Setup, now: Callable[[], float]) -> None:
        self._now = now
        self._setup = setup
        names = (*RECEIVERS, *MORE_RECEIVERS)
        self.delivery = DeliveryModel({f"http://{name}/": ReceiverModel(of_start=name in RECEIVERS) for name in names})
        self.faults = FaultScopeModel()
        self.receivers: dict[str, SimulatedReceiver] = {}
        self.healthy: Callable[[], bool] = lambda: True
        #: How many events of the process were written.
        self.committed: Callable[[], int] = lambda: 0
        #: The first promise that was broken, whoever has caught the error since.
        self.failure: BaseException | None = None
        #: Called when one is broken: nothing more is to run.
        self.stop: Callable[[], None] = lambda: None
        self._lives: dict[int, LifeModel | RoomLifeModel] = {}
        #: What happened, line by line; equal in every run of a seed.
        self.log: list[str] = []
        self.new_process()

    def new_process(self) -> None:
        """Begin with what belongs to one process."""
        self.reconnect = ReconnectModel(self._setup.window)
        self.names = NamesModel()
        self.rooms = RoomsModel()

    def note(self, text: str) -> None:
        """Keep a line."""
        self.log.append(f"{self._now():8.3f} {text}")

    def guarded(self, work: Callable[..., object], *arguments: object) -> None:
        """Do something, and remember the first error: the product logs what its callbacks raise, and goes on."""
        try:
            work(*arguments)
        except BaseException as error:
            self.failure = self.failure or error
            self.stop()

    # what the product tells

    def published(self, event: HookEvent, context: Context) -> None:
        """Take an event when it is published, before it is journalled."""
        encoded = encode(event, context)
        told = json.loads(encoded.body)
        session, payload = encoded.session, told["payload"]
        self.note(f"hook {session % 10_000} #{encoded.seq} {encoded.state} {encoded.uuid[-4:]}")
        _take(self._lives, told)
        if self._setup.all_hooks and encoded.event in ("peer", "room"):
            self.rooms.told(told)
        if self.faults.touches(encoded.connection_id, encoded.customer_scope):
            self.delivery.touched.add(session)
        self.delivery.published(_known(encoded, len(self.log)))
        self.reconnect.told(session, encoded.state, payload.get("reason"), self._now())
        if encoded.role == "publisher":
            name = (payload["room"], payload["peer"]) if encoded.event == "peer" else None
            self.names.told(session, encoded.state, name)

    def offer(self, event: EncodedEvent) -> None:
        """Take an event that was journalled."""
        self.delivery.offered(event.uuid, self.healthy())
        self.delivery.written(self.committed())

    async def close(self) -> None:
        """End."""

    def updated(self, update: DeliveryUpdate) -> None:
        """Take what became of a delivery."""
        uuid = update.event.uuid
        receiver = self.receivers[update.sink]
        self.note(f"{update.sink} {uuid[-4:]} {update.state.name}")
        self.delivery.updated(update.sink, uuid, update.state, uuid in receiver.accepted)

    def requested(self, receiver: str, uuid: str, body: bytes) -> None:
        """Take a request that a receiver got."""
        self.note(f"{receiver} gets {uuid[-4:]}")
        self.delivery.requested(receiver, uuid, body)

    # what is on disk

    def restarted(self, path: Path) -> None:
        """Look at what the process before has left, and go on from there."""
        self.delivery.written(self.committed())
        self.committed = lambda: 0
        events, states = _read(path)
        self.note(f"on disk: {len(events)} events")
        places = {event.uuid: place for place, event in enumerate(events)}
        self.delivery.restarted(places, states, self._setup.keep is None)
        self._lives = {}
        for event in sorted(self.delivery.events.values(), key=lambda known: known.place):
            _take(self._lives, json.loads(event.body))
        self.new_process()

    def finished(self, path: Path) -> None:
        """Check, when all has had its time and the node was stopped."""
        events, states = _read(path)
        self.delivery.finished(states, self._setup.keep is None)
        for life in self._lives.values():
            life.finish()
        if self._setup.keep is None:
            self._check_file(events)

    def _check_file(self, events: list[Known]) -> None:
        """Check that the file alone tells of every session from its start to its end."""
        lives: dict[int, LifeModel | RoomLifeModel] = {}
        for event in events:
            _take(lives, json.loads(event.body))
        for life in lives.values():
            life.finish()
        ends = [event.session for event in events if event.state in ENDS]
        if len(ends) != len(set(ends)):
            broken("session life", "a session has two ends in the file")


def _take(lives: dict[int, LifeModel | RoomLifeModel], told: dict[str, Any]) -> None:
    """Give an event to the model of its session, or of its room."""
    number = told["payload"]["session"]
    lives.setdefault(number, (RoomLifeModel if told["event"] == "room" else LifeModel)(number)).take(told)


def _known(event: EncodedEvent, place: int) -> Known:
    context = event.context
    stream = (event.customer_scope, context.stream, context.watcher)
    return Known(event.uuid, event.session, event.state, event.body, stream, place)


def _read(path: Path) -> tuple[list[Known], dict[tuple[str, str], State]]:
    """Read a journal without the product's code."""
    if not path.exists():
        return [], {}
    connection = sqlite3.connect(path)
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return [], {}
        if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            broken("journal", "the file is damaged")
        rows = connection.execute("SELECT uuid, session, state, body, id FROM events ORDER BY id").fetchall()
        deliveries = connection.execute(
            "SELECT s.name, e.uuid, d.state FROM deliveries d JOIN events e ON e.id = d.event JOIN sinks s ON s.id = d.sink"
        ).fetchall()
    finally:
        connection.close()
    events = [
        Known(uuid, session, state, bytes(body), (None, None, None), id) for uuid, session, state, body, id in rows
    ]
    return events, {(sink, uuid): State(state) for sink, uuid, state in deliveries}
