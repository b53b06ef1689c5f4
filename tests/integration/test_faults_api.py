"""The faults of the control API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import ANY

import aiohttp
import pytest
from smproxy.faults.catalog import KINDS
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published


@asynccontextmanager
async def api(simulator: Simulator, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Call the API of a simulator."""
    async with aiohttp.ClientSession(f"{simulator.rest_url}/api/v1/", headers=headers) as session:
        yield session


async def test_life_of_a_fault(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A fault is switched on, listed, acts, is in the log and in the session's view, and is removed."""
    simulator = await start_simulator()
    asked = {
        "fault": "publish-denied",
        "parameters": {"message": "no", "code": "X.Y"},
        "match": {"id": "s", "customerScope": "acme", "role": "publisher", "app": "live"},
        "count": 1,
        "seed": 3,
        "ttl": 60,
    }
    async with api(simulator) as http:
        async with http.post("faults", json=asked) as response:
            assert response.status == 201
            made = await response.json()
        assert made["left"] == pytest.approx(60, abs=1)
        expected = {**asked, "id": made["id"], "probability": 1.0, "active": True, "used": 0, "injected": 0}
        assert made == {**expected, "ttl": 60.0, "left": made["left"]}
        async with http.get("faults") as response:
            assert (await response.json())["faults"] == [made | {"left": ANY}]
        stream = publisher(simulator)
        with pytest.raises(PublishRejected, match=r"X\.Y: no"):
            await stream.publish()
        async with http.get("faults/log") as response:
            (entry,) = (await response.json())["log"]
        assert entry["at"] > 1_600_000_000_000
        assert {name: entry[name] for name in ("id", "fault", "connectionId", "customerScope")} == {
            "id": made["id"],
            "fault": "publish-denied",
            "connectionId": "s",
            "customerScope": "acme",
        }
        async with http.get("faults") as response:
            (listed,) = (await response.json())["faults"]
        assert (listed["active"], listed["used"], listed["injected"]) == (False, 1, 1)
        async with http.get(f"sessions/{entry['session']}") as response:
            assert (await response.json())["faults"] == ["publish-denied"]
        async with http.delete(f"faults/{made['id']}") as response:
            assert await response.json() == {"removed": 1}
        async with http.delete(f"faults/{made['id']}") as response:
            assert response.status == 404
        async with http.post("faults", json={"fault": "silence"}) as response:
            assert response.status == 201
        async with http.delete("faults") as response:
            assert await response.json() == {"removed": 1}
    await published(simulator, publisher(simulator))


BAD = [
    ({"fault": "publish-denid"}, "did you mean publish-denied? those are auth-denied, "),
    ({"fault": "latency", "parameters": {"seconds": 1}}, "those are ms, jitter, sender"),
    ({"fault": "latency", "parameters": {"ms": "fast"}}, "a whole number from 0 to 60000"),
    ({"fault": "latency", "parameters": {"ms": True}}, "a whole number from 0 to 60000"),
    ({"fault": "silence", "match": {"scope": "x"}}, "scope"),
    ({"fault": "silence", "match": {"role": "viewer"}}, "neither publisher nor subscriber"),
    ({"fault": "silence", "probability": 1.5}, "from 0 to 1"),
    ({"fault": "silence", "count": 0}, "whole number from 1"),
    ({"fault": "silence", "ttl": -1}, "above 0"),
    ({"fault": "silence", "match": {"id": "x" * 1_001}}, "id has 1001 characters: at most 1000"),
    ({"parameters": {}}, "fault"),
]


async def test_bad_requests(start_simulator: StartSimulator) -> None:
    """What cannot be switched on is a 400 that names what there is."""
    simulator = await start_simulator()
    async with api(simulator) as http:
        for body, problem in BAD:
            async with http.post("faults", json=body) as response:
                assert response.status == 400, body
                assert problem in (await response.json())["errorMessage"], body
        async with http.post("faults", data=b"{") as response:
            assert response.status == 400
        async with http.get("faults") as response:
            assert await response.json() == {"faults": []}


async def test_kinds(start_simulator: StartSimulator) -> None:
    """All kinds are listed, with their parameters and what they do."""
    simulator = await start_simulator()
    async with api(simulator) as http, http.get("faults/kinds") as response:
        kinds = (await response.json())["kinds"]
    assert [kind["fault"] for kind in kinds] == list(KINDS)
    (close,) = (kind for kind in kinds if kind["fault"] == "close")
    assert close["layer"] == "signaling"
    assert close["parameters"][1] == {
        "name": "code",
        "default": 1011,
        "allowed": "1000 to 1003, 1006 to 1014, 3000 to 4999",
        "choices": [],
        "help": "close code; 1006 cuts the connection without a Close frame",
    }


async def test_token(start_simulator: StartSimulator) -> None:
    """With an admin token the faults need it."""
    simulator = await start_simulator(admin_token="secret")
    async with api(simulator) as http:
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("DELETE", ""),
            ("GET", "/kinds"),
            ("GET", "/log"),
            ("DELETE", "/f1"),
        ):
            async with http.request(method, f"faults{path}") as response:
                assert response.status == 401, (method, path)
    async with api(simulator, Authorization="Bearer secret") as http, http.get("faults") as response:
        assert response.status == 200


async def test_time_to_live(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """A fault ends by itself when its time is over."""
    simulator = await start_simulator()
    fault = simulator.faults.add("connect-rejected", ttl=1.0)
    with pytest.raises(PublishRejected):
        await publisher(simulator).publish()
    await eventually(lambda: not simulator.faults.active(), 5)
    assert not fault.active
    await publisher(simulator).publish()
