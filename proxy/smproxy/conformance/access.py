"""Rows W21 to W27 and W30: access (RFC 9725, 4.5 to 4.9 and 5).

Redirections, overload, tokens, ICE servers, extensions, URLs.
"""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from smproxy.conformance.check import Check, RequirementLevel
from smproxy.conformance.exchange import NotJudged, Violated
from smproxy.conformance.http import HttpAnswer
from smproxy.conformance.server import ServerUnderCheck
from smproxy.conformance.session_setup import preflight_answer

_LINK = re.compile(r'<([^>]*)>((?:[^,"]|"(?:[^"\\]|\\.)*")*)')
_ICE_URI = re.compile(r"(stuns?:|turns?:)[^\s]+")
#: Characters of a session's URL that must differ from one session to the next.
_RANDOM_CHARACTERS = 16


def links(answer: HttpAnswer) -> list[tuple[str, dict[str, str]]]:
    """Read the Link headers (RFC 8288): target and parameters of each."""
    found = []
    for target, rest in _LINK.findall(answer.header("link")):
        parameters = re.findall(r';\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s]*))', rest)
        found.append((target, {name.lower(): quoted or plain for name, quoted, plain in parameters}))
    return found


async def redirections(server: ServerUnderCheck) -> str:
    """Look at the redirections that POST got; 301, 302 and 303 would make it a GET."""
    await server.sample()
    wrong = [status for status in server.redirections if status not in (307, 308)]
    if wrong:
        raise Violated(f"POST was redirected with {wrong[0]}")
    return f"redirected with {server.redirections[0]}" if server.redirections else "not redirected"


async def overload(_server: ServerUnderCheck) -> None:
    """Not decided, since that would need an overloaded server.

    The row is here so that the list is whole.
    """
    raise NotJudged("a check does not overload a server")


async def token_is_asked_for(server: ServerUnderCheck) -> str | None:
    """With --token: POST without it and with another; want 401 with WWW-Authenticate."""
    if server.http.token is None:
        raise NotJudged("no --token was given")
    for token, what in ((None, "without a token"), ("not-the-token-of-this-check", "with a wrong token")):
        answer = await server.post(server.offer(), token=token)
        if answer.successful:
            raise NotJudged(f"the server takes a POST {what}, so that it asks for none")
        if answer.status != 401:
            raise Violated(f"a POST {what} got {answer}")
        if not answer.header("www-authenticate"):
            raise Violated(f"the 401 to a POST {what} has no WWW-Authenticate (RFC 9110, 11.6.1)")
    return None


async def token_is_taken(server: ServerUnderCheck) -> None:
    """With --token: POST with it, and want neither 401 nor 403."""
    if server.http.token is None:
        raise NotJudged("no --token was given")
    answer = await server.retried(lambda: server.post(server.offer()))
    if answer.status in (401, 403):
        raise Violated(f"a POST with the token got {answer}")


async def token_on_the_session(server: ServerUnderCheck) -> None:
    """With --token: DELETE with it, and want neither 401 nor 403."""
    if server.http.token is None:
        raise NotJudged("no --token was given")
    session = await server.open()
    answer = await session.delete()
    if answer.status in (401, 403):
        raise Violated(f"a DELETE with the token got {answer}")


async def preflight_needs_no_token(server: ServerUnderCheck) -> None:
    """Send a preflight without a token, and want neither 401 nor 403."""
    answer = await preflight_answer(server)
    if answer.status in (401, 403):
        raise Violated(f"a preflight, which has no token, got {answer}")


async def ice_servers(server: ServerUnderCheck) -> str | None:
    """Look at each Link with rel="ice-server".

    Want a stun or turn URI, for turn with username and credential.
    """
    found = [
        (target, each) for target, each in links((await server.sample()).answer) if each.get("rel") == "ice-server"
    ]
    if not found:
        raise NotJudged("the 201 has no Link to an ICE server, which is optional")
    for target, parameters in found:
        if not _ICE_URI.fullmatch(target):
            raise Violated(f"the ICE server {target} is no stun or turn URI")
        if target.startswith("turn") and not {"username", "credential"} <= parameters.keys():
            raise Violated(f"the TURN server {target} has no username and credential")
    return f"{len(found)} ICE servers"


async def no_ice_servers_in_preflight(server: ServerUnderCheck) -> None:
    """Want no Link with rel="ice-server" in the answer to a preflight."""
    answer = await preflight_answer(server)
    if any(each.get("rel") == "ice-server" for _, each in links(answer)):
        raise Violated("the answer to a preflight has ICE servers")


async def extensions(server: ServerUnderCheck) -> str | None:
    """Look at each Link to an extension: the right prefix, and one Link for each."""
    prefix = f"urn:ietf:params:{server.protocol}:ext:"
    found = [each.get("rel", "") for _, each in links((await server.sample()).answer)]
    announced = [rel for rel in found if ":ext:" in rel]
    if not announced:
        raise NotJudged("the 201 announces no extension, which is optional")
    for rel in announced:
        if not rel.startswith(prefix):
            raise Violated(f"the extension {rel} does not begin with {prefix}")
    if len(announced) != len(set(announced)):
        raise Violated("an extension is announced twice")
    return ", ".join(announced)


async def unguessable(server: ServerUnderCheck) -> None:
    """Make two sessions and compare their URLs.

    Want them to differ in a part of 16 characters or more, in most of them.
    """
    urls = []
    for _ in range(2):
        session = await server.open()
        if not session.url:
            raise NotJudged("the server did not say where its session is (no Location)")
        urls.append(session.url)
        await session.delete()
    first, second = ([*urlsplit(url).path.split("/"), urlsplit(url).query] for url in urls)
    pairs = [(a, b) for a, b in zip(first, second, strict=False) if a != b]
    if not pairs:
        raise Violated("two sessions have the same URL")
    if not any(min(len(a), len(b)) >= _RANDOM_CHARACTERS and _differ(a, b) for a, b in pairs):
        raise Violated(f"the URLs of two sessions differ in {pairs[0][0]!r} and {pairs[0][1]!r} only")


def _differ(one: str, other: str) -> bool:
    """Return whether two names differ in many places: a counter does not."""
    return sum(a != b for a, b in zip(one, other, strict=False)) >= _RANDOM_CHARACTERS // 2


async def problem_details(server: ServerUnderCheck) -> str | None:
    """Look at a refusal of type application/problem+json.

    Want a JSON object with the status of the answer.
    """
    await server.accepts()
    answer = await server.post("this is no SDP\r\n")
    if not answer.refused:
        raise NotJudged(f"malformed SDP got {answer}")
    if answer.media_type != "application/problem+json":
        raise NotJudged(f"refusals come as {answer.media_type or 'nothing'}, as they may")
    try:
        problem = json.loads(answer.text)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        raise Violated("the problem details are no JSON object")
    if "status" in problem and problem["status"] != answer.status:
        raise Violated(f"the problem details say {problem['status']}, the answer is {answer.status}")
    return None


async def https(server: ServerUnderCheck) -> None:
    """Look at the URL. Plain http within this machine or a private network is not judged."""
    if urlsplit(server.url).scheme == "https":
        return
    if server.local:
        raise NotJudged("plain http within a machine or a private network is for tests")
    raise Violated("the endpoint is plain http")


_BALANCE, _ICE, _AUTH = (
    "4.5 Load Balancing and Redirections",
    "4.6 STUN/TURN Server Configuration",
    "4.7.1 Bearer Token Authentication",
)
_EXTENSIONS, _SECURITY = "4.9 Protocol Extensions", "5 Security Considerations"
CHECKS = (
    Check(
        "W21",
        RequirementLevel.MUST,
        "POST is redirected with 307 or 308, never with 301 or 302",
        _BALANCE,
        redirections,
    ),
    Check("W22", RequirementLevel.MAY, "overload is 503, with Retry-After", _BALANCE, overload),
    Check(
        "W23.1",
        RequirementLevel.MUST,
        "a missing or wrong token gets 401 with WWW-Authenticate",
        _AUTH,
        token_is_asked_for,
    ),
    Check("W23.2", RequirementLevel.MUST, "the token is taken as Bearer on the endpoint", _AUTH, token_is_taken),
    Check("W23.3", RequirementLevel.MUST, "the token is taken as Bearer on the session", _AUTH, token_on_the_session),
    Check("W23.4", RequirementLevel.MUST, "a preflight needs no token", _AUTH, preflight_needs_no_token),
    Check("W24.1", RequirementLevel.MUST, "ICE servers are Links with stun or turn URIs", _ICE, ice_servers),
    Check(
        "W24.2",
        RequirementLevel.SHOULD,
        "the answer to a preflight has no ICE servers",
        _ICE,
        no_ice_servers_in_preflight,
    ),
    Check(
        "W25", RequirementLevel.MUST, "extensions are Links with rel urn:ietf:params:…:ext:…", _EXTENSIONS, extensions
    ),
    Check("W26", RequirementLevel.SHOULD, "the URLs of sessions cannot be guessed", _SECURITY, unguessable),
    Check("W27", RequirementLevel.MAY, "refusals are problem details (RFC 9457)", "4.1 HTTP Usage", problem_details),
    Check("W30", RequirementLevel.MUST, "the endpoint is https", _SECURITY, https),
)
