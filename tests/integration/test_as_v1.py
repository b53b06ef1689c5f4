"""The REST interface of Stream Manager 2.0 answers as its documents and the vendor's pages need it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from smproxy.settings.option_values import Address
from smproxy.simulator import Simulator

from tests.helpers import eventually, scaled
from tests.integration.conftest import LoneOrigin, MakePublisher, StartSimulator, published

PROVISION = {
    "provisionGuid": "live/cam",
    "messageType": "ProvisionCommand",
    "credentials": {"username": "u", "password": "p"},
    "streams": [
        {"streamGuid": f"live/cam_{level}", "abrLevel": level, "videoParams": {"videoWidth": 320}}
        for level in (1, 2, 3)
    ],
}
PROVISIONS = "/streams/provision/default"
STREAMS = "/streams/stream/default"


def basic(user: str, password: str) -> dict[str, str]:
    """Make the header of a log-in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Manager2:
    """A client of the interface, with or without a token."""

    def __init__(self, http: aiohttp.ClientSession, simulator: Simulator) -> None:
        self.http = http
        self.simulator = simulator
        self.headers: dict[str, str] = {}

    async def call(self, method: str, path: str, *, base: str = "/as/v1", **options: Any) -> tuple[int, Any]:
        """Return the status and the JSON of an answer, ``None`` for an empty one."""
        options["headers"] = self.headers | options.get("headers", {})
        async with self.http.request(method, self.simulator.rest_url + base + path, **options) as response:
            body = await response.read()
            return response.status, await response.json() if body else None

    async def get(self, path: str, status: int = 200) -> Any:
        """Return the JSON of a GET with this status."""
        got, body = await self.call("GET", path)
        assert got == status, body
        if status >= 400:
            assert body["error"] == body["errorMessage"]
        return body

    async def log_in(self, user: str = "admin", password: str = "xyz123") -> None:
        """Get a token and use it from now on."""
        status, body = await self.call("PUT", "/auth/login", headers=basic(user, password))
        assert status == 200, body
        self.headers = {"Authorization": f"Bearer {body['token']}"}


def web_application(handler: Any) -> web.Application:
    """Make a web server that answers everything with one handler."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    return application


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def simulator(start_simulator: StartSimulator) -> Simulator:
    return await start_simulator()


@pytest.fixture
async def manager(http: aiohttp.ClientSession, simulator: Simulator) -> Manager2:
    manager = Manager2(http, simulator)
    await manager.log_in()
    return manager


async def test_log_in(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    """Name and password give a JWT of 400 minutes, on either path; others get 401 with both error keys."""
    manager = Manager2(http, simulator)
    for user, password in (("admin", "123abc"), ("root", "xyz123"), ("", "")):
        status, body = await manager.call("PUT", "/auth/login", headers=basic(user, password))
        assert (status, body["error"]) == (401, body["errorMessage"])
    for base in ("/as/v1", ""):
        status, body = await manager.call("PUT", "/auth/login", base=base, headers=basic("admin", "xyz123"))
        assert status == 200
        claims = jwt.decode(body["token"], options={"verify_signature": False})
        assert (claims["sub"], claims["exp"] - claims["iat"]) == ("admin", 24_000)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", "Bearer a.b.c", "Bearer " + jwt.encode({"sub": "admin", "exp": 9e9}, "k" * 32)]
)
async def test_what_needs_a_token(http: aiohttp.ClientSession, simulator: Simulator, authorization: str) -> None:
    """Without a token of this server, administration and provisions answer 401."""
    manager = Manager2(http, simulator)
    manager.headers = {"Authorization": authorization} if authorization else {}
    for path in (PROVISIONS, f"{PROVISIONS}/live/cam", "/admin/nodegroup", "/admin/rtcproxy", "/admin/terraform"):
        await manager.get(path, 401)
    assert (await manager.call("POST", PROVISIONS, json=[PROVISION]))[0] == 401


async def test_the_proxy_user_is_no_administrator(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    """The token of the user ``proxy`` is for forwarding with digests alone."""
    manager = Manager2(http, simulator)
    await manager.log_in("proxy", "123abc")
    await manager.get("/admin/nodegroup", 401)
    await manager.get("/proxy/forward/?target=http%3A%2F%2F127.0.0.1%2F&digestAction=x", 501)


async def test_with_an_admin_token(http: aiohttp.ClientSession, start_simulator: StartSimulator) -> None:
    """Where an admin token is set it is the password, and the vendor's own passwords are none."""
    manager = Manager2(http, await start_simulator(admin_token="open-sesame"))
    assert (await manager.call("PUT", "/auth/login", headers=basic("admin", "xyz123")))[0] == 401
    await manager.get(STREAMS, 401)
    await manager.log_in("admin", "open-sesame")
    assert await manager.get("/admin/nodegroup") == ["default"]
    assert await manager.get(STREAMS) == []


async def test_a_page_of_another_site_cannot_log_in(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    """The passwords are known to all: without an admin token only pages of this machine may use them."""
    foreign = basic("admin", "xyz123") | {"Origin": "https://evil.example"}
    status, body = await Manager2(http, simulator).call("PUT", "/auth/login", headers=foreign)
    assert (status, "token" in body) == (403, False)


async def test_streams(manager: Manager2, publisher: MakePublisher) -> None:
    """Live streams are listed and found as arrays, with their subscribers when ``stats`` asks for them."""
    simulator = manager.simulator
    assert await manager.get(STREAMS) == []
    await manager.get(f"{STREAMS}/stream/live/cam", 404)
    await manager.get(f"{STREAMS}/subscribe/live/cam", 404)
    await manager.get("/streams/stream/other", 404)
    await published(simulator, publisher(simulator, "cam"))
    (listed,) = await manager.get(f"{STREAMS}?stats=false&aggregate=true")
    assert {key: listed[key] for key in ("streamGuid", "serverAddress", "nodeRole", "nodeState", "subGroup")} == {
        "streamGuid": "live/cam", "serverAddress": "127.0.0.1", "nodeRole": "origin", "nodeState": "INSERVICE",
        "subGroup": "local",
    }  # fmt: skip
    assert listed["durationMs"] >= 0
    assert "subscribers" not in listed
    async with simulator.subscriber("cam"):
        await eventually(lambda: bool(simulator.manager.sessions.watching("live", "cam")), 10)
        (shown,) = await manager.get(f"{STREAMS}/stream/live/cam?aggregate=true&stats=true")
    assert (shown["streamGuid"], shown["subscribers"]) == ("live/cam", 1)
    (place,) = await manager.get(f"{STREAMS}/subscribe/live/cam")
    assert (place["streamGuid"], place["serverAddress"]) == ("live/cam", "127.0.0.1")
    await manager.get(f"{STREAMS}?stats=perhaps", 400)


async def test_publish(manager: Manager2) -> None:
    """The place to publish at is an array; what cannot be met is 400 or 404."""
    (place,) = await manager.get(f"{STREAMS}/publish/live/room1/cam?subgroup=nowhere")
    assert (place["streamGuid"], place["serverAddress"]) == ("live/room1/cam", "127.0.0.1")
    for query, status in (
        ("endpoints=0", 400), ("endpoints=x", 400), ("endpoints=2&transcode=true", 400), ("transcode=true", 404),
        ("region=nowhere&strict=true", 404), ("region=local&strict=true", 200), ("endpoints=5", 200),
    ):  # fmt: skip
        await manager.get(f"{STREAMS}/publish/live/cam?{query}", status)
    await manager.get(f"{STREAMS}/publish/cam", 400)
    await manager.get(f"{STREAMS}/publish/live/cam?region=&strict=true", 200)
    await manager.get("/streams/stream/other/publish/live/cam", 404)


async def test_provisions(manager: Manager2, publisher: MakePublisher) -> None:
    """Provisions are kept, shown, replaced, deleted; both keys are taken; a viewer gets the nearest live level."""
    other = {key: value for key, value in PROVISION.items() if key != "provisionGuid"} | {"streamGuid": "live/two"}
    assert await manager.call("POST", PROVISIONS, json=[PROVISION, other]) == (201, None)
    assert (await manager.call("POST", PROVISIONS, json=[PROVISION]))[0] == 409
    assert await manager.get(PROVISIONS) == [PROVISION, other]
    assert await manager.get(f"{PROVISIONS}/live/cam") == PROVISION
    assert await manager.get(f"{PROVISIONS}/live/cam?status=true") == []
    roles = [each["nodeRole"] for each in await manager.get(f"{STREAMS}/publish/live/cam?transcode=true")]
    assert roles == ["transcoder", "origin"]
    await manager.get(f"{STREAMS}/subscribe/live/cam", 404)
    await published(manager.simulator, publisher(manager.simulator, "cam_2"))
    for asked in ("cam", "cam_3"):
        assert (await manager.get(f"{STREAMS}/subscribe/live/{asked}"))[0]["streamGuid"] == "live/cam_2"
    assert [each["streamGuid"] for each in await manager.get(f"{PROVISIONS}/live/cam?status=true")] == ["live/cam_2"]
    status, places = await manager.call("POST", f"{PROVISIONS}/distribute/live/cam?endpoints=2")
    assert (status, [each["streamGuid"] for each in places]) == (200, ["live/cam_1", "live/cam_2", "live/cam_3"])
    changed = PROVISION | {"streams": []}
    assert await manager.call("PUT", PROVISIONS, json=[changed]) == (200, None)
    assert await manager.get(f"{PROVISIONS}/live/cam") == changed
    assert await manager.call("DELETE", f"{PROVISIONS}/live/cam") == (200, None)
    await manager.get(f"{PROVISIONS}/live/cam", 404)
    assert (await manager.call("PUT", PROVISIONS, json=[changed]))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[1]", b"[{}]", b'[{"provisionGuid": "cam"}]', b'[{"provisionGuid": "live/../cam"}]',
        b'[{"provisionGuid": "live/cam", "streams": [{"streamGuid": "vod/cam_1"}]}]',
        b'[{"provisionGuid": "live/cam", "streams": [{"streamGuid": "live/cam_1", "abrLevel": 0}]}]',
    ],
)  # fmt: skip
async def test_broken_provisions(manager: Manager2, body: bytes) -> None:
    """A body that holds no provisions is a 400, and nothing of it is kept."""
    assert (await manager.call("POST", PROVISIONS, data=body))[0] == 400
    assert await manager.get(PROVISIONS) == []


async def test_nodes(manager: Manager2, publisher: MakePublisher) -> None:
    """The only node group and its nodes are told, narrowed as asked; what makes nodes is a 501 with a sentence."""
    await published(manager.simulator, publisher(manager.simulator, "cam"))
    assert await manager.get("/admin/nodegroup") == ["default"]
    (node,) = await manager.get("/admin/nodegroup/status/default")
    assert (node["nodeEvent"]["publicIp"], node["nodeEvent"]["publisherCount"]) == ("127.0.0.1", 1)
    assert node["scalingEvent"]["state"] == "INSERVICE"
    for query, count in (("role=origin", 1), ("role=edge", 0), ("state=FAULT", 0), ("subGroup=local", 1)):
        assert len(await manager.get(f"/admin/nodegroup/status/default?{query}")) == count, query
    (node,) = await manager.get("/admin/nodegroup/status/default?includeScaling=false")
    assert list(node) == ["nodeEvent"]
    await manager.get("/admin/nodegroup/status/other", 404)
    for path in ("/admin/nodegroup/default", "/admin/terraform/x", "/streams/mixer/default"):
        assert "not simulated" in (await manager.get(path, 501))["error"]


@pytest.mark.parametrize("by", ["session", "stream"])
async def test_clients_of_the_proxy(manager: Manager2, publisher: MakePublisher, by: str) -> None:
    """Clients are listed by key, and ended by session or by stream; the others stay."""
    for name in ("cam", "other"):
        await published(manager.simulator, publisher(manager.simulator, name))
    clients = await manager.get("/admin/rtcproxy")
    assert all(key.startswith("NodeKey|") for key in clients)
    (cam,) = (each for each in clients.values() if each["streamGuid"] == "live/cam")
    assert (cam["status"], len(clients)) == ("CONNECTED", 2)
    target = cam["sessionId"] if by == "session" else "live/cam"
    assert await manager.call("DELETE", f"/admin/rtcproxy/{target}") == (200, None)
    await eventually(
        lambda: [each.life.peer for each in manager.simulator.manager.sessions.publishing()] == ["other"], 10
    )
    assert (await manager.call("DELETE", "/admin/rtcproxy/live/nobody"))[0] == 404


async def test_forward(http: aiohttp.ClientSession, start_simulator: StartSimulator, lone_origin: LoneOrigin) -> None:
    """A registered origin answers through the manager; any other address is refused, and nothing is no URL."""
    simulator = await start_simulator(
        local_origin=False, origin=(Address(lone_origin.address.host, lone_origin.address.port),)
    )
    manager = Manager2(http, simulator)

    async def ask(target: str, method: str = "GET") -> tuple[int, str]:
        url = f"{simulator.rest_url}/as/v1/proxy/forward/?target={quote(target, safe='')}"
        async with http.request(method, url) as response:
            return response.status, await response.text()

    assert (await ask(f"http://{lone_origin.address}/live/whip/endpoint/cam"))[0] == 204  # a GET of an endpoint
    for target, status in (
        ("http://203.0.113.7/x", 403), ("http://127.0.0.1:1/x", 403), ("file:///etc/passwd", 400), ("", 400), ("http://[", 400),
        (f"http://user@{lone_origin.address}@203.0.113.7/", 403),
    ):  # fmt: skip
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert (await ask(target, method))[0] == status, (target, method)
    await lone_origin.origin.stop()
    assert (await manager.get(f"/proxy/forward/?target=http%3A%2F%2F{lone_origin.address}%2F", 502))["error"]


async def test_forward_says_who_asks(http: aiohttp.ClientSession, start_simulator: StartSimulator) -> None:
    """An origin that is asked through the manager gets the client's address, and nothing that the client says of it."""
    seen: list[tuple[str, str]] = []

    async def origin(request: web.Request) -> web.Response:
        seen.extend((name.lower(), value) for name, value in request.headers.items())
        return web.Response(text="here")

    async with TestServer(web_application(origin)) as server:
        simulator = await start_simulator(local_origin=False, origin=(Address("127.0.0.1", server.port),))
        url = f"{simulator.rest_url}/as/v1/proxy/forward/?target={quote(f'http://127.0.0.1:{server.port}/live/x', safe='')}"
        made_up = {"x-forwarded-for": "203.0.113.9", "X-Forwarded-Host": "evil.example", "Forwarded": "for=203.0.113.9"}
        async with http.get(url, headers={**made_up, "X-Other": "kept"}) as response:
            assert (response.status, await response.text()) == (200, "here")
    forwarded = [(name, value) for name, value in seen if "forwarded" in name]
    assert forwarded == [("x-forwarded-for", "127.0.0.1")]
    assert ("x-other", "kept") in seen


async def test_region_of_a_client_that_names_no_host(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """The proxies take ``region`` as a wish and with ``strict`` as a condition, over WebSocket, WHIP and WHEP."""
    for query, good in (
        ("nodeGroup=default&region=nowhere", True),
        ("nodeGroup=default&region=local&strict=true", True),
        ("nodeGroup=default&subgroup=nowhere&strict=true", False),
        ("nodeGroup=default&region=nowhere&strict=true", False),
        ("nodeGroup=default&region=nowhere&strict=true&host=127.0.0.1", True),
    ):
        url = f"{simulator.rest_url}/as/v1/proxy"
        for path in (f"publish/live/cam?id=cam&{query}", f"subscribe/live/cam?id=subscriber-1&{query}"):
            async with http.ws_connect(f"{url}/ws/{path}") as socket:
                first = await socket.receive_str(timeout=scaled(10))
                assert ("Success" if good else "Rejected") in first, (path, first)
        for protocol in ("whip", "whep"):
            endpoint = f"{url}/{protocol}/live/cam?signal=true&{query}"
            async with http.options(endpoint) as response:
                assert response.status == 200
                assert response.headers.get("Session-Host") == ("127.0.0.1" if good else None)
            async with http.post(endpoint, data=b"no offer", headers={"Content-Type": "application/sdp"}) as response:
                assert (response.status == 404) == (not good), await response.text()
                assert good or "region has no origin (there are local)" in await response.text()
