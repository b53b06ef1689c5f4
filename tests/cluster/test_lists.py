"""Lists of all nodes, whichever manager is asked."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from smproxy.simulator import Simulator

from tests.cluster.conftest import StartNode
from tests.helpers import eventually, eventually_reads
from tests.integration.test_shared_objects import joined

ADMIN = {"Authorization": f"Basic {base64.b64encode(b'admin:xyz123').decode()}"}
JOIN = {
    "messageType": "JoinConferenceRequest", "joinToken": "t1", "displayName": "Ann",
    "streamGuid": "live/room/ann", "fingerprint": "f1",
}  # fmt: skip


async def read(node: Simulator, path: str, token: str | None = None) -> Any:
    """Ask one node; of the login, which knows the token of this node only."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(f"{node.rest_url}{path}", headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def log_in(node: Simulator) -> str:
    """Return a token of one node."""
    async with aiohttp.ClientSession(headers=ADMIN) as http, http.put(f"{node.rest_url}/as/v1/auth/login") as response:
        return str((await response.json())["token"])


async def test_every_list_is_of_all_nodes(start_node: StartNode) -> None:
    """Nodes, origins and streams of both interfaces are the same at each manager, with the clients of all counted once."""
    one, two = await start_node("n1"), await start_node("n2")
    managers = (one, two)
    await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in managers), 10)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(one.publisher("a", host="n1"))
        await stack.enter_async_context(two.publisher("b", host="n1"))
        await stack.enter_async_context(two.publisher("c", host="n2"))
        for manager in managers:
            token = await log_in(manager)

            async def whole(path: str, key: str, count: int, manager: Simulator = manager) -> list[dict[str, Any]]:
                """Read a list when every node has answered and all clients are counted."""
                found = await eventually_reads(
                    lambda: read(manager, path), lambda found: found["partial"] == [] and len(found[key]) == count, 20
                )
                return list(found[key])

            for path, key, name in (("nodes", "nodes", "id"), ("origins", "origins", "address")):
                rows = await whole(f"/api/v1/{path}", key, 2)
                assert {row[name]: row["publishers"] for row in rows} == {"n1": 2, "n2": 1}
            assert {row["name"] for row in await whole("/api/v1/streams", "streams", 3)} == {"a", "b", "c"}
            assert await whole("/api/v1/recordings", "recordings", 0) == []
            streams = await eventually_reads(
                lambda manager=manager: read(manager, "/as/v1/streams/stream/default"),
                lambda found: len(found) == 3,
                20,
            )
            assert {row["streamGuid"]: row["serverAddress"] for row in streams} == {
                "live/a": "n1",
                "live/b": "n1",
                "live/c": "n2",
            }
            status = await eventually_reads(
                lambda manager=manager, token=token: read(manager, "/as/v1/admin/nodegroup/status/default", token),
                lambda found: sum(row["nodeEvent"]["publisherCount"] for row in found) == 3,
                20,
            )
            assert {row["nodeEvent"]["nodeId"]: row["nodeEvent"]["publisherCount"] for row in status} == {
                "n1": 2,
                "n2": 1,
            }
            clients = await eventually_reads(
                lambda manager=manager, token=token: read(manager, "/as/v1/admin/rtcproxy", token),
                lambda found: len(found) == 3,
                20,
            )
            assert {client["streamGuid"] for client in clients.values()} == {"live/a", "live/b", "live/c"}


async def send(node: Simulator, method: str, path: str, **options: Any) -> tuple[int, Any]:
    """Ask one node to do something."""
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{node.rest_url}{path}", **options) as response,
    ):
        return response.status, await response.json()


async def test_rows_and_actions_of_all_nodes(start_node: StartNode) -> None:
    """Rows say which node they are from, hooks come in the order of time whichever node has them, cut to what is asked for.

    A fault has the same name everywhere and is switched off everywhere, also by a node that started later.
    """
    one, two = await start_node("n1"), await start_node("n2")
    await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in (one, two)), 10)
    async with one.publisher("a", host="n1"), two.publisher("b", host="n1"), one.publisher("c", host="n2"):
        wanted = {"a": "n1", "b": "n2", "c": "n1"}
        for manager in (one, two):
            for path, key in (("sessions", "id"), ("streams", "name")):
                found = await eventually_reads(
                    lambda manager=manager, path=path: read(manager, f"/api/v1/{path}"),
                    lambda found, path=path: len(found[path]) == 3,
                    20,
                )
                assert {row[key]: row["node"] for row in found[path]} == wanted
            assert {row["name"] for row in await read(manager, "/live/streams.jsp")} == set(wanted)
            listed = await read(manager, "/streammanager/api/4.0/event/list")
            assert {row["name"] for row in listed} == set(wanted)
            rows = (await read(manager, "/api/v1/hooks"))["hooks"]
            assert {row["node"] for row in rows} == {1, 2}
            assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
            newest = (await read(manager, "/api/v1/hooks?newest=true&limit=3"))["hooks"]
            assert [row["ts"] for row in newest] == [row["ts"] for row in rows[:-4:-1]]
    status, fault = await send(
        two, "POST", "/api/v1/faults", json={"fault": "close", "parameters": {"stage": "publish"}}
    )
    assert status == 201
    for manager in (one, two):
        assert [each["id"] for each in (await read(manager, "/api/v1/faults"))["faults"]] == [fault["id"]]
    three = await start_node("n3")
    await eventually(lambda: len(three.manager.registry.nodes) == 3 == len(one.manager.registry.nodes), 10)
    status, answer = await send(three, "DELETE", f"/api/v1/faults/{fault['id']}")
    assert (status, answer) == (200, {"removed": 1, "partial": []})
    for manager in (one, two):
        assert (await read(manager, "/api/v1/faults"))["faults"] == []
    assert (await send(three, "DELETE", f"/api/v1/faults/{fault['id']}"))[0] == 404


async def test_rooms_of_all_nodes_are_listed(start_node: StartNode) -> None:
    """Each node keeps its own conferences and shared objects: every manager lists all of them, with their nodes."""
    one, two = await start_node("n1"), await start_node("n2")
    await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in (one, two)), 10)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        for node in (one, two):
            socket = await stack.enter_async_context(
                http.ws_connect(f"{node.rest_url}/conference-api/1.0/ws/conference")
            )
            await socket.send_json(JOIN)
            await joined(stack, f"{node.url}?id=viewer&app=live&host={node.settings.node_name}", "board")
        for manager in (one, two):
            for path in ("conferences", "shared-objects"):
                found = await eventually_reads(
                    lambda manager=manager, path=path: read(manager, f"/api/v1/{path}"),
                    lambda found: (
                        sorted(row["node"] for key in found if key != "partial" for row in found[key]) == ["n1", "n2"]
                    ),
                    10,
                )
                assert found["partial"] == []
