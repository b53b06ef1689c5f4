"""Headless clients of all nodes, whichever manager is asked."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.cluster.conftest import StartNode
from tests.helpers import eventually, eventually_reads, scaled


async def test_any_manager_answers_for_the_clients_of_all(start_node: StartNode) -> None:
    """Lists are of all nodes, the oldest first; a client is shown, muted and ended by a manager that does not run it."""
    one, two = await start_node("n1"), await start_node("n2")
    await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in (one, two)), 10)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(scaled(40))) as http:

        async def ask(method: str, path: str, status: int, node: Any = one, **body: Any) -> Any:
            async with http.request(method, f"{node.rest_url}/api/v1{path}", json=body or None) as response:
                assert response.status == status, await response.text()
                return None if status == 204 else await response.json()

        async def listed(role: str, *ids: str) -> None:
            for node in (one, two):
                found = await eventually_reads(
                    lambda node=node: ask("GET", f"/{role}s", 200, node), lambda found: found["partial"] == [], 20
                )
                assert [each["id"] for each in found[f"{role}s"]] == list(ids)

        asked = {"name": "cam", "customerScope": "acme", "timeout": min(60, scaled(10))}
        publisher = await ask("POST", "/publishers", 201, two, **asked, host="n1")
        assert (publisher["id"], publisher["state"], publisher["error"]) == ("n2-publisher-1", "live", None)
        await ask("POST", "/publishers", 201, one, name="later", customerScope="acme", wait=False)
        await listed("publisher", "n2-publisher-1", "n1-publisher-1")
        await listed("subscriber")
        seen = await eventually_reads(
            lambda: ask("GET", "/publishers/n2-publisher-1", 200), lambda view: view["packets"] > 0, 20
        )
        assert seen["session"] == publisher["session"]
        muted = await ask("POST", "/publishers/n2-publisher-1/mute", 200, audio=True)
        assert muted["id"] == "n2-publisher-1"
        await ask("DELETE", "/publishers/n2-publisher-1?how=close", 204)
        await ask("DELETE", "/publishers/n1-publisher-1", 204, two)
        await listed("publisher")
        unknown = await ask("DELETE", "/publishers/n2-publisher-1", 404)
        assert unknown["errorMessage"] == "There is no publisher 'n2-publisher-1': those of n1 are none."
