"""The examples run as they stand, in a copy, as whoever takes them would run them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from smproxy.embedded import EmbeddedSimulator

from tests.browser.sdk import SDK_11, Sdk
from tests.helpers import scaled
from tests.terminals import machine

ROOT = Path(__file__).parents[2]

#: Playwright without browsers of its own: it drives the Chromium that the machine has.
PLAYWRIGHT = Sdk(
    "playwright-core",
    "1.65.1",
    "sha512-hqPpz7blSMPxWVdoeE1yiBSzXsKiVOd2k+kjCvmUywD2GPO2Dd9HfcWnq9NN0GHbNZDFgZ9JfBFr+X5/BLo0qw==",
)


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples."""
    copy = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", copy, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    return copy


@pytest.fixture
def page(examples: Path) -> Path:
    """The page, with the vendor's SDK beside it."""
    shutil.copy(SDK_11.obtain(), examples / "page")
    return examples / "page"


async def run(*command: str | Path, cwd: Path, timeout: float = 90) -> str:
    """Run a command; return what it printed; fail with that when it fails."""
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": os.pathsep.join([scripts, os.environ["PATH"]])}
    environment |= {"CHROMIUM": shutil.which(os.environ.get("CHROMIUM") or "chromium") or "chromium"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(scaled(timeout)):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    return output.decode()


def _node() -> str:
    node = shutil.which("node")
    assert node is not None, "node is missing: install it (Debian, Ubuntu: apt-get install nodejs)"
    return node


@pytest.mark.browser
async def test_pytest(examples: Path, page: Path) -> None:
    """The example for pytest: a receiver, a page in Chromium, and what they do when something fails."""
    settings = ["-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function", "-W", "error"]
    output = await run(sys.executable, "-m", "pytest", "-q", *settings, ".", cwd=examples / "pytest")
    assert "7 passed" in output


@pytest.mark.browser
async def test_playwright(examples: Path, page: Path) -> None:
    """The example for Playwright in JavaScript, with Node's own test runner; also where there is loopback only (T7)."""
    PLAYWRIGHT.obtain_package()
    modules = examples / "playwright" / "node_modules"
    modules.mkdir()
    (modules / "playwright-core").symlink_to(PLAYWRIGHT.directory / "package")
    output = await run(_node(), "--test", cwd=examples / "playwright")
    assert "# fail 0" in output
    assert "# pass 2" in output
    async with machine() as enter:
        output = await run(*enter, _node(), "--test", cwd=examples / "playwright")
    assert "# pass 2" in output


async def test_the_reason_of_a_refusal(examples: Path) -> None:
    """The example's ``hook`` and ``fault`` reject with what the stream manager says is wrong (T6)."""
    script = """
        import { StreamManager } from "./stream_manager.mjs"
        const manager = await StreamManager.start()
        await manager.hook({ colour: "blue" }).catch((error) => console.log(error.message))
        await manager.hook({ id: "cam-1" }, 0).catch((error) => console.log(error.message))
        await manager.fault({ fault: "publish-denid" }).catch((error) => console.log(error.message))
        await manager.stop()
    """
    output = await run(_node(), "--input-type=module", "--eval", script, cwd=examples / "playwright")
    unknown, nothing, fault, *_ = [line for line in output.splitlines() if not re.match(r"\d\d:\d\d:\d\d", line)]
    assert "colour" in unknown
    assert nothing.startswith("No event with id=cam-1 within 0 s")
    assert "publish-denied" in fault


async def test_curl(stream_manager: EmbeddedSimulator, examples: Path) -> None:
    """The example for curl, against a stream manager that runs already."""
    output = await run("sh", "run.sh", stream_manager.rest_url, cwd=examples / "curl")
    assert output.splitlines() == ["cam-1 is live", "cam-1 has ended", "cam-2 was refused"]
