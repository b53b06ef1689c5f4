"""The dashboard of a cluster: one node is asked, and all are seen."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Browser
from smproxy.simulator import Simulator

from tests.browser.test_dashboard_tools import ROW, rows
from tests.browser.web import many_sessions, open_tab
from tests.helpers import eventually
from tests.nats_server import nats_server


async def test_all_nodes_are_seen_at_one(chromium: Browser, tmp_path: Path) -> None:
    """Sessions of both nodes are listed with their nodes; one of the other node is ended from here.

    Those of a node that has left are not shown any more.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(nats_server(tmp_path))
        one, two = [
            await stack.enter_async_context(Simulator(cluster=server.url, node_id=name, flush=0.5))
            for name in ("n1", "n2")
        ]
        await eventually(lambda: all(len(each.manager.registry.nodes) == 2 for each in (one, two)), 10)
        await many_sessions(one, 2)
        live = await stack.enter_async_context(two.publisher("far", host="n1"))
        async with open_tab(chromium, f"{one.rest_url}/") as tab:
            await tab.linked()
            await rows(tab, 3)
            await tab.sees(ROW, "n1 via n2")
            await tab.page.click(f"{ROW} a:text-is('far')")
            await tab.sees(".detail .node dd", "n2")
            await tab.page.click(".detail button:text-is('Disconnect')")
            await tab.page.click(".detail button:text-is('Disconnect now')")
            await tab.sees(".detail", "It ended")
            await eventually(lambda: live.ended_by == "server", 10)
            await tab.page.goto(f"{one.rest_url}/#/hooks")
            await tab.sees(ROW, "far")
            await tab.page.goto(f"{one.rest_url}/#/sessions")
            await two.stop()
            await rows(tab, 2)
