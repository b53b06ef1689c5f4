"""E1 to E5: what WHEP has beyond WHIP."""

from __future__ import annotations

import json

from smproxy.conformance.access import links
from smproxy.conformance.check import Check, RequirementLevel
from smproxy.conformance.exchange import WHEP, NotJudged, Violated
from smproxy.conformance.http import resolve
from smproxy.conformance.sdp import UNKNOWN, Media, read
from smproxy.conformance.server import SDP, ServerUnderCheck

_EVENTS = "urn:ietf:params:whep:ext:core:server-sent-events"


async def nobody_live(server: ServerUnderCheck) -> str | None:
    """POST before anybody publishes.

    Want 409 with Retry-After in seconds, if the server refuses.
    """
    answer = await server.post(server.offer())
    if answer.successful:
        raise NotJudged("the server takes players while nobody publishes, or somebody does")
    if answer.status != 409:
        raise Violated(f"POST while nobody publishes got {answer}")
    if not answer.header("retry-after").isdecimal():
        raise Violated(f"the 409 has {answer.header('retry-after') or 'no'} Retry-After, not a number of seconds")
    return f"409, Retry-After {answer.header('retry-after')}"


async def head(server: ServerUnderCheck) -> None:
    """HEAD the endpoint, and want 200 and application/sdp."""
    answer = await server.http.request("HEAD", server.url)
    if answer.status != 200 or answer.media_type != SDP:
        raise Violated(f"HEAD got {answer} of {answer.media_type or 'no content type'}")


async def counter_offer(server: ServerUnderCheck) -> str | None:
    """POST an offer of a codec that nobody knows.

    A 406 with an offer must have Location, and refuse a malformed answer.
    """
    answer = await server.try_offer(server.offer(Media("video", [UNKNOWN], "recvonly")))
    if answer.status != 406:
        raise NotJudged(f"the server makes no counter-offer: an offer that it cannot take got {answer}")
    if answer.media_type != SDP:
        raise NotJudged("the 406 has no counter-offer, which is optional")
    if not read(answer.text).media:
        raise Violated("the counter-offer has no media")
    location = answer.header("location")
    if not location:
        raise Violated("the 406 with a counter-offer has no Location")
    url = resolve(answer.url, location)
    malformed = await server.http.request("PATCH", url, body="this is no SDP\r\n", headers={"Content-Type": SDP})
    if not malformed.refused:
        raise Violated(f"a malformed answer to the counter-offer got {malformed}")
    return None


async def media_flows(server: ServerUnderCheck) -> None:
    """Connect, and want packets."""
    peer, _ = await server.connect()
    if not await peer.received(server.timeout):
        raise Violated(f"no media came within {server.timeout:g} s")


async def events(server: ServerUnderCheck) -> str | None:
    """POST the names of events if the 201 announces server-sent events.

    Want 201 with Location.
    """
    session = await server.open()
    target = next((target for target, each in links(session.answer) if each.get("rel") == _EVENTS), None)
    if target is None:
        raise NotJudged("the 201 does not announce server-sent events, which are optional")
    body = json.dumps(["active", "inactive", "viewercount"])
    url = resolve(session.answer.url, target)
    answer = await server.http.request("POST", url, body=body, headers={"Content-Type": "application/json"})
    if answer.status != 201 or not answer.header("location"):
        raise Violated(
            f"subscribing to events got {answer}" + ("" if answer.header("location") else " without Location")
        )
    return None


BEFORE_PUBLISHING = (
    Check(
        "E1",
        RequirementLevel.MUST,
        "nobody publishes: 409 with Retry-After",
        "Playback session set up",
        nobody_live,
        WHEP,
    ),
)
CHECKS = (
    Check("E2", RequirementLevel.SHOULD, "HEAD on the endpoint gets 200 and application/sdp", "HTTP usage", head, WHEP),
    Check(
        "E3",
        RequirementLevel.MUST,
        "a counter-offer has a session, and its answer is checked",
        "Playback session set up",
        counter_offer,
        WHEP,
    ),
    Check("E4", RequirementLevel.MUST, "media flows", "Overview", media_flows, WHEP, media=True),
    Check("E5", RequirementLevel.MUST, "events can be subscribed to", "WHEP events", events, WHEP),
)
