"""The package for JavaScript: its own tests, and what is published of it."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
import smproxy

from tests.js_package import CLIENT, MESSAGES, built
from tests.programs import run

TESTS = sorted(path.name for path in (CLIENT / "test").glob("*.test.mjs"))


@pytest.mark.parametrize("name", TESTS)
async def test_its_own_tests(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of ``clients/js/test`` passes, against what is published and this stream manager."""
    monkeypatch.setenv("MESSAGES", str(MESSAGES))
    output = await run("node", "--test", f"test/{name}", cwd=built())
    assert "# fail 0" in output
    assert int(re.findall(r"# pass (\d+)", output)[0]) > 0


def test_what_is_published() -> None:
    """The archive has the built files, README and licence, no dependencies, and the version of the stream manager."""
    with tarfile.open(built() / "package.tgz") as archive:
        names = {Path(name).relative_to("package").parts[0] for name in archive.getnames()}
    assert names == {"LICENSE", "README.md", "dist", "package.json"}
    package = json.loads((built() / "package/package.json").read_text())
    assert "dependencies" not in package
    assert package["version"].replace("-dev.", ".dev") == smproxy.__version__
    assert (CLIENT / "LICENSE").read_text() == (CLIENT.parents[1] / "LICENSE").read_text()


async def test_modules_of_both_kinds(tmp_path: Path) -> None:
    """``import`` and ``require`` both get it, and TypeScript its types."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "stream-manager-proxy").symlink_to(built() / "package")
    script = 'console.log(typeof require("stream-manager-proxy").StreamManager.start)'
    assert "function" in await run("node", "--input-type=commonjs", "--eval", script, cwd=tmp_path)
    script = 'import { StreamManager } from "stream-manager-proxy"; console.log(typeof StreamManager.start)'
    assert "function" in await run("node", "--input-type=module", "--eval", script, cwd=tmp_path)
