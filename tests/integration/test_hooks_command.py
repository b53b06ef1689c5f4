"""``smproxy hooks`` as its users meet it: processes that read a journal and talk to a running instance."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from smproxy.hooks.journal import FILE_NAME
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.hooks_support import hook_event
from tests.integration.commands import run
from tests.integration.hook_api import hook_api


async def fill(data_dir: Path, count: int = 3) -> list[str]:
    """Leave a journal behind, as an instance that has stopped does; return the uuids."""
    async with hook_api(data_dir) as api:
        events = [hook_event(7, seq, "acme" if seq % 2 else "other") for seq in range(1, count + 1)]
        for event in events:
            api.dispatcher.publish(event)
    return [event.uuid for event in events]


def uuids(lines: list[str]) -> list[str]:
    return [json.loads(line)["uuid"] for line in lines]


async def test_list_of_a_stopped_instance(tmp_path: Path) -> None:
    """The journal of an instance that has stopped is listed, oldest first, a line for each event; it is not changed."""
    known = await fill(tmp_path / ".smproxy")
    before = (tmp_path / ".smproxy" / FILE_NAME).read_bytes()
    done = await run("hooks", "list", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[-1] for line in done.lines] == known
    for part in ("acme", "cam-1", "7 #1", "connecting", "remote_ip=127.0.0.1"):
        assert part in done.lines[0]
    assert (tmp_path / ".smproxy" / FILE_NAME).read_bytes() == before


async def test_filters(tmp_path: Path) -> None:
    """Each filter narrows; ``--limit`` keeps the latest; ``--json`` is one object a line with the journal's id."""
    known = await fill(tmp_path / "data", 2500)
    for arguments, wanted in (
        (["--limit", "2"], known[-2:]), ([], known[-100:]), (["--limit", "2400"], known[-2400:]),
        (["--customer-scope", "other", "--limit", "2"], [known[2497], known[2499]]),
        (["--id", "nobody"], []), (["--session", "8"], []),
        (["--event", "peer"], []), (["--state", "connecting", "--limit", "1"], known[-1:]),
        (["--since", "1790000000123", "--limit", "1"], known[-1:]), (["--since", "1m"], []), (["--until", "2020-01-01"], []),
        (["--since", "2026-09-01", "--until", "2026-10-01T00:00:00Z", "--limit", "3"], known[-3:]),
    ):  # fmt: skip
        done = await run("hooks", "list", "--data-dir", str(tmp_path / "data"), "--json", *arguments)
        assert done.code == 0, done.err
        assert uuids(done.lines) == wanted, arguments
    done = await run("hooks", "list", "--limit", "1", SMPROXY_DATA_DIR=str(tmp_path / "data"))
    assert known[-1] in done.out


async def test_running_instance(tmp_path: Path) -> None:
    """A running instance's journal is read, and an event triggered, shown with its attempts, given up, and sent again."""
    async with WebhookReceiver([503, 400]) as receiver, hook_api(tmp_path, sinks=[receiver.url]) as api:
        place, instance = ["--data-dir", str(tmp_path)], ["--url", api.url]
        params = ["--param", "customerScope=acme", "--param", 'meta={"a":"b=c"}', "--param", "username=null"]
        done = await run("hooks", "trigger", "connected", *params, "--json", *instance)
        assert (done.code, done.err) == (0, "")
        event: dict[str, Any] = json.loads(done.out)
        assert (event["connection"]["customerScope"], event["connection"]["username"]) == ("acme", None)
        assert event["connection"]["meta"] == {"a": "b=c"}
        await eventually(lambda: api.dispatcher.status()[0].dead == 1)
        await api.journal.get(event["uuid"])
        done = await run("hooks", "dead", *place)
        assert event["uuid"] in done.lines[0]
        assert receiver.url in done.lines[1]
        assert "HTTP 503" in done.lines[2]
        assert "HTTP 400" in done.lines[3]
        done = await run("hooks", "dead", "--json", *place)
        assert uuids(done.lines) == [event["uuid"]]
        done = await run("hooks", "show", event["uuid"].upper(), *place)
        assert '"customerScope": "acme"' in done.out
        assert "dead after 2 attempts" in done.out
        done = await run("hooks", "show", event["uuid"], "--json", *place)
        shown = json.loads(done.out)
        assert shown["deliveries"][0]["attempts"][1]["detail"] == "HTTP 400"
        assert {key: shown[key] for key in event} == event

        done = await run("hooks", "resend", event["uuid"], *instance)
        assert (done.code, done.out) == (0, "1 delivery will be made again.\n")
        await receiver.wait_for_count(3)
        await eventually(lambda: api.dispatcher.status()[0].delivered == 1)
        assert len({hook.body for hook in receiver.hooks}) == 1
        done = await run("hooks", "dead", *place)
        assert (done.code, done.out) == (0, "")
        done = await run("hooks", "resend", "--dead", "--sink", receiver.url, *instance)
        assert (done.code, done.out) == (0, "0 deliveries will be made again.\n")
        done = await run(
            "hooks", "trigger", "peer_joined", "--param", f"session={event['payload']['session']}", *instance
        )
        assert "#2" in done.lines[0]
        assert done.lines[1].startswith("uuid ")


async def test_token(tmp_path: Path) -> None:
    """The token comes from the option or the environment; without it one line says so, and it is never printed."""
    async with hook_api(token="hush") as api:
        done = await run("hooks", "trigger", "session", "--url", api.url)
        assert done.code == 1
        assert "--token" in done.err
        assert (await run("hooks", "trigger", "session", "--url", api.url, "--token", "hush")).code == 0
        assert (await run("hooks", "trigger", "session", "--url", api.url, SMPROXY_ADMIN_TOKEN="hush")).code == 0
        done = await run("hooks", "trigger", "session", "--url", api.url, "--token", "hushhush")
        assert (done.code, "hush" in done.err) == (1, False)


async def test_mistakes(tmp_path: Path) -> None:
    """A mistake gives a line and exit code 2 for unusable arguments, 1 for what cannot be done; never a traceback."""
    await fill(tmp_path / "data")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE_NAME).write_bytes(b"no database" * 1000)
    (tmp_path / "foreign").mkdir()
    foreign = sqlite3.connect(tmp_path / "foreign" / FILE_NAME)
    foreign.execute("CREATE TABLE t(x)")
    foreign.commit()
    foreign.close()
    data = ["--data-dir", "data"]
    async with hook_api() as api:
        url = ["--url", api.url]
        for arguments, code, part in (
            (["list"], 1, "--data-dir"),
            (["list", "--data-dir", ":memory:"], 1, ":memory:"),
            (["list", "--data-dir", "broken"], 1, FILE_NAME),
            (["list", "--data-dir", "foreign"], 1, FILE_NAME),
            (["list", *data, "--since", "soon"], 2, "10m"),
            (["list", *data, "--limit", "0"], 2, "--limit"),
            (["list", *data, "--session", "x"], 2, "--session"),
            (["list", *data, "--session", "9" * 30], 2, "--session"),
            (["list", *data, "--event", "meeting"], 2, "session, peer"),
            (["list", *data, "--state", "asleep"], 2, "connecting"),
            (["show", "nothing", *data], 1, "nothing"),
            (["show", *data], 2, "UUID"),
            (["resend", *url], 2, "--dead"),
            (["resend", "x", "--dead", *url], 2, "--dead"),
            (["resend", "x", *url], 1, "no event x"),
            (["resend", "--dead", "--sink", "x", *url], 1, "no sink x"),
            (["trigger", "meeting", *url], 1, "choose one of"),
            (["trigger", "session", "--param", "reason", *url], 2, "KEY=VALUE"),
            (["trigger", "disconnected", "--param", "reason=9", *url], 1, "reason"),
            (["trigger", "session", "--url", "http://127.0.0.1:9"], 1, "smproxy serve"),
            (["trigger", "session", "--url", "ftp://x"], 2, "--url"),
            (["trigger", "session", "--url", "http://a:hush@x"], 2, "--token"),
            (["trigger", "session", "--url", "http://[::1"], 2, "--url"),
            ([], 2, "COMMAND"),
        ):
            done = await run("hooks", *arguments, cwd=tmp_path)
            assert done.code == code, done
            assert part in done.err, done
            assert "Traceback" not in done.err
            assert "hush" not in done.err
            assert done.err.count("\n") == 1 or "usage:" in done.err, done.err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["hooks", "--help"], ["listen", "--help"], ["hooks", "trigger", "--help"]]
)
async def test_help_is_light(arguments: list[str]) -> None:
    """Help imports neither the HTTP library nor the media library."""
    import asyncio
    import sys

    program = (
        "import sys; from smproxy.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "sys.exit(bool({'aiohttp', 'aiortc', 'av', 'sqlite3', 'prometheus_client'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
