"""What any manager does with what is at other nodes: captures, HLS segments, interstitials, metrics, places to watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from smproxy.simulator import Simulator

from tests.cluster.conftest import StartNode
from tests.cluster.test_lists import read, send
from tests.helpers import eventually, eventually_reads

Samples = dict[tuple[str, str], float]


async def fetch(node: Simulator, path: str) -> tuple[int, bytes]:
    """Ask one node."""
    async with aiohttp.ClientSession() as http, http.get(f"{node.rest_url}{path}") as response:
        return response.status, await response.read()


async def metrics(node: Simulator) -> Samples:
    """Return the metrics of the cluster that a node has, by name and label."""
    _, body = await fetch(node, "/metrics")
    families = [each for each in text_string_to_metric_families(body.decode()) if "_cluster_" in each.name]
    return {
        (s.name, s.labels.get("node", s.labels.get("state", ""))): s.value for each in families for s in each.samples
    }


async def test_any_manager_reaches_what_is_elsewhere(start_node: StartNode, tmp_path: Path) -> None:
    """Packets, HLS segments and interstitials of a stream at another node's origin are had at each manager.

    Each names where all nodes' metrics are, and has the numbers of the cluster.
    """
    one = await start_node("m1", roles="manager")
    two = await start_node("m2", roles="manager,edge")
    await start_node("o1", roles="origin")
    await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in (one, two)), 10)
    async with one.publisher("a"), one.publisher("b"):
        await one.hooks.expect("remote_track_started", id="b")
        session = {row["id"]: row["session"] for row in (await read(one, "/api/v1/sessions"))["sessions"]}
        for manager in (one, two):
            capture = f"/api/v1/sessions/{session['a']}/capture.pcapng"
            if manager is one:
                status, body = await fetch(manager, capture)
                assert (status, b"seconds=10" in body) == (409, True)
            status, body = await fetch(manager, f"{capture}?seconds=1")
            assert status == 200
            assert body.startswith(b"\x0a\x0d\x0d\x0a")
            assert len(body) > 5_000
        status, kept = await fetch(two, capture)
        assert status == 200
        assert len(kept) > 5_000

        await eventually(lambda: two.manager.registry.owner("live", "a") is not None, 10)
        status, playlist = await fetch(two, "/live/a.m3u8")
        assert status == 200
        segment = next(line for line in playlist.decode().splitlines() if line and not line.startswith("#"))
        for manager in (one, two):
            status, body = await fetch(manager, f"/live/{segment}")
            assert (status, body[:1]) == (200, b"\x47"), segment
        assert (await fetch(one, f"/live/hls/{'0' * 24}/00001.ts"))[0] == 404

        inserted = {"inserts": [{"id": 7, "target": "live/a", "interstitial": "live/b"}]}
        asked: dict[str, Any] = {"json": {"user": "any", "digest": "any", **inserted}}
        status, answer = await send(two, "POST", "/streammanager/api/4.0/admin/interstitial", **asked)
        assert (status, answer) == (200, {"inserted": [7]}), answer
        for manager in (one, two):
            await eventually_reads(
                lambda manager=manager: read(manager, "/api/v1/interstitials"),
                lambda found: (
                    [(row["id"], row["origin"], row["node"]) for row in found["interstitials"]] == [(7, "o1", "o1")]
                ),
                10,
            )

        for manager in (one, two):
            found = await eventually_reads(
                lambda manager=manager: metrics(manager),
                lambda found: found[("smproxy_cluster_publishers", "o1")] == 2,
                10,
            )
            assert found["smproxy_cluster_streams", "o1"] == 2
            assert found["smproxy_cluster_nodes", "serving"] == 3
            assert found["smproxy_cluster_registry_up", ""] == 1
            targets = await read(manager, "/metrics/targets")
            assert [each["labels"]["node"] for each in targets] == ["m1", "m2", "o1"]
            assert [each["targets"] for each in targets][:2] == [[f"localhost:{each.port}"] for each in (one, two)]


async def test_subscribers_are_sent_to_an_edge_of_their_region(start_node: StartNode) -> None:
    """Of two edges the one of the region that is asked for is named, wherever the stream came in."""
    one = await start_node("m1")
    await start_node("e1", roles="edge", region="eu")
    await start_node("e2", roles="edge", region="us")
    await eventually(lambda: len(one.manager.registry.nodes) == 3, 10)
    async with one.publisher("a"):
        await one.hooks.expect("peer_joined", id="a")
        for region, edge in (("eu", "e1"), ("us", "e2")) * 2:
            place = await read(one, f"/streammanager/api/4.0/event/live/a?action=subscribe&region={region}")
            assert place["serverAddress"] == edge
