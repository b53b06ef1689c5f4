"""What is captured of sessions, as tshark reads it."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from pathlib import Path

import aiohttp
import pytest
from smproxy.settings import SettingsError
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected, Subscriber

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published

_FIELDS = (
    "ip.src", "stun.type", "dtls.handshake.type", "rtp.ssrc", "rtp.p_type", "rtp.seq", "rtcp.pt",
    "exported_pdu.src_port", "exported_pdu.dst_port", "udp.checksum.status", "ip.checksum.status",
)  # fmt: skip


async def _dissect(file: Path) -> list[dict[str, str]]:
    """Return the fields of each packet as tshark sees them; none is malformed, and every checksum is right."""
    process = await asyncio.create_subprocess_exec(
        "tshark", "-n", "-r", file, "-T", "fields", "-e", "_ws.malformed", *(part for f in _FIELDS for part in ("-e", f)),
        "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    packets = [dict(zip(("bad", *_FIELDS), line.split("\t"), strict=True)) for line in out.decode().splitlines()]
    assert not [
        each for each in packets if each["bad"] or "0" in each["udp.checksum.status"] + each["ip.checksum.status"]
    ]
    return packets


def _values(packets: list[dict[str, str]], field: str) -> set[str]:
    return {value for each in packets for value in each[field].split(",") if value}


async def _get(simulator: Simulator, path: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/api/v1/sessions/{path}") as response:
        return response.status, await response.read()


def _session(simulator: Simulator, role: str) -> int:
    return next(view.session for view in simulator.manager.history.newest() if view.role == role)


@pytest.mark.parametrize("over", ["websocket", "http"])
async def test_a_session_from_its_first_packet_on(
    over: str, start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path
) -> None:
    """With --capture a session's file has STUN, DTLS, RTP in order and reports of both sides, with real addresses."""
    simulator = await start_simulator(capture=tmp_path / "packets")
    http = over == "http"
    stream = publisher(simulator, "cam", **({"transport": "whip"} if http else {}))
    await published(simulator, stream)
    params = {"customerScope": "acme"}
    async with Subscriber(
        simulator.url, stream="cam", params=params, **({"transport": "whep"} if http else {})
    ) as watching:
        await eventually(lambda: watching.statistics["video"].packets > 60, 20)
        await eventually(lambda: _reports_of_both(simulator), 20)
    await stream.unpublish()
    directory = tmp_path / "packets"
    await eventually(lambda: len(list(directory.glob("*.pcapng"))) == 2, 10, "no files were written")
    for role in ("publisher", "subscriber"):
        (file,) = directory.glob(f"acme-{role}-cam*.pcapng" if role == "publisher" else f"acme-{role}-*.pcapng")
        status, body = await _get(simulator, f"{_session(simulator, role)}/capture.pcapng")
        assert (status, body) == (200, file.read_bytes())
        assert str(_session(simulator, role)).encode() in body[:400]
        packets = await _dissect(file)
        assert {"0x0001", "0x0101"} <= _values(packets, "stun.type")
        assert {"1", "2"} <= _values(packets, "dtls.handshake.type")
        assert {"200", "201"} <= _values(packets, "rtcp.pt"), "reports of the sender and the receiver"
        media = [each for each in packets if each["rtp.seq"]]
        assert len({(each["exported_pdu.src_port"], each["exported_pdu.dst_port"]) for each in media}) == 1
        for ssrc in _values(media, "rtp.ssrc"):
            numbers = [int(each["rtp.seq"]) for each in media if each["rtp.ssrc"] == ssrc]
            assert len(numbers) > 20
            assert all((b - a) % 65536 == 1 for a, b in itertools.pairwise(numbers))
            assert len({each["rtp.p_type"] for each in media if each["rtp.ssrc"] == ssrc}) == 1


def _reports_of_both(simulator: Simulator) -> bool:
    """Whether reports of either side were captured in each session; they come once a second."""
    (node,) = simulator.manager.registry.nodes
    assert node.capture is not None
    rings = [node.capture(each.token, False) for each in simulator.manager.sessions.attempts]
    return all({200, 201} <= {packet.data[1] for packet in ring.since(0).packets} for ring in rings if ring is not None)


async def test_a_live_session_on_request(
    start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path
) -> None:
    """Nothing is captured unless asked for; ``seconds`` begins with a live session, and a later request has all of it."""
    simulator = await start_simulator()
    stream = publisher(simulator, "cam")
    await published(simulator, stream)
    number = _session(simulator, "publisher")
    status, body = await _get(simulator, f"{number}/capture.pcapng")
    assert status == 409
    assert "seconds=10" in json.loads(body)["errorMessage"]
    status, body = await _get(simulator, f"{number}/capture.pcapng?seconds=1.5")
    assert status == 200
    file = tmp_path / "live.pcapng"
    file.write_bytes(body)
    first = len([each for each in await _dissect(file) if each["rtp.ssrc"]])
    assert first > 10
    status, body = await _get(simulator, f"{number}/capture.pcapng")
    assert status == 200
    file.write_bytes(body)
    assert len([each for each in await _dissect(file) if each["rtp.ssrc"]]) >= first
    status, body = await _get(simulator, f"{number + 1}/capture.pcapng")
    assert status == 404


@pytest.mark.parametrize(
    ("asked", "why"), [(True, "it had no media, or ended too long ago"), (False, "start with --capture DIR")]
)
async def test_a_session_without_packets(
    start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path, asked: bool, why: str
) -> None:
    """Why there are no packets of a session that has ended: it had none, or none were asked for."""
    simulator = await start_simulator(capture=tmp_path if asked else None)
    with pytest.raises(PublishRejected):
        await publisher(simulator, "cam", params={"simulate": "connect-rejected"}).publish()
    status, body = await _get(simulator, f"{_session(simulator, 'publisher')}/capture.pcapng")
    assert status == 409
    assert json.loads(body)["errorMessage"].endswith(f": {why}.")


async def test_the_command(start_simulator: StartSimulator, publisher: MakePublisher, tmp_path: Path) -> None:
    """``smproxy capture`` writes the newest session's packets to a file, or says in one line why it cannot."""
    simulator = await start_simulator()

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "smproxy", "capture", "--url", simulator.rest_url, *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
        )  # fmt: skip
        _, error = await process.communicate()
        return process.returncode or 0, error.decode()

    assert await run() == (1, "smproxy capture: there is no session yet\n")
    stream = publisher(simulator, "cam")
    await published(simulator, stream)
    code, said = await run()
    assert code == 1
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("*.pcapng"))
    assert (await run("--seconds", "1", "-o", "out.pcapng"))[0] == 0
    assert _values(await _dissect(tmp_path / "out.pcapng"), "rtp.ssrc")


async def test_a_directory_that_cannot_be(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """A directory for captures that cannot be made keeps the server from starting, in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        SettingsError, match=r"^--capture \S+/file/below: not a directory: give a directory that can be "
    ):
        await start_simulator(capture=tmp_path / "file" / "below")
