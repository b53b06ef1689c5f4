"""W15 and W16: how a session ends (RFC 9725, 4.2; RFC 7675)."""

from __future__ import annotations

from smproxy.conformance.check import Check, RequirementLevel
from smproxy.conformance.exchange import NotJudged, Violated
from smproxy.conformance.ice_updates import HOST
from smproxy.conformance.server import ServerUnderCheck

#: Seconds that a DTLS alert may take.
_CLOSED = 5.0


async def delete(server: ServerUnderCheck) -> None:
    """DELETE the session, and want 200."""
    try:
        session = await server.open()
    except NotJudged:
        if server.failed_delete:
            raise Violated(server.failed_delete) from None
        raise
    answer = await session.delete()
    if answer.status != 200:
        raise Violated(f"DELETE got {answer}")


async def deleted_is_gone(server: ServerUnderCheck) -> None:
    """DELETE the session twice, and want 4xx for the second."""
    session = await server.open()
    first = await session.delete()
    if not first.successful:
        raise NotJudged(f"DELETE got {first}")
    again = await session.request("DELETE")
    if not again.refused:
        raise Violated(f"a second DELETE got {again}")


async def late_patch(server: ServerUnderCheck) -> None:
    """PATCH a candidate after DELETE, and want 404 or 410."""
    session = await server.open()
    if not (await session.delete()).successful:
        raise NotJudged("DELETE had no success")
    answer = await session.patch(session.trickle(HOST), tag=session.tag)
    if answer.status not in (404, 410):
        raise Violated(f"a PATCH that comes after DELETE got {answer}")


async def delete_ignores_tags(server: ServerUnderCheck) -> None:
    """DELETE with an If-Match that is outdated, and want success."""
    session = await server.open()
    answer = await session.delete({"If-Match": '"outdated-by-the-check"'})
    if not answer.successful:
        session.deleted = False
        raise Violated(f"DELETE with an outdated If-Match got {answer}")


async def delete_closes_the_media(server: ServerUnderCheck) -> None:
    """Connect, DELETE, and want a DTLS alert within 5 s."""
    peer, session = await server.connect()
    answer = await session.delete()
    if not answer.successful:
        raise NotJudged(f"DELETE got {answer}")
    if not await peer.reached({"closed", "failed"}, _CLOSED):
        raise Violated(f"no DTLS alert came within {_CLOSED:g} s of the DELETE")


async def a_closing_client_ends_it(server: ServerUnderCheck) -> None:
    """Connect, close DTLS, and want the session to be gone within 5 s, as GET shows."""
    peer, session = await server.connect()
    await server.visible(session)
    await peer.close()
    if not await server.gone(session, _CLOSED):
        raise Violated(f"the client closed DTLS, and the session was still there {_CLOSED:g} s later")


async def a_vanished_client_is_noticed(server: ServerUnderCheck) -> None:
    """Connect, then send nothing more.

    Want the session to be gone within --consent-timeout, as GET shows.
    """
    peer, session = await server.connect()
    await server.visible(session)
    peer.vanish()
    if not await server.gone(session, server.consent):
        raise Violated(f"the client vanished, and the session was still there {server.consent:g} s later")


_SETUP = "4.2 Ingest Session Setup"
CHECKS = (
    Check("W15.1", RequirementLevel.MUST, "DELETE on the session gets 200", _SETUP, delete),
    Check("W15.2", RequirementLevel.MUST, "a session that was deleted is gone", _SETUP, deleted_is_gone),
    Check(
        "W15.3",
        RequirementLevel.MUST,
        "DELETE ignores entity tags",
        "4.3.1 HTTP PATCH Request Usage",
        delete_ignores_tags,
    ),
    Check(
        "W15.4",
        RequirementLevel.MUST,
        "DELETE ends the media connection with a DTLS alert",
        _SETUP,
        delete_closes_the_media,
        media=True,
    ),
    Check("W15.5", RequirementLevel.SHOULD, "PATCH after DELETE gets 404 or 410", "RFC 9110, 15.5.5", late_patch),
    Check(
        "W16.1",
        RequirementLevel.MUST,
        "the client's DTLS alert ends the session",
        _SETUP,
        a_closing_client_ends_it,
        media=True,
    ),
    Check(
        "W16.2",
        RequirementLevel.MUST,
        "a client that vanished is noticed",
        "RFC 7675, 5.1",
        a_vanished_client_is_noticed,
        media=True,
    ),
)
