"""``smproxy sessions`` against a running instance."""

from __future__ import annotations

import json

from smproxy.simulator import Simulator

from tests.helpers import eventually
from tests.integration.commands import Finished, run
from tests.integration.conftest import MakePublisher, StartSimulator, published


async def sessions(simulator: Simulator, *arguments: str, **environ: str) -> Finished:
    """Run one of the commands at a simulator."""
    return await run("sessions", *arguments, "--url", simulator.rest_url, **environ)


async def lived(simulator: Simulator, publisher: MakePublisher, name: str) -> None:
    """Have a publisher come and go."""
    stream = publisher(simulator, name, params={"password": "hunter2!"})
    await published(simulator, stream)
    await stream.unpublish()
    await eventually(lambda: not len(simulator.manager.sessions))


async def test_list(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Sessions are listed one a line, the newest last, in words or as JSON, and filters choose among them."""
    simulator = await start_simulator()
    for name in ("cam-1", "cam-2"):
        await lived(simulator, publisher, name)
    listed = await sessions(simulator, "list")
    assert listed.code == 0
    assert ["cam-1" in line for line in listed.lines] == [True, False]
    assert all("publisher" in line and "disconnected" in line and "user_action" in line for line in listed.lines)
    (only,) = (await sessions(simulator, "list", "--json", "--id", "cam-2")).lines
    assert json.loads(only)["stream"] == "cam-2"
    assert (await sessions(simulator, "list", "--role", "subscriber")).out == ""


async def test_show(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """One session is shown with its media and its timeline; without a number it is the newest."""
    simulator = await start_simulator()
    await lived(simulator, publisher, "cam-1")
    shown = await sessions(simulator, "show")
    assert shown.code == 0
    for words in ("cam-1", "video_main", "VP8", "handleOffer cam-1", "#2 connected", "NetStream.Unpublish.Success"):
        assert words in shown.out
    view = json.loads((await sessions(simulator, "show", "--json")).out)
    assert view["timeline"][0]["title"] == "#1 connecting"
    same = await sessions(simulator, "show", str(view["session"]))
    assert same.out == shown.out


async def test_export(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """An export begins with whose session it is; what was said follows, and no password is in it."""
    simulator = await start_simulator()
    await lived(simulator, publisher, "cam-1")
    exported = await sessions(simulator, "export")
    header, *frames = map(json.loads, exported.lines)
    assert (header["kind"], header["role"], header["id"]) == ("session", "publisher", "cam-1")
    assert "password=***" in header["url"]
    assert header["version"]
    assert frames[-1]["from"] == "client"
    assert "hunter2" not in exported.out


async def test_what_cannot_be_done(start_simulator: StartSimulator) -> None:
    """What cannot be done is said in one line, with exit code 1; what cannot be understood has code 2."""
    simulator = await start_simulator(admin_token="sesame")
    refused = await sessions(simulator, "list")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "--token" in refused.err
    nobody = await sessions(simulator, "export", SMPROXY_ADMIN_TOKEN="sesame")
    assert (nobody.code, nobody.err) == (1, "smproxy sessions: there is no session yet\n")
    unknown = await sessions(simulator, "show", "1", "--token", "sesame")
    assert (unknown.code, "no session 1" in unknown.err) == (1, True)
    assert (await sessions(simulator, "show", "cam-1")).code == 2
    assert (await run("sessions", "list", "--url", "http://127.0.0.1:1")).code == 1
