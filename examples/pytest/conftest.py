"""What the tests beside this file share: the receiver, the page, and a browser."""

from __future__ import annotations

import functools
import os
import shutil
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from board import Board
from playwright.sync_api import sync_playwright

PAGE = Path(__file__).parents[1] / "page"

#: Fake cameras, no questions, media on a machine that has loopback only, and no look-up of any name but localhost.
FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--allow-loopback-in-peer-connection",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]


@pytest.fixture
def board():
    """Your receiver. Here it runs in this process; it may as well run anywhere that has a URL."""
    board = Board()
    yield board
    board.stop()


@pytest.fixture
def stream_manager_settings(board):
    """The stream manager posts its hooks to your receiver."""
    return {"hook_uri": board.url}


@pytest.fixture
def until():
    """Waits until something is so: ``until(lambda: board.live)``."""

    def wait(condition, timeout=10):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def page_url():
    """Your page, from a web server, beside the SDK: npm pack red5pro-webrtc-sdk."""
    assert (PAGE / "red5pro-sdk.min.js").exists(), f"put the vendor's red5pro-sdk.min.js into {PAGE}"

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PAGE))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def chromium():
    """A browser with a fake camera: CHROMIUM, the system's, or Playwright's own."""
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, page_url, stream_manager):
    """Opens the page for a stream name, in a tab of its own."""
    contexts = []

    def open_(name):
        contexts.append(chromium.new_context())
        page = contexts[-1].new_page()
        page.goto(f"{page_url}?port={stream_manager.port}&name={name}")
        return page

    yield open_
    for context in contexts:
        context.close()
