"""The pages and their files as HTTP serves them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import aiohttp
import pytest
from smproxy.manager.rest.pages import PAGES, WEB, fill
from smproxy.settings import Settings, SettingsError

from tests.integration.conftest import StartSimulator

SCRIPTS = sorted(WEB.rglob("*.js"))


def policy(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Read the content security policy of an answer."""
    directives = response.headers["Content-Security-Policy"].split(";")
    return {name: " ".join(rest) for name, *rest in (directive.split() for directive in directives)}


@pytest.mark.parametrize("path", PAGES)
async def test_page(start_simulator: StartSimulator, path: str) -> None:
    """Each page comes with a policy that allows nothing inline and nobody to frame it, and asks to be checked for changes."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession() as http, http.get(simulator.rest_url + path) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
        rules = policy(response)
        assert (rules["default-src"], rules["script-src"], rules["style-src"]) == ("'none'", "'self'", "'self'")
        assert (rules["frame-ancestors"], rules["form-action"], rules["base-uri"]) == ("'none'",) * 3
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-cache"
        assert "<script>" not in text
        assert " style=" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


async def test_dashboard_connects_to_its_server_only(start_simulator: StartSimulator) -> None:
    """The dashboard may ask its own server and nobody else."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession() as http, http.get(simulator.rest_url) as response:
        assert policy(response)["connect-src"] == "'self'"


async def test_files(start_simulator: StartSimulator) -> None:
    """Every file of the pages is served with its type, and again with 304 while it has not changed."""
    simulator = await start_simulator()
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    async with aiohttp.ClientSession() as http:
        for path in (path for path in WEB.rglob("*") if path.suffix in types):
            url = f"{simulator.rest_url}/web/{path.relative_to(WEB).as_posix()}"
            async with http.get(url) as response:
                assert response.status == 200, url
                assert response.content_type == types[path.suffix]
                assert await response.read() == path.read_bytes()
                known = {"If-None-Match": response.headers["ETag"]}
            async with http.get(url, headers=known) as response:
                assert response.status == 304


@pytest.mark.parametrize(
    "path", ["nothing.js", "../py.typed", "%2e%2e/settings.py", "shared/../../cli.py", "/etc/passwd", ""]
)
async def test_nothing_else(start_simulator: StartSimulator, path: str) -> None:
    """What is no file of the pages is not found, however it is written."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/web/{path}") as response:
        assert response.status == 404
        assert response.content_type == "application/json"


async def test_sdk_file(start_simulator: StartSimulator, tmp_path: Path) -> None:
    """The SDK file is served under its name, which the page is told, and nothing beside it is."""
    sdk = tmp_path / 'my "sdk".js'
    sdk.write_text("window.red5prosdk = {};")
    (tmp_path / "secret.txt").write_text("secret")
    simulator = await start_simulator(sdk_file=sdk)
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{simulator.rest_url}/publish") as response:
            assert 'content="/sdk/my%20%22sdk%22.js"' in await response.text()
        async with http.get(f"{simulator.rest_url}/sdk/my%20%22sdk%22.js") as response:
            assert (response.status, response.content_type) == (200, "text/javascript")
            assert await response.text() == "window.red5prosdk = {};"
        async with http.get(f"{simulator.rest_url}/sdk/secret.txt") as response:
            assert response.status == 404


def test_sdk_file_must_be_there(tmp_path: Path) -> None:
    """A file that is not there is refused at the start, with the path in the message."""
    with pytest.raises(SettingsError, match=r"--sdk-file .*missing\.js: there is no such file"):
        Settings(sdk_file=tmp_path / "missing.js")


def test_facts_are_escaped() -> None:
    """What the server fills into a page cannot leave its attribute."""
    page = fill('<meta name="app" content="" />', {"app": '"><script>'})
    assert page == '<meta name="app" content="&quot;&gt;&lt;script&gt;" />'


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(WEB).as_posix())
def test_scripts(script: Path) -> None:
    """No script makes markup of text or runs text, none is too long to be read, and each imports only files that are there."""
    text = script.read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in text
    assert len(text.splitlines()) < 250
    for line in text.splitlines():
        if " from " in line and line.rstrip().endswith('";'):
            assert (script.parent / line.rsplit('"', 2)[1]).is_file(), line


def test_scripts_parse() -> None:
    """Every script is a valid module."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("node is missing: it comes with npm, which make test needs too", pytrace=False)
    for script in SCRIPTS:
        done = subprocess.run(
            [node, "--check", "--input-type=module"], input=script.read_bytes(), capture_output=True, check=False
        )
        assert done.returncode == 0, f"{script}: {done.stderr.decode()}"
