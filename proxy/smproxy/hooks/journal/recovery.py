"""After a crash: the ends that sessions of the process before never got."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from smproxy.hooks.event import Context
from smproxy.hooks.journal import Journal
from smproxy.hooks.unfinished import UnfinishedSession
from smproxy.signaling.payloads import Connection, Payload, WebSocketPayload

logger = logging.getLogger(__name__)

#: Sessions that are looked at together.
_PAGE = 500

#: Makes an event of a payload, its number within the session, a connection and a context, and publishes it.
Emit = Callable[[Payload, int, Connection, Context], object]


async def end_unfinished(
    journal: Journal, emit: Emit, found: Callable[[UnfinishedSession], None] = lambda _: None
) -> int:
    """Publish the ends that are missing in the journal and return how many sessions got one.

    Call it when the dispatcher has started and before anything else is published. What a session has not ended is ended in
    order: its tracks, its peer, then ``disconnected`` with reason 2 or ``connect_error`` with error 5; its ``seq`` goes on.
    Nobody knows when the process died: durations are counted up to the last event in the journal. ``found`` is called with each
    such session before its ends are published. Raises ``JournalError``.
    """
    until = await journal.latest_ts()
    ended, after = 0, 0
    while sessions := await journal.unfinished(after, _PAGE):
        after = sessions[-1][1]
        remains = {number: UnfinishedSession() for number, _ in sessions}
        for stored in await journal.of_sessions(remains):
            try:
                remains[stored.event.session].see(stored.event)
            except (msgspec.MsgspecError, KeyError):
                logger.exception(
                    "hook event %s in the journal cannot be understood and is left out",
                    stored.event.uuid,
                    extra=stored.event.about,
                )
        for one in remains.values():
            if one.connection is not None and (not one.ended or one.ends(until)):
                found(one)
                _end(one, one.connection, until, emit)
                ended += 1
        await journal.flush()
    if ended:
        logger.warning("ended %d sessions that were alive when the process before this one died", ended)
    return ended


def _end(session: UnfinishedSession, connection: Connection, until: int, emit: Emit) -> None:
    seq, context = session.seq, msgspec.structs.replace(session.context, joined=session.joined)
    for end in session.ends(until):
        seq += not isinstance(end.payload, WebSocketPayload)
        emit(end.payload, seq, connection, context)
