"""Several ports that serve the same, and a user's own pages on them."""

from __future__ import annotations

import asyncio
import re
import ssl
import urllib.request
from pathlib import Path

import aiohttp
import pytest
from smproxy.settings import Settings, SettingsError, option_values
from smproxy.simulator import Simulator
from smproxy.testing import Publisher

from tests.helpers import scaled
from tests.integration.commands import run, start
from tests.integration.conftest import StartSimulator
from tests.nats_server import free_port


async def test_every_port_serves_everything(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """A stream from a TLS port is in the lists on each port, plain and TLS, and its pages are on each."""
    (tmp_path / "index.html").write_text("mine")
    pages = (("/mine/", tmp_path),)
    simulator = await start_simulator(port=(0, 0), tls_port=(0, 0), tls_self_signed=True, pages=pages)
    assert len({*simulator.ports, *simulator.tls_ports}) == 4
    assert (simulator.port, simulator.tls_port) == (simulator.ports[0], simulator.tls_ports[0])
    url = f"wss://localhost:{simulator.tls_ports[1]}/streammanager"
    assert simulator.authority is not None
    tls = ssl.create_default_context(cafile=str(simulator.authority.authority))
    async with (
        Publisher(url, stream="cam", ssl=tls, data_channel=False),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http,
    ):
        bases = [f"http://localhost:{port}" for port in simulator.ports]
        bases += [f"https://localhost:{port}" for port in simulator.tls_ports]
        for base in bases:
            async with http.get(f"{base}/live/streams.jsp") as response:
                assert await response.json(content_type=None) == [{"name": "cam"}], base
            async with http.get(f"{base}/mine/") as response:
                assert await response.text() == "mine"
            async with http.ws_connect(
                f"{base}/live?id=other-{base[-5:]}", timeout=aiohttp.ClientWSTimeout(1)
            ) as socket:
                assert "Connect.Success" in await socket.receive_str(timeout=scaled(10))


async def test_banner_names_every_port(tmp_path: Path) -> None:
    """``--port`` twice opens both, which the banner shows, and the variable takes several with spaces between."""
    process = await start("serve", "--data-dir", ":memory:", cwd=tmp_path, SMPROXY_PORT=f"{free_port()} {free_port()}")
    assert process.stdout is not None
    try:
        ports = set()
        async with asyncio.timeout(scaled(20)):
            while b"Hooks go to" not in (line := await process.stdout.readline()):
                assert line, "it has ended"
                ports |= set(re.findall(rb"(?:Dashboard|The same) +http://localhost:(\d+)/", line))
        assert len(ports) == 2
        async with aiohttp.ClientSession() as http:
            for port in ports:
                async with http.get(f"http://localhost:{port.decode()}/healthz") as response:
                    assert response.status == 200
    finally:
        process.terminate()
        await process.communicate()


async def test_the_wildcard_of_ipv6_is_every_address(tmp_path: Path) -> None:
    """With ``--host ::`` the same port is open for IPv4 and for IPv6, so each address of the banner answers."""
    arguments = ["--host", "::", "--port", "0", "--data-dir", ":memory:"]
    process = await start("serve", *arguments, cwd=tmp_path)
    assert process.stdout is not None
    try:
        banner = ""
        async with asyncio.timeout(scaled(20)):
            while "Hooks go to" not in banner:
                line = await process.stdout.readline()
                assert line, banner
                banner += line.decode()
        (port,) = set(re.findall(r"http://[^/ ]+:(\d+)", banner))
        others = re.findall(rf"http://([^/ ]+):{port}/(?= |$)", banner, re.MULTILINE)
        async with aiohttp.ClientSession() as http:
            for host in {*others, "127.0.0.1", "[::1]"}:
                async with http.get(f"http://{host}:{port}/healthz") as response:
                    assert response.status == 200
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--port", "7000", "--port", "7000"], "port 7000 is given twice"),
        (["--port", "7000", "--tls-self-signed", "--tls-port", "7000"], "port 7000 is given twice"),
        (["--pages", "missing"], "--pages missing: there is no such directory"),
        (["--pages", "mine=."], "--pages mine=.: there is no such directory: give one, or /PATH/=DIR"),
        (["--pages", "/api=."], "/api is a path of the stream manager's own"),
        (["--pages", "/=."], "PATH is made of"),
        (["--pages", "/live/=."], "that is where the streams are"),
        (["--trust-proxy", "10.0.0.1/8"], "an address or a network"),
        (["--trust-proxy", "proxy.example"], "an address or a network"),
    ],
)
async def test_refused(arguments: list[str], part: str, tmp_path: Path) -> None:
    """What cannot be meant is refused in one line."""
    done = await run("serve", *arguments, cwd=tmp_path)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert part in done.err


def test_inside_a_test(tmp_path: Path) -> None:
    """A simulator in a program takes several ports, a directory of pages by its path or with one, and a proxy to trust."""
    (tmp_path / "index.html").write_text("mine")
    with Simulator(port=[0, 0], pages=tmp_path, trust_proxy="10.0.0.0/8") as stream_manager:
        assert stream_manager.port == stream_manager.ports[0] != stream_manager.ports[1]
        assert (stream_manager.tls_port, stream_manager.tls_ports) == (None, ())
        url = f"http://localhost:{stream_manager.ports[1]}/webrtcexamples/"
        with urllib.request.urlopen(url, timeout=scaled(10)) as response:
            assert response.read() == b"mine"
    with Simulator(pages=[f"/a/={tmp_path}", f"/b/c={tmp_path}"]) as stream_manager:
        for path in ("/a/", "/b/c/"):
            with urllib.request.urlopen(stream_manager.rest_url + path, timeout=scaled(10)) as response:
                assert response.read() == b"mine"


def test_no_port() -> None:
    """Settings without any port are refused."""
    with pytest.raises(SettingsError, match="no port is given"):
        Settings(port=())


async def test_paths_of_its_own(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """No directory of pages can stand where the stream manager has a route."""
    simulator = await start_simulator()
    canonical = {route.resource.canonical for route in simulator.manager.router.routes() if route.resource is not None}
    first = {path.split("/")[1] for path in canonical} - {""}
    own = {name for name in first if not name.startswith("{")}
    assert {"api", "as", "streammanager", "metrics"} <= own
    allowed = set()
    for name in own:
        try:
            Settings(pages=(option_values.pages(f"/{name}/site={tmp_path}"),))
        except ValueError:
            continue
        allowed.add(name)
    assert allowed == set()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of pages, with what must not be served inside and beside it."""
    site = tmp_path / "site"
    (site / "sub" / "deep").mkdir(parents=True)
    (site / "sub" / "empty").mkdir()
    (site / ".git").mkdir()
    for name in ("index.html", "sub/index.html", "sub/app.mjs", "sub/deep/a b.css", ".env", ".git/config", "m.wasm"):
        (site / name).write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    (site / "out.txt").symlink_to(tmp_path / "secret.txt")
    (site / "outside").symlink_to(tmp_path)
    (site / "hidden.txt").symlink_to(site / ".env")
    (site / "inside.html").symlink_to(site / "sub" / "index.html")
    (site / "loop").symlink_to(site / "loop")
    return site


async def test_pages(start_simulator: StartSimulator, site: Path) -> None:
    """Files come with their type, an index for a directory, 304 while they are the same, and in ranges; also with a token."""
    simulator = await start_simulator(pages=(("/webrtcexamples/", site),), admin_token="t")
    async with aiohttp.ClientSession(f"{simulator.rest_url}/webrtcexamples/") as http:
        for path, kind, text in [
            ("", "text/html", "index.html"),
            ("index.html?host=localhost", "text/html", "index.html"),
            ("sub/", "text/html", "sub/index.html"),
            ("sub?a=b", "text/html", "sub/index.html"),
            ("sub/app.mjs", "text/javascript", "sub/app.mjs"),
            ("sub/deep/a%20b.css", "text/css", "sub/deep/a b.css"),
            ("m.wasm", "application/wasm", "m.wasm"),
            ("inside.html", "text/html", "sub/index.html"),
        ]:
            async with http.get(path) as response:
                assert (response.status, response.content_type) == (200, kind), path
                assert await response.text() == text
                tag = response.headers["ETag"]
            async with http.get(path, headers={"If-None-Match": tag}) as response:
                assert response.status == 304, path
        async with http.get("sub?a=b", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (308, "/webrtcexamples/sub/?a=b")
        async with http.get(f"{simulator.rest_url}/webrtcexamples", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (308, "/webrtcexamples/")
        async with http.get("index.html", headers={"Range": "bytes=0-4"}) as response:
            assert (response.status, await response.text()) == (206, "index")
        async with http.head("index.html") as response:
            assert (response.status, response.content_length) == (200, 10)
        async with http.post("index.html") as response:
            assert response.status == 405


NOT_SERVED = [
    *(
        "none.html",
        "sub/empty/",
        "sub/empty",
        "sub/app.mjs/",
        "sub/app.mjs/x",
        "index.html/",
        "%00",
        "a%00b",
        "x" * 5000,
    ),
    *(".env", ".git/config", "sub/../.env", "hidden.txt", "loop", "/", "sub//app.mjs"),
    *("out.txt", "outside/secret.txt", "outside/", "outside"),
    *("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt", "sub/../../secret.txt"),
    *("..%5csecret.txt", "sub%2f..%2f..%2fsecret.txt", "%2fetc%2fpasswd", "//etc/passwd", "sub/%2fetc/passwd"),
]


@pytest.mark.parametrize("path", NOT_SERVED)
async def test_what_is_not_served(start_simulator: StartSimulator, site: Path, path: str) -> None:
    """No way leads out of the directory or to a dot file, however the path is written: no ``..``, no link, no escape."""
    simulator = await start_simulator(pages=(("/pages/", site),), local_origin=False, allow_host=("x",))
    assert await _status(simulator, f"/pages/{path}") == 404


async def _status(simulator: Simulator, path: str) -> int:
    """Ask for a path exactly as it is written, which HTTP clients would tidy up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(scaled(10)):
        answer = await reader.read()
    writer.close()
    assert b"secret" not in answer.partition(b"\r\n\r\n")[2].replace(b"secret.txt", b"")
    return int(answer.split()[1])


async def test_changed_file(start_simulator: StartSimulator, site: Path) -> None:
    """A page that was edited comes anew at once."""
    simulator = await start_simulator(pages=(("/pages/", site),))
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{simulator.rest_url}/pages/") as response:
            tag = response.headers["ETag"]
        (site / "index.html").write_text("another text")
        async with http.get(f"{simulator.rest_url}/pages/", headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.text()) == (200, "another text")


@pytest.mark.parametrize(
    "path", ["/streammanager", "/streammanager/", "/live", "/live/room", "/as/v1/proxy/ws/publish/live/cam", "/cluster"]
)
async def test_upgrade_after_a_request(start_simulator: StartSimulator, path: str) -> None:
    """A WebSocket is opened on a connection that has served HTTP before, on every path for signaling."""
    simulator = await start_simulator()
    connections = []
    trace = aiohttp.TraceConfig()

    async def connected(*_: object) -> None:
        connections.append(1)

    trace.on_connection_create_end.append(connected)
    async with aiohttp.ClientSession(simulator.rest_url, trace_configs=[trace]) as http:
        async with http.get("/healthz") as response:
            assert response.status == 200
        async with http.ws_connect(f"{path}?id=cam") as socket:
            assert "Connect.Success" in await socket.receive_str(timeout=scaled(10))
            assert connections == [1]
