"""The stream manager's REST interface answers as the vendor's extension and test pages need it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from smproxy.settings.option_values import Address
from smproxy.simulator import Simulator

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published

VERSIONS = ["1.0", "2.0", "3.0", "3.1", "4.0"]


class Rest:
    """A client of one simulator's REST interface."""

    def __init__(self, http: aiohttp.ClientSession, simulator: Simulator) -> None:
        self._http = http
        self._base = f"{simulator.rest_url}/streammanager/api"

    async def call(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
        """Return the status, the JSON body if any, and the response."""
        async with self._http.request(method, self._base + path, **options) as response:
            body = await response.read()
            return response.status, await response.json() if body else None, response


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("scope", "shown"), [("live", "/live"), ("live/room1", "/live/room1")])
async def test_broadcast(
    start_simulator: StartSimulator, http: aiohttp.ClientSession, version: str, scope: str, shown: str
) -> None:
    """Every version names the origin for a broadcast, in JSON, with a leading slash before the scope."""
    rest = Rest(http, await start_simulator())
    status, body, response = await rest.call(f"/{version}/event/{scope}/mystream?action=broadcast&region=eu")
    assert status == 200
    assert response.content_type == "application/json"
    place = {"name": "mystream", "scope": shown, "app": scope, "serverAddress": "127.0.0.1", "region": "local"}
    assert body == place


async def test_cross_origin(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """A page of another origin may read answers and errors, and its preflights are answered."""
    rest = Rest(http, await start_simulator())
    for path in ("/4.0/event/live/s?action=broadcast", "/4.0/event/live/s?action=dance", "/nowhere"):
        _, _, response = await rest.call(path)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "DELETE"}
    status, _, response = await rest.call("/4.0/admin/proxy/clients", "OPTIONS", headers=headers)
    assert status == 204
    assert "DELETE" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/4.0/event/live/s?action=subscribe", 404),
        ("/4.0/event/live/s?action=dance", 400),
        ("/4.0/event/live/s", 400),
        ("/4.0/event/live?action=broadcast", 400),
        ("/4.0/event/live/s?action=broadcast&endpoints=x", 400),
        ("/4.0/event/live/s?action=broadcast&endpoints=%C2%B2", 400),
        ("/4.0/event/live/s/stats", 404),
        ("/5.0/event/live/s?action=broadcast", 404),
        ("/4.0/admin/proxy/clients/none", 404),
        ("/4.0/admin/proxy/clients?filter=odd", 400),
    ],
)
async def test_errors(start_simulator: StartSimulator, http: aiohttp.ClientSession, path: str, status: int) -> None:
    """An error is a 4xx with ``errorMessage`` and ``timestamp`` in JSON, never a 200."""
    rest = Rest(http, await start_simulator())
    got, body, response = await rest.call(path)
    assert got == status
    assert response.content_type == "application/json"
    assert set(body) == {"errorMessage", "timestamp"}
    assert body["errorMessage"]


async def test_no_origin(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """Without a registered origin a broadcast is answered 404."""
    rest = Rest(http, await start_simulator(local_origin=False, allow_host=("10.*",)))
    status, body, _ = await rest.call("/4.0/event/live/s?action=broadcast")
    assert (status, body["errorMessage"]) == (404, "No suitable origin found for live/s")


async def test_endpoints(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """Asked for several endpoints the answer is an array of as many as there are; for one, an object."""
    rest = Rest(http, await start_simulator(origin=(Address("203.0.113.7", 5080),)))
    _, body, _ = await rest.call("/4.0/event/live/s?action=broadcast&endpoints=3")
    assert [entry["serverAddress"] for entry in body] == ["203.0.113.7", "127.0.0.1"]
    _, body, _ = await rest.call("/4.0/event/live/s?action=broadcast&endpoints=1")
    assert isinstance(body, dict)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("region=nowhere", 200),
        ("region=local&strict=true", 200),
        ("region=nowhere&strict=TRUE", 404),
        ("region=undefined&strict=true", 200),
        ("region=nowhere&strict=undefined", 200),
        ("endpoints=2&strict=true", 404),
        ("endpoints=2&strict=false", 200),
        ("strict=maybe", 400),
        ("geozone=europe", 400),
        ("geozone=undefined&region=null", 200),
    ],
)
@pytest.mark.parametrize("action", ["broadcast", "subscribe"])
async def test_region_and_strict(
    start_simulator: StartSimulator, http: aiohttp.ClientSession, action: str, query: str, status: int
) -> None:
    """A region is a wish, with ``strict`` a condition, as is the number of endpoints; what a page writes for none is none."""
    simulator = await start_simulator()
    async with simulator.publisher("s", send_media=False):
        await eventually(lambda: len(simulator.manager.sessions.publishing()) == 1, 10)
        answer = await Rest(http, simulator).call(f"/4.0/event/live/s?action={action}&{query}")
    assert answer[0] == status, answer


async def test_live_stream(
    start_simulator: StartSimulator, http: aiohttp.ClientSession, publisher: MakePublisher
) -> None:
    """A live stream is listed, has numbers and a place to subscribe at; after its end it is gone."""
    simulator = await start_simulator()
    rest = Rest(http, simulator)
    assert (await rest.call("/4.0/event/list"))[:2] == (200, [])
    stream = publisher(simulator, params={"app": "live/room1"})
    await published(simulator, stream)
    listed = {"type": "origin", "name": "s", "scope": "live/room1", "serverAddress": "127.0.0.1", "region": "local"}
    assert (await rest.call("/4.0/event/list"))[1] == [listed]
    (numbers,) = (await rest.call("/4.0/event/list/stats"))[1]
    assert numbers["currentSubscribers"] == 0
    status, one, _ = await rest.call("/4.0/event/live/room1/s/stats")
    assert status == 200
    assert one["startTime"] == numbers["startTime"] > 1.6e12
    status, place, _ = await rest.call("/4.0/event/live/room1/s?action=subscribe")
    assert (status, place["scope"]) == (200, "/live/room1")
    await stream.unpublish()
    assert (await rest.call("/4.0/event/list"))[1] == []
    assert (await rest.call("/4.0/event/live/room1/s?action=subscribe"))[0] == 404


async def test_proxy_clients(
    start_simulator: StartSimulator, http: aiohttp.ClientSession, publisher: MakePublisher
) -> None:
    """The proxied connections are listed, counted, filtered, shown one by one, and ended all at once."""
    simulator = await start_simulator()
    rest = Rest(http, simulator)
    clients = "/3.1/admin/proxy/clients"
    assert (await rest.call(clients))[1] == []
    streams = [publisher(simulator, name, data_channel=False) for name in ("a", "b")]
    for stream in streams:
        await published(simulator, stream)
    _, listed, _ = await rest.call(clients)
    assert len(listed) == 2
    assert set(listed[0]) == {
        "id",
        "targetHost",
        "targetPort",
        "targetApp",
        "clientConnected",
        "proxyConnected",
        "clientUserAgent",
        "clientAddress",
        "secureClient",
        "creationTime",
    }
    assert (await rest.call(f"{clients}/{listed[0]['id']}"))[1] == listed[0]
    assert (await rest.call(f"{clients}?count=true"))[1]["count"] == 2
    assert (await rest.call(f"{clients}?filter=healthy&count=true"))[1]["count"] == 2
    assert (await rest.call(f"{clients}?filter=unhealthy&count=true"))[1]["count"] == 0
    assert (await rest.call(clients, "DELETE"))[:2] == (200, None)
    for stream in streams:
        await stream.closed.wait()
    assert (await rest.call("/4.0/event/list"))[1] == []


async def test_access_token(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """With a token set, every admin call without it, or with another, is answered 401."""
    rest = Rest(http, await start_simulator(admin_token="xyz"))
    for method in ("GET", "DELETE"):
        for path in ("/4.0/admin/proxy/clients", "/4.0/admin/proxy/clients/none"):
            for query in ("", "?accessToken=", "?accessToken=xy", "?accessToken=%ff"):
                assert (await rest.call(path + query, method))[0] == 401
    assert (await rest.call("/4.0/admin/proxy/clients?accessToken=xyz"))[0] == 200


async def test_pages_of_other_sites(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """Without a token, admin calls answer this machine's pages and plain clients, and turn away pages of other sites."""
    rest = Rest(http, await start_simulator())
    clients = "/4.0/admin/proxy/clients"
    for origin, status in [
        ("http://localhost:8000", 200),
        ("http://127.0.0.1:8000", 200),
        ("https://evil.example", 403),
        ("https://localhost.evil.example", 403),
        ("null", 403),
    ]:
        assert (await rest.call(clients, headers={"Origin": origin}))[0] == status, origin
        assert (await rest.call(clients, "DELETE", headers={"Origin": origin}))[0] == status, origin
    assert (await rest.call("/4.0/event/list", headers={"Origin": "https://page.example"}))[0] == 403
    place = "/4.0/event/live/s?action=broadcast"
    assert (await rest.call(place, headers={"Origin": "https://page.example"}))[0] == 200
    rest = Rest(http, await start_simulator(admin_token="xyz"))
    assert (await rest.call(f"{clients}?accessToken=xyz", headers={"Origin": "https://page.example"}))[0] == 200


async def test_page_opened_by_address(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """A page opened at an address of this machine may make admin calls; one whose name points here may not (DNS rebinding)."""
    rest = Rest(http, await start_simulator())
    for host, origin, status in [
        ("192.168.1.20:5080", "http://192.168.1.20:5080", 200),
        ("192.168.1.20", "http://192.168.1.20", 200),
        ("[fd00::20]:5080", "http://[fd00::20]:5080", 200),
        ("192.168.1.20:5080", "http://192.168.1.20:8000", 403),
        ("192.168.1.20:5080", "https://192.168.1.20:5080", 403),
        ("192.168.1.20:5080", "http://192.168.1.21:5080", 403),
        ("rebound.example:5080", "http://rebound.example:5080", 403),
        ("192.168.1.20.rebound.example", "http://192.168.1.20.rebound.example", 403),
        ("192.168.1.20:x", "http://192.168.1.20:x", 403),
        ("", "http://192.168.1.20", 403),
    ]:
        answer = await rest.call("/4.0/admin/proxy/clients", headers={"Origin": origin, "Host": host})
        assert answer[0] == status, (host, origin)


async def test_plain_request_to_the_proxy(start_simulator: StartSimulator, http: aiohttp.ClientSession) -> None:
    """A plain request to the proxy's path is told what belongs there."""
    simulator = await start_simulator()
    async with http.get(f"{simulator.rest_url}/streammanager/") as response:
        assert response.status == 426
        assert "ws://" in (await response.json())["errorMessage"]


@pytest.mark.parametrize("path", ["/streammanager/api/4.0/event/list", "/live/whip/endpoint/cam", "/nothing"])
async def test_pages_with_credentials(start_simulator: StartSimulator, path: str) -> None:
    """A page's own origin is named in every answer, refusals too, and what it may send is what it asks for."""
    simulator = await start_simulator()
    origin = {"Origin": "https://page.example"}
    asked = origin | {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match,x-mine"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as client:
        async with client.options(path, headers=asked) as response:
            assert response.status == 204
            assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
            assert response.headers["Access-Control-Allow-Headers"] == "if-match,x-mine"
        async with client.get(path, headers=origin) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "https://page.example"
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in response.headers["Vary"]
            assert {"Location", "ETag", "Link"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
