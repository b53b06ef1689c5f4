"""Simulated nodes in the dashboard, and a browser's media to an address of a node."""

from __future__ import annotations

from playwright.async_api import Browser
from smproxy.nodes.node_spec import read_nodes

from tests.browser.conftest import StartSimulator
from tests.browser.web import open_tab

ROWS = "[aria-label=Nodes] tbody tr"


async def test_nodes_in_the_dashboard(chromium: Browser, start_simulator: StartSimulator) -> None:
    """The dashboard shows nodes with state, address, region and load, and adds, drains, loses and takes them out."""
    simulator = await start_simulator(nodes=read_nodes("us:1,eu:1"), node_start=0.1)
    async with open_tab(chromium, f"{simulator.rest_url}/#/nodes") as tab:
        await tab.linked()
        for text in ("node2", "127.0.0.2", "eu", "INSERVICE"):
            await tab.sees(f"{ROWS}:nth-child(2)", text)
        second = f"{ROWS}:nth-child(2)"
        await tab.page.click(f"{second} >> text=Drain")
        await tab.sees(second, "SOFT_SUNSET")
        await tab.page.click(f"{second} >> text=Undrain")
        await tab.sees(second, "INSERVICE")
        await tab.page.click(f"{second} >> text=Lose")
        await tab.page.click(f"{second} >> text=Lose node2?")
        await tab.sees(second, "FAULT")
        await tab.page.click(f"{second} >> text=Recover")
        await tab.sees(second, "INSERVICE")
        await tab.page.fill("[aria-label=Nodes] [name=region]", "mars")
        await tab.page.select_option("[aria-label=Nodes] [name=role]", "edge")
        await tab.page.click("text=Add a node")
        await tab.sees(f"{ROWS}:nth-child(3)", "mars")
        await tab.sees(f"{ROWS}:nth-child(3)", "INSERVICE")
        await tab.page.fill("[aria-label=Nodes] [name=region]", "no such region")
        await tab.page.click("text=Add a node")
        await tab.sees("[aria-label=Nodes] .problem", "is no region")
        await tab.page.click(f"{second} >> text=Take out")
        await tab.page.click(f"{second} >> text=Take out node2?")
        await tab.sees("[data-state=TERMINATED]", "node2")


async def test_browser_reaches_a_node(chromium: Browser, start_simulator: StartSimulator) -> None:
    """Chromium publishes to a node on 127.0.0.2, and its stream is live there."""
    simulator = await start_simulator(nodes=read_nodes("2"))
    simulator.nodes.drain("node1")
    async with open_tab(chromium, f"{simulator.rest_url}/publish") as tab:
        await tab.fill(stream="cam-1", scope="acme")
        await tab.page.check("#pattern")
        await tab.page.click("#start")
        await tab.state("live")
        (session,) = simulator.manager.sessions.publishing()
        assert session.attempt is not None
        assert session.attempt.node.address == "127.0.0.2"
