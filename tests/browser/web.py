"""A browser tab with one of the pages of the package, for tests that use them as a person does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page
from smproxy.manager.attempt import Client
from smproxy.signaling.params import ConnectionParams
from smproxy.simulator import Simulator
from yarl import URL

from tests.helpers import scaled

DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


class Tab:
    """A tab, and what went wrong in it: errors that nobody caught, and what the content security policy forbade."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "Refused to" in message.text:
            self.errors.append(message.text)

    async def state(self, name: str, timeout: float = 20.0) -> None:
        """Wait until a test page is ``idle``, ``busy``, ``live`` or ``failed``."""
        await self.page.wait_for_selector(f'#state[data-state="{name}"]', timeout=scaled(timeout) * 1000)

    async def linked(self, name: str = "live", timeout: float = 15.0) -> None:
        """Wait until the dashboard's connection is ``live``, ``lost`` or ``refused``."""
        await self.page.wait_for_selector(f'#link-state[data-state="{name}"]', timeout=scaled(timeout) * 1000)

    async def sees(self, selector: str, text: str, timeout: float = 10.0) -> None:
        """Wait until an element that matches shows the text."""
        found = self.page.locator(selector).filter(has_text=text).first
        await found.wait_for(state="visible", timeout=scaled(timeout) * 1000)

    async def until(self, expression: str, timeout: float = 10.0) -> None:
        """Wait, frame by frame, until an expression is true. (Playwright's own way evaluates text, which the pages forbid.)"""
        # An element that is not there yet is a TypeError; without an answer the promise would wait for the collector.
        missing = "catch (error) { error instanceof TypeError ? resolve(false) : reject(error); }"
        attempt = f"try {{ resolve(Boolean({expression})); }} {missing}"
        look = f"new Promise((resolve, reject) => requestAnimationFrame(() => {{ {attempt} }}))"
        async with asyncio.timeout(scaled(timeout)):
            while not await self.page.evaluate(look):
                pass

    async def fill(self, **fields: str) -> None:
        """Fill in fields by their ids."""
        for name, value in fields.items():
            await self.page.fill(f"#{name}", value)


@asynccontextmanager
async def open_tab(chromium: Browser, url: str, **context: Any) -> AsyncIterator[Tab]:
    """Open a tab in a browser profile of its own; nothing may have gone wrong in it when it is closed."""
    options = {"viewport": DESK, "reduced_motion": "reduce"} | context
    profile = await chromium.new_context(**options)
    try:
        tab = Tab(await profile.new_page())
        tab.page.set_default_timeout(scaled(15) * 1000)
        await tab.page.goto(url)
        yield tab
        assert tab.errors == []
    finally:
        await profile.close()


async def many_sessions(simulator: Simulator, count: int) -> None:
    """Open sessions ``cam-0000``, ``cam-0001`` … without their sockets."""
    node = simulator.manager.registry.nodes[0]
    for number in range(count):
        params = ConnectionParams.from_url(URL(f"/?id=cam-{number:04}&customerScope=acme"))
        simulator.manager.sessions.open(params, node, Client(remote_ip="127.0.0.1"))
    assert simulator.dispatcher.journal is not None
    await simulator.dispatcher.journal.flush()
