"""What docs/testing.md and docs/bad-networks.md show runs as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.sdk import SDK_11
from tests.helpers import scaled

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).parents[2] / "examples"
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"

#: An application that takes hooks: that of the examples, by other names.
APPLICATION = """
import threading
import pytest
from board import Board

class App(Board):
    def __init__(self):
        self._changed = threading.Condition()
        super().__init__()

    def handle(self, hook):
        with self._changed:
            super().handle(hook)
            self._changed.notify_all()

    def wait_until_shown(self, name):
        self._until(lambda: name in self.live.values())

    def wait_until_gone(self, name):
        self._until(lambda: name not in self.live.values())

    def _until(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, 20)

@pytest.fixture
def my_app():
    app = App()
    yield app
    app.stop()
"""

#: What pytest-playwright has under the name ``page``, and the reader's page at port 8000.
BROWSER = """
import functools
import os
import runpy
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import pytest
from playwright.sync_api import sync_playwright

EXAMPLES = Path("{examples}")
sys.path.insert(0, str(EXAMPLES / "pytest"))
FLAGS = runpy.run_path(str(EXAMPLES / "pytest" / "conftest.py"))["FLAGS"]

@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    shutil.copy(EXAMPLES / "page" / "index.html", folder)
    shutil.copy("{sdk}", folder / "red5pro-sdk.min.js")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    flags = [flag for flag in FLAGS if "resolver" not in flag]
    flags.append(f"--host-resolver-rules=MAP localhost:8000 127.0.0.1:{{server.server_port}}")
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()
    server.shutdown()
    server.server_close()
    thread.join()

@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()
"""

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (DOCS / "testing.md", DOCS / "bad-networks.md")
BLOCKS = [block for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
SUITES = [block for block in BLOCKS if "def test_" in block]
#: To these the reader brings a page.
WITH_PAGE = [block for block in SUITES if "page.goto" in block]
#: And to these an application.
WITHOUT_PAGE = [block for block in SUITES if "page.goto" not in block]
PROGRAMS = [block for block in BLOCKS if "import Simulator" in block]


def test_every_block_is_run() -> None:
    """Every block is a suite or a program, and is run below."""
    assert len(BLOCKS) == len(SUITES) + len(PROGRAMS)


def test_tests(pytester: pytest.Pytester) -> None:
    """The tests on the page pass, with an application like the reader's."""
    pytester.makeini(INI)
    shutil.copy(EXAMPLES / "pytest" / "board.py", pytester.path)
    pytester.makeconftest(APPLICATION)
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(WITHOUT_PAGE)})
    passed = sum(block.count("def test_") for block in WITHOUT_PAGE)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=passed)


@pytest.mark.browser
def test_tests_of_a_page(pytester: pytest.Pytester) -> None:
    """The tests of a page pass with the page of the examples, in Chromium."""
    pytester.makeini(INI)
    pytester.makeconftest(BROWSER.format(examples=EXAMPLES, sdk=SDK_11.obtain()))
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(WITH_PAGE)})
    passed = sum(block.count("def test_") for block in WITH_PAGE)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=passed)


@pytest.mark.parametrize("number", [0, 1], ids=["sync", "async"])
def test_programs(number: int, tmp_path: Path) -> None:
    """The programs on the page, without pytest, run."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAMS[number].replace('hook_uri="http://127.0.0.1:8000/hooks"', "")],
        cwd=tmp_path, capture_output=True, text=True, timeout=scaled(30), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
