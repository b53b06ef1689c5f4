"""Fixtures of the browser tests: a headless Chromium and Firefox, pages with the vendor's SDK, a running simulator.

All of it lives on one event loop for the session, because Playwright's objects belong to the loop that made them; so every
test here is marked with that loop scope below. Nothing is skipped: what is missing fails the tests in one line.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, async_playwright
from smproxy.settings import Settings
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.firefox import Firefox, FirefoxMissing
from tests.browser.page_server import PageServer
from tests.browser.sdk import HLS_JS, SDKS, WHIP_WHEP, SdkMissing
from tests.browser.sdk_page import SdkPage
from tests.browser.subscribe_page import SubscribePage

FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No look-up leaves the machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1",
]

OpenPage = Callable[..., Awaitable[SdkPage]]
OpenSubscribePage = Callable[..., Awaitable[SubscribePage]]
StartSimulator = Callable[..., Awaitable[Simulator]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all tests; each test has contexts of its own."""
    path = shutil.which(os.environ.get("CHROMIUM") or "chromium")
    if path is None:
        pytest.fail("no Chromium: install it (Debian, Ubuntu: apt-get install chromium) or set CHROMIUM", pytrace=False)
    try:
        for sdk in (*SDKS, WHIP_WHEP, HLS_JS):
            sdk.obtain_package()
    except SdkMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            pytest.fail(f"{path} does not start: {error.message.splitlines()[0]}", pytrace=False)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firefox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    """One Firefox for all tests; each test has tabs in containers of their own."""
    try:
        browser = await Firefox.start(tmp_path_factory.mktemp("firefox"))
    except FirefoxMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield browser
    await browser.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def page_server(chromium: Browser) -> AsyncIterator[PageServer]:
    """The pages over http."""
    server = await PageServer.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(chromium: Browser, page_server: PageServer) -> AsyncIterator[OpenPage]:
    """Opens pages in tabs, each in a browser profile of its own; closes them after the test."""
    async with AsyncExitStack() as stack:

        async def open_(page: str = "publish.html", base: str = page_server.url) -> SdkPage:
            context = await chromium.new_context(ignore_https_errors=True)
            stack.push_async_callback(context.close)
            tab = SdkPage(await context.new_page())
            await tab.open(f"{base}/{page}")
            return tab

        yield open_


@pytest_asyncio.fixture(loop_scope="session")
async def open_subscribe_page(chromium: Browser, page_server: PageServer) -> AsyncIterator[OpenSubscribePage]:
    """Opens watching pages as ``open_page`` does publishing ones."""
    async with AsyncExitStack() as stack:

        async def open_(page: str = "subscribe.html") -> SubscribePage:
            context = await chromium.new_context()
            stack.push_async_callback(context.close)
            tab = SubscribePage(await context.new_page())
            await tab.open(f"{page_server.url}/{page}")
            return tab

        yield open_


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A hook receiver over HTTP."""
    async with WebhookReceiver() as receiver:
        yield receiver


@pytest_asyncio.fixture(loop_scope="session")
async def start_simulator(receiver: WebhookReceiver, tmp_path: Path) -> AsyncIterator[StartSimulator]:
    """Starts simulators on free ports that send their hooks to ``receiver``; keywords are fields of ``Settings``."""
    number = itertools.count()
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> Simulator:
            values = {
                "port": 0,
                "tls_port": 0,
                "data_dir": tmp_path / str(next(number)),
                "hook_uri": (receiver.url,),
                **settings,
            }
            return await stack.enter_async_context(Simulator(Settings(**values)))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def simulator(start_simulator: StartSimulator) -> Simulator:
    """A simulator with the settings that people start with, but for ports and paths."""
    return await start_simulator()
