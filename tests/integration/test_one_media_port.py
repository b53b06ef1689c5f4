"""All media on one UDP port, through a port mapping and within one machine."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from smproxy.settings import SettingsError
from smproxy.testing import Publisher, PublishError, Subscriber

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.port_mapping import HOST, port_mapping

SMPROXY = f"{sys.executable} -m smproxy"


async def test_many_clients_share_it(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """Publishers and subscribers of every transport have their media on one port, each its own; an end harms no other."""
    simulator = await start_simulator(media_port=0)
    streams = [publisher(simulator, f"s{n}", **({"transport": "whip"} if n % 2 else {})) for n in range(4)]
    await asyncio.gather(*(published(simulator, stream) for stream in streams))
    params = {"customerScope": "acme"}
    watching = [
        Subscriber(simulator.url, stream=f"s{n}", params=params, **({"transport": "whep"} if n < 2 else {}))
        for n in range(4)
    ]
    try:
        await asyncio.gather(*(each.subscribe() for each in watching))
        for number, each in enumerate(watching):
            await eventually(lambda each=each: each.statistics["video"].packets > 30, 20, f"s{number} is not seen")
        await streams[0].unpublish()
        await watching[1].close()
        seen = watching[2].statistics["video"].packets
        await eventually(lambda: watching[2].statistics["video"].packets > seen + 30, 20)
    finally:
        for each in watching:
            await each.close()


async def test_through_a_port_mapping(tmp_path: Path) -> None:
    """With one UDP and one TCP port mapped, as into a container, a client outside publishes and plays."""
    async with port_mapping(tmp_path) as machines:
        await machines.server.stays(
            f"{SMPROXY} serve --host 0.0.0.0 --any-host --data-dir :memory: --media-port 5100 --media-address {HOST}",
            "Hooks go to",
        )
        url = f"http://{HOST}:5080"
        await machines.client.stays(
            f"{SMPROXY} publish --whip {url}/live/whip/endpoint/cam --pattern counter", "live after"
        )
        seen = await machines.client.ends(f"{SMPROXY} subscribe --whep {url}/live/whep/endpoint/cam --duration 3")
        assert re.search(r"\b[1-9]\d* frames of 320x240", seen)
        proxy = f"ws://{HOST}:5080/streammanager"
        await machines.client.stays(f"{SMPROXY} publish {proxy} --stream two --pattern counter", "live after")
        seen = await machines.client.ends(f"{SMPROXY} subscribe {proxy} --stream two --duration 3")
        assert re.search(r"\b[1-9]\d* frames of 320x240", seen)


async def test_a_port_that_is_taken(start_simulator: StartSimulator) -> None:
    """A media port that another server has is refused in one line with the option's name."""
    first = await start_simulator(media_port=0)
    with pytest.raises(SettingsError, match=r"--media-port \d+: .*in use"):
        await start_simulator(media_port=first.media_port)


async def test_candidates_say_the_announced_address(start_simulator: StartSimulator) -> None:
    """A client is told the announced address and the one port, and nothing of this machine's addresses."""
    simulator = await start_simulator(media_port=0, media_address=("203.0.113.9",))
    stream = Publisher(simulator.url, stream="s", params={"customerScope": "acme"}, timeout=1)
    with pytest.raises(PublishError):
        await stream.publish()
    told = [frame.text for frame in stream.frames if frame.sender == "server"]
    candidates = {match for text in told for match in re.findall(r"udp \d+ (\S+) (\d+) typ host", text)}
    assert candidates == {("203.0.113.9", str(simulator.media_port))}
