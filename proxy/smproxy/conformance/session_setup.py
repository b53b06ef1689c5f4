"""W1 to W6: the endpoint and the exchange of descriptions (RFC 9725, 4.1, 4.2)."""

from __future__ import annotations

from urllib.parse import urlsplit

from smproxy.conformance.check import Check, RequirementLevel
from smproxy.conformance.exchange import NotJudged, Violated
from smproxy.conformance.http import HttpAnswer, NoAnswer
from smproxy.conformance.sdp import OPUS, VP8, Media, read
from smproxy.conformance.server import SDP, ServerUnderCheck

PAGE = "https://page.example"


async def post_makes_a_session(server: ServerUnderCheck) -> None:
    """POST an offer of audio and video, and want 201."""
    answer = await server.retried(lambda: server.post(server.offer()))
    if answer.status != 201:
        detail = answer.text.strip().splitlines()[0][:200] if answer.text.strip() else ""
        raise Violated(f"the answer is {answer}" + (f": {detail}" if detail else ""))


async def the_answer_is_sdp(server: ServerUnderCheck) -> None:
    """Want application/sdp with as many sections, of the same kinds, as the offer has."""
    session = await server.sample(described=False)
    answer = session.answer
    if answer.media_type != SDP:
        raise Violated(f"the content type is {answer.media_type or 'missing'}")
    kinds = [each.kind for each in session.description.sections]
    wanted = [each.kind for each in session.offer.sections]
    if kinds != wanted:
        raise Violated(f"the answer has the sections {', '.join(kinds) or 'none'}, the offer {', '.join(wanted)}")


async def location_names_the_session(server: ServerUnderCheck) -> None:
    """Look for Location in the 201.

    Want one, absolute or relative, that leads to an http or https URL other than the endpoint.
    """
    session = await server.sample(described=False)
    location = session.answer.header("location")
    if not location:
        raise Violated("there is no Location")
    parts = urlsplit(session.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Violated(f"the Location {location!r} leads to no http or https URL")
    if session.url.rstrip("/") == server.url.rstrip("/"):
        raise Violated("the Location is the endpoint itself")


async def media_connects(server: ServerUnderCheck) -> None:
    """POST a complete offer of a real peer connection and apply the answer.

    Want ICE and DTLS to come up.
    """
    peer = server.peer()
    session = await server.open(await peer.offer())
    try:
        await peer.accept(session.answer.text, server.timeout)
    except (ValueError, TimeoutError) as exc:
        raise Violated(str(exc) or "ICE and DTLS did not come up") from None


async def other_content_is_refused(server: ServerUnderCheck) -> None:
    """POST the offer as text/plain, and want 4xx."""
    await server.accepts()
    answer = await server.post(server.offer(), content_type="text/plain")
    if not answer.refused:
        raise Violated(f"an offer as text/plain got {answer}")


async def malformed_sdp_is_refused(server: ServerUnderCheck) -> None:
    """POST text that is no SDP, an empty body, and SDP without media; want 4xx for each."""
    await server.accepts()
    for body in ("this is no SDP\r\n", "", "v=0\r\n"):
        answer = await server.post(body)
        if not answer.refused:
            raise Violated(f"the body {body!r} got {answer}")


async def get_on_the_endpoint(server: ServerUnderCheck) -> None:
    """GET the endpoint, and want 2xx with an empty body."""
    _empty_success(await server.http.request("GET", server.url))


async def get_on_the_session(server: ServerUnderCheck) -> None:
    """GET the session, and want 2xx with an empty body."""
    _empty_success(await (await server.open()).request("GET"))


def _empty_success(answer: HttpAnswer) -> None:
    if not answer.successful:
        raise Violated(f"GET got {answer}")
    if answer.body:
        raise Violated(f"GET got {answer} with a body of {len(answer.body)} bytes")


async def preflight(server: ServerUnderCheck) -> None:
    """Send the preflight of a page that POSTs with Authorization.

    Want 2xx, its origin and both headers allowed.
    """
    answer = await preflight_answer(server)
    if not answer.successful:
        raise Violated(f"the preflight got {answer}; browsers want a 2xx")
    if answer.header("access-control-allow-origin") not in ("*", PAGE):
        raise Violated(f"Access-Control-Allow-Origin is {answer.header('access-control-allow-origin') or 'missing'}")
    allowed = answer.header("access-control-allow-headers").lower()
    missing = [each for each in ("content-type", "authorization") if each not in allowed and "*" not in allowed]
    if "authorization" not in allowed:  # the wildcard does not hold for it (Fetch)
        missing = sorted({*missing, "authorization"})
    if missing:
        raise Violated(f"Access-Control-Allow-Headers lacks {', '.join(missing)}")


async def preflight_answer(server: ServerUnderCheck) -> HttpAnswer:
    """Send what a browser sends before the POST of a page."""
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    return await server.http.request("OPTIONS", server.url, headers=asked, token=None)


async def accept_post(server: ServerUnderCheck) -> None:
    """Send OPTIONS, and want Accept-Post to name application/sdp."""
    answer = await server.http.request("OPTIONS", server.url)
    if not answer.successful:
        raise Violated(f"OPTIONS got {answer}")
    if SDP not in answer.header("accept-post").lower():
        raise Violated(f"Accept-Post is {answer.header('accept-post') or 'missing'}")


async def pages_may_read(server: ServerUnderCheck) -> None:
    """POST with an Origin.

    Want Access-Control-Allow-Origin, and Location among the exposed headers.
    """
    await server.accepts()
    answer = await server.retried(lambda: server.post(server.offer(), headers={"Origin": PAGE}))
    if not answer.successful:
        raise NotJudged(f"no session could be made: POST got {answer}")
    if answer.header("access-control-allow-origin") not in ("*", PAGE):
        raise Violated(f"Access-Control-Allow-Origin is {answer.header('access-control-allow-origin') or 'missing'}")
    exposed = answer.header("access-control-expose-headers").lower()
    if "location" not in exposed and "*" not in exposed:
        raise Violated(f"Access-Control-Expose-Headers is {exposed or 'missing'}, so no page can read Location")


async def direction_of_the_answer(server: ServerUnderCheck) -> None:
    """Want a=recvonly (WHIP) or a=sendonly (WHEP) in each section of the answer."""
    wanted = "recvonly" if server.protocol == "whip" else "sendonly"
    for section in read((await server.sample()).answer.text).media:
        if not section.has(wanted):
            raise Violated(f"the {section.kind} section is not a={wanted}")


async def wrong_directions_are_refused(server: ServerUnderCheck) -> None:
    """POST offers that are inactive or of the opposite direction, and want 4xx."""
    wrong = ("inactive", "recvonly") if server.protocol == "whip" else ("inactive", "sendonly")
    for direction in wrong:
        answer = await server.try_offer(
            server.offer(Media("audio", [OPUS], direction), Media("video", [VP8], direction))
        )
        if not answer.refused:
            raise Violated(f"an offer with a={direction} got {answer}")


async def all_candidates_are_in_the_answer(server: ServerUnderCheck) -> None:
    """Want candidates in the answer: a server cannot trickle."""
    description = read((await server.sample()).answer.text)
    if not any(section.candidates for section in description.sections):
        raise Violated("the answer has no candidate, and the server cannot trickle")


async def reach(server: ServerUnderCheck) -> None:
    """Get any answer of the server; not a row.

    Raises:
        NoAnswer: there is none.
    """
    try:
        await server.http.request("OPTIONS", server.url)
    except NoAnswer:
        await server.http.request("POST", server.url, body="", headers={"Content-Type": SDP})


_HTTP, _SETUP, _TRICKLE = "4.1 HTTP Usage", "4.2 Ingest Session Setup", "4.3.2 Trickle ICE"
CHECKS = (
    Check("W1.1", RequirementLevel.MUST, "POST of an offer is answered 201 Created", _SETUP, post_makes_a_session),
    Check(
        "W1.2", RequirementLevel.MUST, "the body is an application/sdp answer to the offer", _SETUP, the_answer_is_sdp
    ),
    Check("W1.3", RequirementLevel.MUST, "Location leads to the new session", _SETUP, location_names_the_session),
    Check("W1.4", RequirementLevel.MUST, "ICE and DTLS come up with the answer", _SETUP, media_connects, media=True),
    Check("W2.1", RequirementLevel.MUST, "another content type is refused with 4xx", _SETUP, other_content_is_refused),
    Check("W2.2", RequirementLevel.MUST, "malformed SDP is refused with 4xx", _SETUP, malformed_sdp_is_refused),
    Check(
        "W3.1", RequirementLevel.MUST, "GET on the endpoint is a success without content", _HTTP, get_on_the_endpoint
    ),
    Check("W3.2", RequirementLevel.MUST, "GET on the session is a success without content", _HTTP, get_on_the_session),
    Check("W4.1", RequirementLevel.MUST, "OPTIONS lets pages of other origins POST (CORS)", _SETUP, preflight),
    Check("W4.2", RequirementLevel.SHOULD, "OPTIONS tells Accept-Post: application/sdp", _SETUP, accept_post),
    Check(
        "W4.3",
        RequirementLevel.SHOULD,
        "pages of other origins may read the answer and Location",
        _SETUP,
        pages_may_read,
    ),
    Check(
        "W5.1",
        RequirementLevel.MUST,
        "the answer only receives (WHIP) or only sends (WHEP)",
        _SETUP,
        direction_of_the_answer,
    ),
    Check(
        "W5.2",
        RequirementLevel.SHOULD,
        "offers of the wrong direction are refused",
        _SETUP,
        wrong_directions_are_refused,
    ),
    Check(
        "W6",
        RequirementLevel.MUST,
        "the answer holds the server's candidates",
        _TRICKLE,
        all_candidates_are_in_the_answer,
    ),
)
