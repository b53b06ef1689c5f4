"""Provisions and the small lists of the vendor's interface answer as its sample pages need it."""

from __future__ import annotations

from typing import Any

import pytest
from smproxy.simulator import Simulator
from smproxy.testing import SubscribeRejected

from tests.helpers import scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.test_rest import Rest, http

__all__ = ["http"]

META = {
    "meta": {
        "authentication": {"username": "u", "password": "p"},
        "stream": [
            {
                "name": f"cam_{level}",
                "level": level,
                "properties": {"videoWidth": 320, "videoHeight": 180, "videoBR": 1},
            }
            for level in (1, 2, 3)
        ],
        "georules": {"regions": ["US"], "restricted": False},
        "qos": 3,
    }
}
PATH = "/3.0/admin/event/meta/live/cam"


@pytest.fixture
async def simulator(start_simulator: StartSimulator) -> Simulator:
    return await start_simulator()


@pytest.mark.parametrize("version", ["3.0", "3.1", "4.0"])
async def test_a_provision_is_kept(simulator: Simulator, http: Any, version: str) -> None:
    """A provision is made once, shown with what was sent, replaced and deleted."""
    rest, path = Rest(http, simulator), f"/{version}/admin/event/meta/live/room1/cam"
    status, made, _ = await rest.call(path, "POST", json=META)
    assert (status, made["name"], made["scope"], made["data"]) == (200, "cam", "live/room1", META)
    status, again, _ = await rest.call(path, "POST", json=META)
    assert status == 400
    assert "Provision already exists" in again["errorMessage"]
    _, shown, _ = await rest.call(path + "?action=subscribe")
    assert [stream["name"] for stream in shown["data"]["meta"]["stream"]] == ["cam_1", "cam_2", "cam_3"]
    other = {"meta": {"stream": [{"name": "cam_9", "level": 1}]}}
    assert (await rest.call(path, "PUT", json=other))[0] == 200
    _, listed, _ = await rest.call(f"/{version}/admin/event/meta")
    assert [each["data"] for each in listed] == [other]
    assert (await rest.call(path, "DELETE"))[0] == 200
    for method in ("GET", "PUT", "DELETE"):
        assert (await rest.call(path, method, json=META if method == "PUT" else None))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"meta": {}}',
        '{"meta": {"stream": [{"level": 1}]}}',
        '{"meta":{"stream":[{"name":"x","level":"y"}]}}',
    ],
)
async def test_a_broken_provision(simulator: Simulator, http: Any, body: str) -> None:
    """A body that is no provision is refused, and nothing is kept of it."""
    rest = Rest(http, simulator)
    assert (await rest.call(PATH, "POST", data=body))[0] == 400
    assert (await rest.call("/3.0/admin/event/meta"))[1] == []


async def test_the_token_guards_provisions(start_simulator: StartSimulator, http: Any) -> None:
    """With an admin token a provision needs it, as ``accessToken``."""
    rest = Rest(http, await start_simulator(admin_token="open-sesame"))
    assert (await rest.call(PATH, "POST", json=META))[0] == 401
    assert (await rest.call(PATH + "?accessToken=open-sesame", "POST", json=META))[0] == 200


async def test_subscribe_of_a_provision(simulator: Simulator, http: Any, publisher: MakePublisher) -> None:
    """Who asks for a provision, or a level that is not live, is sent to the nearest level that is."""
    rest = Rest(http, simulator)
    await rest.call(PATH, "POST", json=META)
    status, place, _ = await rest.call("/4.0/event/live/cam?action=broadcast&transcode=true")
    assert (status, place["name"]) == (200, "cam")
    assert (await rest.call("/4.0/event/live/cam?action=subscribe"))[0] == 404
    await published(simulator, publisher(simulator, "cam_2"))
    for asked in ("cam", "cam_1", "cam_2", "cam_3"):
        status, place, _ = await rest.call(f"/4.0/event/live/{asked}?action=subscribe")
        assert (status, place["name"]) == (200, "cam_2"), asked
    await published(simulator, publisher(simulator, "cam_1"))
    assert (await rest.call("/4.0/event/live/cam?action=subscribe"))[1]["name"] == "cam_1"
    assert (await rest.call("/4.0/event/live/cam_3?action=subscribe"))[1]["name"] == "cam_2"
    assert (await rest.call("/4.0/event/vod/cam?action=subscribe"))[0] == 404


async def test_a_level_over_whep(simulator: Simulator, http: Any, publisher: MakePublisher) -> None:
    """A viewer over WHEP of a provision, or of a level that is not live, gets the nearest level without asking REST."""
    rest = Rest(http, simulator)
    await rest.call(PATH, "POST", json=META)
    await published(simulator, publisher(simulator, "cam_2"))
    for asked in ("cam", "cam_1", "cam_2", "cam_3"):
        async with simulator.subscriber(asked, transport="whep") as viewer:
            await viewer.wait_for_frames()
            assert [each.watched for each in simulator.manager.sessions.subscribing()] == ["cam_2"]
    with pytest.raises(SubscribeRejected, match="409"):
        await simulator.subscriber("other", transport="whep").subscribe()


@pytest.mark.parametrize("endpoints", ["", "undefined", "null", "1"])
async def test_an_endpoints_field_left_empty(simulator: Simulator, http: Any, endpoints: str) -> None:
    """A page that leaves ``endpoints`` empty gets the object that it expects."""
    _, body, _ = await Rest(http, simulator).call(f"/4.0/event/live/s?action=broadcast&endpoints={endpoints}")
    assert body["serverAddress"] == "127.0.0.1"


async def test_media(simulator: Simulator, http: Any) -> None:
    """The origin with a stream's recordings is named, with name and scope."""
    status, body, _ = await Rest(http, simulator).call("/3.0/media/live/cam")
    assert (status, body["serverAddress"], body["name"], body["scope"]) == (200, "127.0.0.1", "cam", "/live")


async def test_lists_of_a_standalone_server(simulator: Simulator, http: Any, publisher: MakePublisher) -> None:
    """``/live/streams.jsp`` lists the streams of a scope, ``/cluster`` names this server as its client does."""
    await published(simulator, publisher(simulator, "cam"))
    for path, names in (("/live/streams.jsp", [{"name": "cam"}]), ("/live/room1/streams.jsp", [])):
        async with http.get(simulator.rest_url + path, timeout=scaled(10)) as response:
            assert (response.status, await response.json()) == (200, names)
    async with http.get(f"http://localhost:{simulator.port}/cluster") as response:
        assert (response.content_type, await response.text()) == ("text/plain", f"localhost:{simulator.port}")
