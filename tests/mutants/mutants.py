"""The faults that are put in, one at a time, and what must catch each."""

from __future__ import annotations

from dataclasses import dataclass

#: Caught by the simulation of one node (``tests/simulation/node``).
SIMULATION = "simulation"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: in ``file`` (below ``smproxy``), ``old`` becomes ``new``. ``caught_by``: simulation, or a test's path."""

    what: str
    file: str
    old: str
    new: str
    caught_by: str = SIMULATION


MUTANTS = (
    # order
    Mutant(
        "a session's events do not share a group",
        "hooks/ordered_queue.py",
        "            if (last := by_key.get(key)) is not None:\n",
        "            if (last := by_key.get(key)) is not None and len(self) % 5:\n",
    ),
    Mutant(
        "sessions of one stream do not follow each other",
        "hooks/ordered_queue.py",
        "    return event.session, (event.customer_scope, stream, event.context.watcher)",
        "    return (event.session,)",
    ),
    Mutant(
        "the next event goes while the one before waits for its retry",
        "hooks/delivery.py",
        "        self._queue.defer(group, self._loop.time() + wait)\n",
        "        self._queue.settle(group)\n        self._queue.push(stored)\n        self._dispatch()\n",
    ),
    Mutant(
        "what is read back from the journal is read in the wrong order",
        "hooks/journal/read.py",
        'f"SELECT {_COLUMNS} {_PENDING} ORDER BY e.id LIMIT ?"',
        'f"SELECT {_COLUMNS} {_PENDING} ORDER BY e.id % 7, e.id LIMIT ?"',
    ),
    # at least once, and marks
    Mutant(
        "a mark of a delivery is dropped now and then",
        "hooks/journal/writer.py",
        "        self._marks.append(mark)",
        "        if mark.event % 5:\n            self._marks.append(mark)",
    ),
    Mutant(
        "an event counts as delivered whatever the answer",
        "hooks/sinks/webhook.py",
        "    if 200 <= status < 300:",
        "    if 200 <= status < 600:",
    ),
    Mutant(
        "half an answer counts as one",
        "hooks/sinks/http.py",
        '        self._fail("the connection broke before the answer was complete")',
        "        if self._has_head:\n            self._succeed(keep=False)\n        else:\n"
        '            self._fail("the connection broke before the answer was complete")',
    ),
    Mutant(
        "each event is delivered twice",
        "hooks/dispatcher.py",
        "        for stored in batch:\n            copies = 1\n",
        "        for stored in batch:\n            copies = 2\n",
    ),
    Mutant(
        "an event that finds no room is forgotten",
        "hooks/outbox_reader.py",
        "        self._behind = True\n        self._cursor = stored.id - 1\n",
        "        self._behind = True\n        self._cursor = stored.id\n",
    ),
    Mutant(
        "a retry sends other bytes",
        "hooks/formats/envelope.py",
        "return None if event.internal else event.body",
        'return event.body.replace(b"{", b"{ ", 1) if int(event.uuid[-2:], 16) % 5 == 0 else event.body',
    ),
    Mutant(
        "what was given up is no dead letter",
        "hooks/delivery.py",
        "        self._note(stored, State.DEAD, record or",
        "        self._note(stored, State.DELIVERED, record or",
    ),
    Mutant(
        "a receiver that is disabled loses what is queued for it",
        "hooks/delivery.py",
        '        for stored in self._queue.drain():\n            self._bury(stored, f"sink disabled: {outcome.why}", 0)',
        "        self._queue.drain()",
        "tests/unit/test_hooks_delivery.py",
    ),
    Mutant(
        "a start deletes what is pending, before it knows its receivers",
        "hooks/journal/store.py",
        "        self._active = tuple(name for name, periods in self._sinks.items() if periods[-1][2] is None)",
        "        self._active = ()",
    ),
    Mutant(
        "retention deletes what is pending",
        "hooks/journal/store.py",
        "        WHERE s.name IN (SELECT value FROM json_each(?)) AND",
        "        WHERE 0 AND s.name IN (SELECT value FROM json_each(?)) AND",
    ),
    # receivers that come and go
    Mutant(
        "a receiver that is removed gets more",
        "hooks/deliveries.py",
        "            self._take_out(delivery)\n            left",
        "            left",
    ),
    Mutant(
        "a receiver that is added gets what came before",
        "hooks/journal/store.py",
        "(name, upto, upto)",
        "(name, 0, 0)",
    ),
    Mutant(
        "a receiver that is added gets what came before and could not be written",
        "hooks/journal/journal.py",
        "max(after, store.first_after(sink))",
        "after",
    ),
    Mutant(
        "a receiver that is added again gets what it missed",
        "hooks/journal/journal.py",
        "        while afresh is not None and await self._skip_missed(afresh):",
        "        while False:",
    ),
    Mutant(
        "a receiver that cannot be added is taken for one that is there",
        "hooks/journal/store.py",
        "        active = tuple(dict.fromkeys(names))\n",
        "        active = self._active = tuple(dict.fromkeys(names))\n",
    ),
    # the journal
    Mutant(
        "events are handed on before they are on disk",
        "hooks/journal/writer.py",
        "                try:\n                    self._store.insert(batch)\n",
        "                self._hand_on(batch)\n                try:\n                    self._store.insert(batch)\n",
    ),
    Mutant(
        "what could not be written is not written later",
        "hooks/journal/writer.py",
        "            self._store.insert(batch)\n            for _ in batch:\n                self._unwritten.popleft()",
        "            for _ in batch:\n                self._unwritten.popleft()",
    ),
    Mutant(
        "a resend is not one transaction",
        "hooks/journal/store.py",
        "        ids: list[int] = []\n        with self._transaction():",
        "        ids: list[int] = []\n        with contextlib.nullcontext():",
    ),
    # ends
    Mutant(
        "a restart ends no session",
        "hooks/journal/recovery.py",
        "    for end in session.ends(until):",
        "    for end in session.ends(until)[:-1]:",
    ),
    Mutant(
        "a session's seq begins anew after a restart",
        "hooks/journal/recovery.py",
        "    seq, context = session.seq,",
        "    seq, context = 0,",
    ),
    Mutant(
        "a recording that a crash cut off has no end",
        "hooks/journal/recovery.py",
        "(not one.ended or one.ends(until))",
        "not one.ended",
    ),
    Mutant(
        "retention deletes the start of a recording that goes on after its session",
        "hooks/journal/store.py",
        "    OR {read.BEING_RECORDED}\n",
        "",
    ),
    Mutant(
        "the end of a track is forgotten",
        "signaling/session.py",
        "for track in list(self._started) for payload",
        "for track in list(self._started)[:1] for payload",
    ),
    Mutant(
        "a publisher's end comes before those of its tracks",
        "signaling/session.py",
        'return [*ended, *detached, self._peer("peer_leaved")]',
        'return [self._peer("peer_leaved"), *ended, *detached]',
    ),
    Mutant(
        "a session that stops twice has two ends",
        "signaling/session.py",
        "        (Phase.NEW, Input.REFUSE): (Phase.ENDED, (Step.CONNECT_ERROR,)),\n",
        "        (Phase.NEW, Input.REFUSE): (Phase.ENDED, (Step.CONNECT_ERROR,)),\n"
        "        (Phase.ENDED, Input.END): (Phase.ENDED, (Step.DISCONNECTED,)),\n",
        "tests/unit/test_session_life.py",
    ),
    Mutant(
        "a stop forgets the sessions",
        "manager/sessions.py",
        "            self._finish(session, reason)\n        self._attempts.stop()",
        "            pass\n        self._attempts.stop()",
        "tests/unit/test_sessions_stop.py",
    ),
    # the reconnect window and names
    Mutant(
        "anybody may continue a session that waits",
        "manager/sessions.py",
        "            if same and session.life.phase in _SILENT:",
        "            if known.id == params.id and session.life.phase in _SILENT:",
    ),
    Mutant(
        "who comes back in time is a new session",
        "manager/sessions.py",
        "        session = self._waiting_for(params)\n",
        "        session = None\n",
    ),
    Mutant(
        "the window never closes",
        "manager/reconnect.py",
        "            timer = asyncio.get_running_loop().call_later(self.seconds, self._elapsed, session)",
        "            timer = asyncio.get_running_loop().call_later(self.seconds * 100, self._elapsed, session)",
    ),
    Mutant(
        "the window closes too soon",
        "manager/reconnect.py",
        "            timer = asyncio.get_running_loop().call_later(self.seconds, self._elapsed, session)",
        "            timer = asyncio.get_running_loop().call_later(self.seconds / 3, self._elapsed, session)",
    ),
    Mutant(
        "a name that is taken is given to a second publisher",
        "origin/streams.py",
        "            if self.takeover_in(scope, name) != 0:\n                return False\n            claim.owner.displaced()",
        "            del self._claims[(scope, name)]",
    ),
    # faults and scopes
    Mutant(
        "a fault is for every customer",
        "faults/match.py",
        "            and _is(self.customer_scope, subject.customer_scope)\n",
        "",
    ),
    Mutant(
        "a pattern of faults is for every id",
        "faults/match.py",
        '    if value is None or "*" not in pattern:\n        return False',
        '    if value is None or "*" not in pattern:\n        return value is not None',
    ),
    Mutant(
        "a receiver of one customer gets the events of all",
        "hooks/sinks/scoped.py",
        " if event.customer_scope == self._customer_scope else SKIPPED",
        "",
        "tests/unit/test_hooks_scoped.py",
    ),
    Mutant(
        "a listener of one customer hears all",
        "hooks/broadcast.py",
        "self.customer_scope == event.customer_scope)",
        "True)",
        "tests/unit/test_hooks_broadcast.py",
    ),
    # the manager between clients and origins
    Mutant(
        "a fault of signaling is for every client",
        "manager/faults/injection.py",
        "if fault.wants(params, None))",
        "if fault.draw())",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "a media fault that is switched on is for all that live",
        "manager/faults/injection.py",
        "                if fault.wants(attempt.params, attempt.session):",
        "                if fault.draw():",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "a media fault goes on when it is switched off",
        "manager/faults/injection.py",
        "            self._media.lift(fault)\n",
        "",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "the media of all attempts gets the faults of one",
        "origin/injected_faults.py",
        "        for injected in self._attempts.get(session.attempt, {}).values():\n            injected.begin(session)",
        "        for faults in self._attempts.values():\n            for injected in faults.values():\n"
        "                injected.begin(session)",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "the relay loses a message now and then",
        "manager/relay/leg.py",
        "            self.write(data)\n            self.on_message(text)",
        "            if len(data) % 7:\n                self.write(data)\n            self.on_message(text)",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "the manager's relay of WHIP forgets If-Match",
        "manager/whip/reply.py",
        '"Content-Type", "If-Match", "If-None-Match"',
        '"Content-Type", "If-None-Match"',
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "a WHIP session is not forgotten when its origin is lost",
        "manager/whip/routes.py",
        "            self._table.end(known)",
        "            pass",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "the manager answers a second DELETE of WHIP as the first",
        "manager/whip/session_table.py",
        "        return identity in self._ended and self._ended.pop(identity) is None",
        "        return identity in self._ended",
        "tests/simulation/test_manager.py",
    ),
    Mutant(
        "a room is over although somebody is in it",
        "manager/rooms.py",
        "        if room.present:\n            return\n",
        "",
    ),
    # WHIP
    Mutant(
        "an outdated entity tag is taken",
        "signaling/whip.py",
        '    return problem(412, "If-Match names an ICE session that is over; the last ETag counts.")',
        "    return None",
        "tests/simulation/test_whip.py",
    ),
    Mutant(
        "an ICE restart keeps its entity tag",
        "origin/whip/exchange.py",
        "        self._etag = self._new_etag()\n        kind, mid",
        "        kind, mid",
        "tests/simulation/test_whip.py",
    ),
    Mutant(
        "a second DELETE is answered as the first",
        "origin/whip/exchanges.py",
        "        return target.path in self._undeleted and self._undeleted.pop(target.path) is None",
        "        return target.path in self._undeleted",
        "tests/simulation/test_whip.py",
    ),
    Mutant(
        "a DELETE leaves the session alive",
        "origin/whip/exchange.py",
        "                self.deleted = True\n                await self.session.delete()",
        "                self.deleted = True",
        "tests/simulation/test_whip.py",
    ),
)
