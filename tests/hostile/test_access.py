"""Who may ask: pages of other sites, names that point here, and whoever has no token (A1, A2, T11)."""

from __future__ import annotations

import pytest
from aiohttp import web
from smproxy.simulator import Simulator

from tests.hostile.raw import WEBSOCKET, ask, request, status_of
from tests.integration.conftest import StartSimulator

#: What everybody may use: pages and their files, the proxy and WHIP, the way to an origin, and whether the instance is up.
OPEN = {
    "/as/v1/auth/login", "/auth/login", "/api/v1/ice-servers", "/conference-api/1.0/ws/conference",
    "/{scope}/{name}.m3u8", "/as/v1/proxy/whep/{scope}/{name}.m3u8", "/{scope}/hls/{key}/{file}",
    "/as/v1/streams/stream/{group}/publish/{path}", "/as/v1/streams/stream/{group}/subscribe/{path}",
    "/picture-check.js", "/", "/publish", "/subscribe",
    "/sdk/{name}", "/web/{path}", "/healthz", "/streammanager", "/streammanager/", "/{whip}",
    "/streammanager/api/{version}/event/{path}", "/streammanager/api/{version}/media/{path}",
}  # fmt: skip

EVIL = "Origin: https://evil.example"
#: What a browser says of a page's request for a picture or a script, which has no Origin.
CROSS_SITE = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Referer: https://evil.example/")

FILLED = {
    "version": "4.0", "path": "live/s", "id": "x", "uuid": "x", "session": "1", "app": "live", "scope": "live", "name": "s",
    "file": "live/s.webm", "whip": "live/whip/endpoint/s", "group": "default", "rest": "terraform", "key": "x",
    "list": "mediafiles", "action": "sunset", "sink": "x",
}  # fmt: skip


def guarded(simulator: Simulator) -> list[tuple[str, str]]:
    """Return method and path of every route that is not open."""
    found = []
    for route in simulator.manager.router.routes():
        assert isinstance(route, web.AbstractRoute)
        assert route.resource is not None
        if route.resource.canonical not in OPEN and route.method != "HEAD":
            found.append((route.method, route.resource.canonical.format(**FILLED)))
    assert len(found) > 35
    return found


async def statuses(simulator: Simulator, *lines: str, host: str = "localhost", query: str = "") -> dict[str, int]:
    """Ask every guarded route, as an upgrade where it is a socket; return the statuses."""
    answers = {}
    for method, path in guarded(simulator):
        more = WEBSOCKET if path.endswith("/webhook") else ()
        asked = path + query
        if path.endswith("/wait"):
            asked += ("&" if query else "?") + "timeout=0"
        data = request(method, asked, *lines, *more, host=host)
        answers[f"{method} {path}"] = await status_of(simulator.port, data)
    return answers


async def test_every_open_route_is_there(start_simulator: StartSimulator) -> None:
    """The list of what is open to all has nothing in it that is not a route."""
    simulator = await start_simulator(sdk_file=None)
    known = {route.resource.canonical for route in simulator.manager.router.routes() if route.resource is not None}
    assert known >= OPEN


@pytest.mark.parametrize(
    "lines",
    [
        (EVIL,), ("Origin: null",), ("Origin: https://localhost.evil.example",), ("Origin: http://192.168.1.20",),
        ("Origin: chrome-extension://abcdefgh",), (EVIL, "Authorization: Bearer x"), CROSS_SITE, CROSS_SITE[:2],
    ],
)  # fmt: skip
async def test_pages_of_other_sites(start_simulator: StartSimulator, lines: tuple[str, ...]) -> None:
    """Without a token, a page of another site is turned away by every route and socket, whatever way it asks."""
    answers = await statuses(await start_simulator(), *lines)
    assert {call: status for call, status in answers.items() if status != 403} == {}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5080", "127.0.0.1.evil.example", "a@evil.example", "["])
async def test_names_that_point_here(start_simulator: StartSimulator, host: str) -> None:
    """Without a token, a name with a dot that is not the server's own is refused: it could be another site's."""
    answers = await statuses(await start_simulator(), host=host)
    assert {call: status for call, status in answers.items() if status not in {400, 403}} == {}


async def test_names_of_this_machine(start_simulator: StartSimulator) -> None:
    """localhost, IP addresses, names without a dot and those that were given are the server's own, for its pages too."""
    simulator = await start_simulator(host="localhost", tls_host=("studio.example",), tls_self_signed=True)
    for host in (
        "localhost", "LOCALHOST:5080", "localhost.", "a.localhost", "127.0.0.1", "192.168.1.20:5080", "[::1]:80", "manager",
        "studio.example", "Studio.Example:5443",
    ):  # fmt: skip
        assert await status_of(simulator.port, request("GET", "/api/v1/sessions", host=host)) == 200, host
        own = request("GET", "/api/v1/sessions", f"Origin: http://{host.lower()}", host=host)
        assert await status_of(simulator.port, own) == 200, host
    for origin in ("http://localhost:3000", "https://127.0.0.1", "http://app.localhost", "http://[::1]:8"):
        assert await status_of(simulator.port, request("GET", "/api/v1/hooks", f"Origin: {origin}")) == 200, origin
    navigation = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")
    assert await status_of(simulator.port, request("GET", "/api/v1/hooks", *navigation)) == 200
    local = (*CROSS_SITE[:2], "Referer: http://127.0.0.1:8000/")
    assert await status_of(simulator.port, request("GET", "/api/v1/hooks", *local)) == 200


async def test_absolute_targets(start_simulator: StartSimulator) -> None:
    """The host of an absolute target counts, and ``Host`` does not (RFC 9112, 3.2.2), also on a connection used before (S2)."""
    port = (await start_simulator()).port
    assert await status_of(port, request("GET", "http://evil.example/api/v1/hooks")) == 403
    assert await status_of(port, request("GET", "http://localhost/api/v1/hooks", host="evil.example")) == 200
    twice = request("GET", "/healthz") + request("GET", "http://evil.example/api/v1/hooks", "Connection: close")
    _, _, body = await ask(port, twice)
    assert b"ok" in body


async def test_without_the_token(start_simulator: StartSimulator) -> None:
    """With a token, every route and socket needs it, from plain clients and pages of this machine too (T11)."""
    simulator = await start_simulator(admin_token="open-sesame")
    for lines, query in (
        ((), ""), (("Origin: http://localhost",), ""), ((EVIL,), "?accessToken=open-sesam"), (("Authorization: Bearer x",), ""),
        (("Authorization: Basic open-sesame",), ""), ((), "?accessToken="), ((), "?customerScope=acme"),
    ):  # fmt: skip
        answers = await statuses(simulator, *lines, query=query)
        assert {call: status for call, status in answers.items() if status != 401} == {}, (lines, query)


async def test_with_the_token(start_simulator: StartSimulator) -> None:
    """With the token, in the query or as a bearer, anybody from anywhere has access."""
    simulator = await start_simulator(admin_token="open-sesame")
    for lines, query in (
        (("Authorization: Bearer open-sesame",), ""), (("authorization: bearer  open-sesame", EVIL), ""),
        ((EVIL,), "?accessToken=open-sesame"), ((), "?accesstoken=open%2Dsesame"),
    ):  # fmt: skip
        answers = await statuses(simulator, *lines, host="evil.example", query=query)
        assert {call: status for call, status in answers.items() if status in {401, 403}} == {}, (lines, query)


async def test_a_token_of_any_bytes(start_simulator: StartSimulator) -> None:
    """A token that is no UTF-8 is not the same as another one that is none."""
    simulator = await start_simulator(admin_token="caf\udce9")
    bearer = request("GET", "/api/v1/hooks", "Authorization: Bearer caf@").replace(b"@", b"\xe9")
    assert await status_of(simulator.port, bearer) == 200
    for wrong in (b"?", b"\xe8", b"\xc3\xa9", b"\xef\xbf\xbd"):
        assert await status_of(simulator.port, bearer.replace(b"\xe9", wrong)) == 401


async def test_the_scopes_own_listener(start_simulator: StartSimulator) -> None:
    """Without a token, a page of any site may listen to the scope that it names, and to no more."""
    simulator = await start_simulator()
    for query, expected in (
        ("?customerScope=acme", 101), ("?customerscope=acme", 101), ("?CUSTOMERSCOPE=acme&event=peer", 101), ("", 403),
        ("?customerScope=", 403), ("?scope=acme", 403), ("?since=0", 403), ("?event=session", 403),
    ):  # fmt: skip
        socket = request("GET", f"/live/webhook{query}", EVIL, *WEBSOCKET)
        assert await status_of(simulator.port, socket) == expected, query
    rebound = request("GET", "/live/webhook?customerScope=acme", *WEBSOCKET, host="evil.example")
    assert await status_of(simulator.port, rebound) == 403
    # That goes for the socket only: what is asked for with a scope elsewhere is asked for by an administrator.
    assert await status_of(simulator.port, request("GET", "/api/v1/hooks?customerScope=acme", EVIL)) == 403


async def test_what_is_open_to_pages(start_simulator: StartSimulator) -> None:
    """A publishing page of any site may ask where to go, and preflights are answered."""
    simulator = await start_simulator(admin_token="open-sesame")
    for path in ("/healthz", "/", "/publish", "/streammanager/api/4.0/event/live/s?action=broadcast&transcode=true"):
        assert await status_of(simulator.port, request("GET", path, EVIL, host="evil.example")) == 200, path
    socket = request("GET", "/streammanager?id=s&customerScope=acme&app=live", EVIL, *WEBSOCKET, host="evil.example")
    assert await status_of(simulator.port, socket) == 101
    preflight = request("OPTIONS", "/api/v1/hooks", EVIL, "Access-Control-Request-Method: GET")
    assert await status_of(simulator.port, preflight) == 204
