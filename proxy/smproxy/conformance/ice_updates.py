"""W7 to W14: PATCH, trickled candidates and ICE restarts (RFC 9725, 4.3)."""

from __future__ import annotations

import re

from smproxy.conformance.check import Check, RequirementLevel
from smproxy.conformance.exchange import NotJudged, Violated
from smproxy.conformance.http import HttpAnswer
from smproxy.conformance.sdp import new_credentials, read, write_fragment
from smproxy.conformance.server import FRAGMENT, CheckedSession, ServerUnderCheck

HOST = "candidate:1387637174 1 udp 2122260223 127.0.0.1 61764 typ host"
#: Candidates that a server cannot use: another transport, a name that nobody resolves, an address that is none.
STRANGE = (
    "candidate:473322822 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
    "candidate:2 1 udp 2122260222 f81d4fae-7dec-11d0-a765-00a0c91e6bf6.local 61765 typ host",
    "candidate:3 1 sctp 1 127.0.0.1 61766 typ host",
)
_UNSUPPORTED = frozenset({405, 422, 501})
_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


async def _trickles(server: ServerUnderCheck, session: CheckedSession) -> HttpAnswer:
    """Trickle a candidate.

    Raises:
        NotJudged: the server does not take any, as it may.
    """
    answer = await session.patch(session.trickle(HOST), tag=session.tag)
    server.known["trickle"] = answer.status not in _UNSUPPORTED
    if answer.status in _UNSUPPORTED:
        raise NotJudged(f"the server takes no trickled candidates ({answer.status}), which is optional")
    if answer.status in (412, 428) and not _TAG.fullmatch(session.tag):
        raise NotJudged(f"the entity tag of the 201 is none that the server takes back ({answer.status})")
    return answer


async def _takes_candidates(server: ServerUnderCheck, session: CheckedSession) -> None:
    """Make sure that the server takes a good candidate.

    Raises:
        NotJudged: it does not.
    """
    answer = await _trickles(server, session)
    if not answer.successful:
        raise NotJudged(f"the server takes no candidate at all: a PATCH got {answer}")


async def _restart(server: ServerUnderCheck, session: CheckedSession) -> HttpAnswer:
    """Ask for an ICE restart.

    Raises:
        NotJudged: the server does none, as it may.
    """
    ufrag, password = new_credentials(server.rng)
    answer = await session.patch(write_fragment(ufrag, password, [HOST]), tag="*")
    server.known["restart"] = answer.successful and answer.status != 204
    if not server.known["restart"]:
        raise NotJudged(f"the server does not restart ICE ({answer.status}), which is optional")
    return answer


async def trickle(server: ServerUnderCheck) -> None:
    """PATCH a candidate with the entity tag; want 204, no body and no ETag."""
    answer = await _trickles(server, await server.open())
    if answer.status != 204:
        raise Violated(f"a PATCH with a candidate got {answer}")
    if answer.body:
        raise Violated(f"the 204 has a body of {len(answer.body)} bytes")
    if answer.header("etag"):
        raise Violated("the answer to trickled candidates has an ETag")


async def other_content(server: ServerUnderCheck) -> None:
    """PATCH as text/plain, and want 4xx."""
    session = await server.open()
    answer = await session.patch(session.trickle(HOST), tag=session.tag, content_type="text/plain")
    if answer.status == 501:
        raise NotJudged("the server takes no PATCH at all (501), which is optional")
    if not answer.refused:
        raise Violated(f"a PATCH of text/plain got {answer}")


async def malformed(server: ServerUnderCheck) -> None:
    """PATCH text that is no fragment, and want 4xx."""
    session = await server.open()
    await _takes_candidates(server, session)
    answer = await session.patch("this is no fragment", tag=session.tag)
    if not answer.refused:
        raise Violated(f"a fragment that is none got {answer}")


async def strange_candidates(server: ServerUnderCheck) -> None:
    """PATCH a TCP, an mDNS and an unheard-of candidate beside a good one; want success."""
    session = await server.open()
    await _takes_candidates(server, session)
    answer = await session.patch(session.trickle(*STRANGE, HOST), tag=session.tag)
    if not answer.successful:
        raise Violated(f"candidates that cannot be used, with one that can, got {answer}")


async def tag_is_strong(server: ServerUnderCheck) -> str | None:
    """Look at the entity tag of the 201.

    Want a strong one in quotes, if the server restarts ICE or gives a tag at all.
    """
    session = await server.open()
    tag = session.tag
    if not tag:
        await _restart(server, session)
        raise Violated("the server restarts ICE, and its 201 has no ETag")
    if not _TAG.fullmatch(tag):
        kind = "weak" if tag.startswith("W/") else "no entity tag"
        raise Violated(f"the ETag {tag} is {kind}; it must be strong and in quotes (RFC 9110, 8.8.3)")
    return None


async def tag_is_unique(server: ServerUnderCheck) -> None:
    """Make two sessions, and want two entity tags."""
    first = await server.open()
    if not first.tag:
        raise NotJudged("the 201 has no ETag")
    await first.delete()
    second = await server.open()
    if first.tag == second.tag:
        raise Violated(f"two sessions have the same ETag {first.tag}")


async def without_if_match(server: ServerUnderCheck) -> None:
    """PATCH a candidate without If-Match, and want 428, if the 201 had a tag."""
    session = await _tagged(server)
    answer = await session.patch(session.trickle(HOST), tag=None)
    if answer.status != 428:
        raise Violated(f"a PATCH without If-Match got {answer}")


async def outdated_tag(server: ServerUnderCheck) -> None:
    """PATCH a candidate with another tag, and want 412, if the 201 had a tag."""
    session = await _tagged(server)
    answer = await session.patch(session.trickle(HOST), tag='"outdated-by-the-check"')
    if answer.status != 412:
        raise Violated(f"a PATCH with an outdated If-Match got {answer}")


async def _tagged(server: ServerUnderCheck) -> CheckedSession:
    session = await server.open()
    if not session.tag:
        raise NotJudged("the 201 has no ETag: a server that does not restart ICE needs none")
    await _takes_candidates(server, session)
    return session


async def restart(server: ServerUnderCheck) -> None:
    """PATCH new credentials with If-Match: *.

    Want 200 and a fragment with new credentials of the server.
    """
    session = await server.open()
    answer = await _restart(server, session)
    if answer.status != 200:
        raise Violated(f"the restart got {answer}")
    if answer.media_type != FRAGMENT:
        raise Violated(f"the content type of the restart's answer is {answer.media_type or 'missing'}")
    fragment = read(answer.text)
    ufrag, password = fragment.value("ice-ufrag"), fragment.value("ice-pwd")
    if not ufrag or not password:
        raise Violated("the restart's answer has no ice-ufrag and ice-pwd")
    if ufrag == session.description.value("ice-ufrag") or password == session.description.value("ice-pwd"):
        raise Violated("the restart's answer has the credentials of before")


async def restart_changes_the_tag(server: ServerUnderCheck) -> None:
    """Want an ETag in the answer to a restart that is not the one of before."""
    session = await server.open()
    tag = (await _restart(server, session)).header("etag")
    if not tag:
        raise Violated("the restart's answer has no ETag")
    if tag == session.tag:
        raise Violated(f"the ETag is still {tag} after the restart")


async def restart_keeps_the_options(server: ServerUnderCheck) -> None:
    """Want the same a=ice-lite and a=ice-options in answer and fragment."""
    session = await server.open()
    fragment = read((await _restart(server, session)).text)
    if fragment.has("ice-lite") != session.description.has("ice-lite"):
        raise Violated("a=ice-lite is in one of the answer and the restart's fragment only")
    before = set(session.description.value("ice-options").split())
    if before != set(fragment.value("ice-options").split()):
        raise Violated(f"a=ice-options was {' '.join(sorted(before)) or 'missing'}, and is another now")


async def restart_has_candidates(server: ServerUnderCheck) -> None:
    """Want candidates in the fragment that answers a restart."""
    fragment = read((await _restart(server, await server.open())).text)
    found = [line for part in (fragment.lines, *(each.lines for each in fragment.sections)) for line in part]
    if not any(line.startswith("candidate:") for line in found):
        raise Violated("the restart's answer has no candidates")


async def only_one_of_both(server: ServerUnderCheck) -> str | None:
    """If the server trickles or restarts but not both, want 422 for the other."""
    session = await server.open()
    for probe in (_trickles, _restart):
        try:
            answer = await probe(server, session)
        except NotJudged:
            continue
        if not answer.successful:
            raise NotJudged(f"it does not show which of both the server supports: a PATCH got {answer}")
    trickles, restarts = server.known.get("trickle"), server.known.get("restart")
    if trickles is None or restarts is None:
        raise NotJudged("the session cannot be reached")
    if trickles == restarts:
        return "both are supported" if trickles else "neither is supported"
    other = await (
        session.patch(write_fragment(*new_credentials(server.rng), [HOST]), tag="*")
        if trickles
        else session.patch(session.trickle(HOST), tag=session.tag)
    )
    if other.status != 422:
        what = "an ICE restart" if trickles else "a trickled candidate"
        raise Violated(f"{what}, which is not supported, got {other}")
    return None


async def failed_restart(server: ServerUnderCheck) -> None:
    """Ask for a restart without a password.

    Want an error, and the session and its ICE session as before.
    """
    before = await server.open()
    await _restart(server, before)
    await before.delete()
    session = await server.open()
    await _takes_candidates(server, session)
    answer = await session.patch("a=ice-ufrag:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n", tag="*")
    if answer.successful:
        raise Violated(f"a restart without a password got {answer}")
    after = await session.request("GET")
    if after.status in (404, 410):
        raise Violated(f"after a restart that failed the session is gone: GET got {after}")
    trickled = await session.patch(session.trickle(HOST), tag=session.tag)
    if trickled.status in (404, 410, 412):
        raise Violated(f"after a restart that failed the ICE session is another: a candidate got {trickled}")


async def restart_replaces_candidates(_server: ServerUnderCheck) -> None:
    """Not to be seen from outside; the row is here so that the list is whole."""
    raise NotJudged("which candidates a server still uses does not show from outside")


_PATCH, _TRICKLE, _RESTART = "4.3.1 HTTP PATCH Request Usage", "4.3.2 Trickle ICE", "4.3.3 ICE Restarts"
CHECKS = (
    Check("W7", RequirementLevel.MUST, "trickled candidates get 204 without body and ETag", _TRICKLE, trickle),
    Check("W8.1", RequirementLevel.MUST, "PATCH of another content type is refused with 4xx", _PATCH, other_content),
    Check("W8.2", RequirementLevel.MUST, "a malformed fragment is refused with 4xx", _PATCH, malformed),
    Check(
        "W8.3",
        RequirementLevel.MUST,
        "candidates that cannot be used are dropped in silence",
        _TRICKLE,
        strange_candidates,
    ),
    Check("W9.1", RequirementLevel.MUST, "a server that restarts ICE gives a strong ETag", _PATCH, tag_is_strong),
    Check("W9.2", RequirementLevel.MUST, "the ETag is unique to the ICE session", _PATCH, tag_is_unique),
    Check(
        "W10.1", RequirementLevel.MUST, "PATCH without If-Match is refused with 428", "RFC 6585, 3", without_if_match
    ),
    Check(
        "W10.2",
        RequirementLevel.MUST,
        "PATCH with an outdated If-Match is refused with 412",
        "RFC 9110, 13.1.1",
        outdated_tag,
    ),
    Check("W11.1", RequirementLevel.MUST, "a restart gets 200 with new credentials", _RESTART, restart),
    Check("W11.2", RequirementLevel.MUST, "a restart's answer has a new ETag", _RESTART, restart_changes_the_tag),
    Check(
        "W11.3",
        RequirementLevel.MUST,
        "a restart's answer has the ice-lite and ice-options of before",
        _RESTART,
        restart_keeps_the_options,
    ),
    Check("W11.4", RequirementLevel.MUST, "a restart's answer has candidates", _RESTART, restart_has_candidates),
    Check(
        "W12",
        RequirementLevel.MUST,
        "of trickling and restarting, what is not supported gets 422",
        _PATCH,
        only_one_of_both,
    ),
    Check("W13", RequirementLevel.MUST, "a restart that fails leaves the session as it was", _RESTART, failed_restart),
    Check(
        "W14",
        RequirementLevel.MUST,
        "a restart replaces the client's candidates",
        _RESTART,
        restart_replaces_candidates,
    ),
)
