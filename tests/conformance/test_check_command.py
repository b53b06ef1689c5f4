"""``smproxy check`` as a command: exit codes, files, and one line for what cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from smproxy.cli import main
from smproxy.conformance.runner import ALL

from tests.conformance.model_server import ModelServer
from tests.conformance.test_check import TOKEN, serving
from tests.integration import commands

ROOT = Path(__file__).parents[2]


async def run(*args: str) -> tuple[int, str, str]:
    """Run the command as a process of its own."""
    finished = await commands.run("check", *args)
    return finished.code or 0, finished.out, finished.err


async def test_a_server_that_conforms_is_0_and_files_are_written(tmp_path: Path) -> None:
    """The exit code is 0, the last line counts, and both files have every row; the token is in none of it."""
    out, junit = tmp_path / "report.json", tmp_path / "report.xml"
    # The model takes aiortc's 30 s to notice a vanished client.
    rows = {each.row for each in ALL if "whip" in each.protocols} - {"W16.2"}
    only = [each for row in sorted(rows) for each in ("--only", row)]
    async with serving(ModelServer("whip", token=TOKEN)) as url:
        files = ("--json", str(out), "--junit", str(junit))
        code, stdout, stderr = await run("whip", url, "--token", TOKEN, *files, "-v", *only)
    assert (code, stderr) == (0, "")
    assert stdout.splitlines()[-1].startswith("MUST: ")
    document = json.loads(out.read_text())
    assert document["conforms"] is True
    assert {each["row"] for each in document["rows"]} == rows
    assert len(Xml.parse(junit).findall("testcase")) == len(rows)
    assert TOKEN not in stdout + out.read_text() + junit.read_text()


async def test_a_failed_must_is_1_and_a_failed_should_is_not() -> None:
    """Only MUSTs decide about the exit code."""
    async with serving(ModelServer("whip", ["delete-204"])) as url:
        code, stdout, _ = await run("whip", url, "--only", "W15.1")
        assert code == 1
        assert "found    DELETE got 204 No Content" in stdout
    async with serving(ModelServer("whip", ["no-accept-post"])) as url:
        code, stdout, _ = await run("whip", url, "--only", "W4")
        assert code == 0
        assert "warn" in stdout


async def test_players_are_checked_while_a_test_stream_is_published() -> None:
    """--publish-with publishes over WHIP before the players are checked; without success that is one line."""
    async with serving(ModelServer("whip")) as ingest, serving(ModelServer("whep")) as url:
        code, stdout, stderr = await run("whep", url, "--publish-with", ingest, "--only", "E4", "--only", "W1.1")
        assert (code, stderr) == (0, "")
        assert "E4 " in stdout
        code, _, stderr = await run("whep", url, "--publish-with", ingest + "/nowhere", "--only", "E4")
    assert code == 1
    assert re.fullmatch(
        r"smproxy check: cannot publish to \S+: no session could be made: POST got 404 Not Found\n", stderr
    )


async def test_a_server_that_is_not_there_is_one_line() -> None:
    """Nothing listens: exit code 1 and one line that says so."""
    async with serving(ModelServer("whip")) as url:
        pass
    code, stdout, stderr = await run("whip", url)
    assert (code, stdout) == (1, "")
    assert stderr.startswith(f"smproxy check: {url} cannot be reached: ")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["whip", "ws://localhost/x"], "must start with http:// or https://"),
        (["whip", "http://[::1/x"], "Invalid IPv6 URL"),
        (["whip", "http://localhost:99999/x"], "Port out of range"),
        (["whip", "http://localhost/a b"], "must start with http:// or https://"),
        (["whip", "http://localhost/x", "--only", "W99"], "there is no row W99 of WHIP"),
        (["whip", "http://localhost/x", "--only", "E1"], "there is no row E1 of WHIP"),
        (["whip", "http://localhost/x", "--publish-with", "http://localhost/y"], "--publish-with is for whep"),
    ],
)
def test_arguments_that_cannot_be_used_are_2(arguments: list[str], words: str, capsys: Any) -> None:
    """Each is told in one line, and nothing is sent."""
    assert main(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1


def test_every_row_is_explained() -> None:
    """docs/conformance.md has each row, and each says how it is checked."""
    page = (ROOT / "docs/conformance.md").read_text()
    for check in ALL:
        assert f"| {check.row} | {check.level} |" in page
        assert check.run.__doc__
