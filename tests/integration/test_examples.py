"""The examples run as they stand, in a copy, as whoever takes them would run them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from smproxy.embedded import EmbeddedSimulator

from tests.browser.sdk import SDK_11
from tests.js_package import PLAYWRIGHT, install, tools
from tests.programs import run
from tests.terminals import machine

ROOT = Path(__file__).parents[2]


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


@pytest.mark.browser
async def test_pytest(examples: Path, page: Path) -> None:
    """The example for pytest: a receiver, a page in Chromium, and what they do when something fails."""
    settings = ["-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function", "-W", "error"]
    output = await run(sys.executable, "-m", "pytest", "-q", *settings, ".", cwd=examples / "pytest")
    assert "7 passed" in output


@pytest.mark.browser
async def test_playwright(examples: Path, page: Path, unused_tcp_port: int) -> None:
    """The example for Playwright: a page in Chromium, on a machine that has loopback only (T7)."""
    project = examples / "playwright"
    install(project, PLAYWRIGHT)
    async with machine() as enter:
        output = await run(*enter, "npm", "test", cwd=project, env={"PORT": str(unused_tcp_port), "CI": "1"})
    assert "3 passed" in output


@pytest.mark.media
@pytest.mark.parametrize(("runner", "passed"), [("vitest", "3 passed"), ("jest", "2 passed")])
async def test_receiver(examples: Path, runner: str, passed: str) -> None:
    """The examples for Vitest and Jest: a receiver, fed by publishers that the stream manager runs."""
    project = examples / runner
    install(project, [runner])
    assert passed in await run("npm", "test", cwd=project, env={"CI": "1", "NO_COLOR": "1"})


async def ci_file(path: Path) -> Any:
    """Return what a CI file says."""
    script = "console.log(JSON.stringify(require('js-yaml').load(require('fs').readFileSync(process.argv[1], 'utf8'))))"
    return json.loads(await run("node", "--eval", script, path, cwd=tools().parent))


@pytest.mark.media
@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
async def test_ci(examples: Path, name: str) -> None:
    """The CI files: each command of each step ends well, in the order of the file; but for the installation."""
    file = await ci_file(examples / "ci" / name)
    if name == "github.yml":
        job = file["jobs"]["streams"]
        scripts = [step["run"] for step in job["steps"] if "run" in step]
        variables = job["env"]
    else:
        job = file["streams"]
        scripts = [*job["before_script"], *job["script"], *job["after_script"]]
        variables = job["variables"]
    assert scripts.pop(0) == "pip install stream-manager-proxy"
    async with machine() as enter:
        try:
            output = [await run(*enter, "bash", "-ec", script, cwd=examples, env=variables) for script in scripts[:-1]]
        finally:
            await run(*enter, "bash", "-ec", scripts[-1], cwd=examples, env=variables)
    assert "recording_saved" in output[-1]
    assert list((examples / "stream-manager/packets").glob("*cam-1*.pcapng"))


async def test_curl(stream_manager: EmbeddedSimulator, examples: Path) -> None:
    """The example for curl, against a stream manager that runs already."""
    output = await run("sh", "run.sh", stream_manager.rest_url, cwd=examples / "curl")
    assert output.splitlines() == ["cam-1 is live", "cam-1 has ended", "cam-2 was refused"]
