"""The package for JavaScript: its own tests, and what is published of it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
import smproxy
from smproxy.embedded import EmbeddedSimulator

from tests.js_package import CLIENT, MESSAGES, PLAYWRIGHT, built, install, tools
from tests.programs import run

pytestmark = pytest.mark.media

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


async def test_lint(tmp_path: Path) -> None:
    """Sources, tests and examples are formatted, and have nothing that Biome objects to."""
    for name in ("biome.json", "src", "scripts", "test"):
        copy = shutil.copytree if (CLIENT / name).is_dir() else shutil.copy
        copy(CLIENT / name, tmp_path / name)
    shutil.copytree(CLIENT.parents[1] / "examples", tmp_path / "examples")
    await run(tools() / ".bin/biome", "check", "--error-on-warnings", ".", cwd=tmp_path)


async def test_by_hand(tmp_path: Path) -> None:
    """``npx stream-manager-proxy`` is the command ``smproxy``, with its exit codes."""
    install(tmp_path, [])
    program = "node_modules/stream-manager-proxy/dist/esm/bin.js"
    assert smproxy.__version__ in await run("node", program, "--version", cwd=tmp_path)
    assert "usage" in await run("node", program, "serve", "--nonsense", cwd=tmp_path, status=2)


async def test_the_page_of_documentation(tmp_path: Path) -> None:
    """What docs/javascript.md shows in TypeScript is right by the types of the package, as are the examples.

    What is wrong does not compile."""
    install(tmp_path, [*PLAYWRIGHT, "@types/node", "vitest", "typescript"])
    page = (CLIENT.parents[1] / "docs/javascript.md").read_text()
    for number, block in enumerate(re.findall(r"```ts\n(.*?)```", page, re.DOTALL)):
        (tmp_path / f"block{number}.ts").write_text(block)
    for path in (CLIENT.parents[1] / "examples/playwright").glob("*.ts"):
        shutil.copy(path, tmp_path)
    options = [
        "--strict",
        "--noEmit",
        "--skipLibCheck",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--types",
        "node",
    ]
    (tmp_path / "wrong.mts").write_text(
        'import { StreamManager } from "stream-manager-proxy";\n'
        "const manager = await StreamManager.start({ hookUry: 1 });\n"
        'await manager.hooks.expect("conected");\nawait manager.faults.add("network", { profile: "9g" });\n'
    )
    files = sorted(path.name for path in tmp_path.glob("*.*ts"))
    assert len(files) > 6
    output = await run("npx", "tsc", *options, *files, cwd=tmp_path, status=2)
    assert re.findall(r"^(\S+)\((\d+),", output, re.MULTILINE) == [("wrong.mts", line) for line in "234"], output
    plain = 'import { StreamManager } from "stream-manager-proxy";\nexport const manager = StreamManager.connect();\n'
    (tmp_path / "plain.mts").write_text(plain)
    await run(
        "npx", "tsc", "--strict", "--noEmit", "--lib", "es2022,dom", "--module", "nodenext", "plain.mts", cwd=tmp_path
    )


async def test_playwright_fixtures(stream_manager: EmbeddedSimulator, tmp_path: Path) -> None:
    """Tests of a worker have a clean slate each, those that share a stream manager see only their own.

    The report of a failed test has the timeline, the hooks and the packets of its sessions.
    """
    project = tmp_path / "project"
    shutil.copytree(CLIENT / "test/playwright", project)
    install(project, PLAYWRIGHT)
    env = {"SHARED": stream_manager.rest_url, "PLAYWRIGHT_JSON_OUTPUT_NAME": "report.json", "CI": "1"}
    output = await run("npx", "playwright", "test", "--reporter=line,json", cwd=project, env=env, status=1)
    report = json.loads((project / "report.json").read_text())
    results = {
        (test["projectName"], spec["title"]): test["results"][0]
        for suite in report["suites"] for spec in suite["specs"] for test in spec["tests"]
    }  # fmt: skip
    failed = {name: result for name, result in results.items() if result["status"] == "failed"}
    assert sorted(failed) == [("own", "a test fails"), ("shared", "a test fails")], output
    assert len(results) == 9
    for result in failed.values():
        assert "nearest first, ! marks what differs" in result["error"]["message"]
        assert result["error"]["location"]["file"].endswith("fixtures.spec.ts")
        left = {each["name"]: base64.b64decode(each["body"]) for each in result["attachments"] if "body" in each}
        assert b"publisher 'stream-" in left["stream manager: timeline"]
        hooks = json.loads(left["stream manager: hooks"])
        assert {hook["event"] for hook in hooks} == {"session", "peer", "remote_track"}
        name = f"publisher {hooks[0]['connection']['id']} {hooks[0]['payload']['session']}.pcapng"
        assert (name in left) == ("stream manager: log" in left)  # the shared one was started without them
        assert left.get(name, b"\n\r\r\n").startswith(b"\n\r\r\n")
    assert any(".pcapng" in each["name"] for each in failed["own", "a test fails"]["attachments"])
    assert not stream_manager.faults.active()
