"""Every shell command of README and docs, as printed, in a fresh clone: also those for two terminals and npm.

Only numbers that the pages cannot know, of sessions and hooks, are replaced by real ones.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.browser.sdk import SDKS
from tests.clone import ROOT, clone, run, virtual_environment
from tests.js_package import built
from tests.terminals import Terminals

pytestmark = pytest.mark.media

PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]

#: What the developers' own targets do is run as such; each must be one of the Makefile.
TARGETS = re.compile(r"make (?!install\b|run\b)([a-z-]+)( .*)?")


def blocks(page: str, language: str) -> list[str]:
    """Return a page's blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def commands(page: str) -> list[str]:
    """Return the commands of a page's shell blocks, one a line, without comments."""
    lines = [
        re.sub(r"\s+# .*|^# .*", "", line)
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", "").splitlines()
    ]
    return [line for line in lines if line.strip()]


class Page:
    """The commands of a page, each to be taken once."""

    def __init__(self, name: str) -> None:
        self._left = [command for command in commands(name) if not TARGETS.fullmatch(command)]

    def take(self, begin: str, **values: str) -> str:
        """Take the first command that begins so, with values in place of those that are printed."""
        command = next((each for each in self._left if each.startswith(begin)), None)
        assert command is not None, f"there is no command {begin!r} (any more) in {self._left}"
        self._left.remove(command)
        for printed, real in values.items():
            assert printed.removeprefix("_") in command
            command = command.replace(printed.removeprefix("_"), real)
        return command

    def check(self) -> None:
        """Fail when a command was not run."""
        assert not self._left, f"nobody runs {self._left}"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which ``make install`` was run; what it would download is there already."""
    directory = clone(tmp_path_factory.mktemp("stream-manager-proxy"))
    virtual_environment(directory / ".venv")
    run("sh", "-c", Page("README.md").take("make install"), cwd=directory)
    return directory


@pytest.fixture
async def terminals(fresh: Path) -> AsyncIterator[Terminals]:
    """Terminals in the clone."""
    async with Terminals.on_another_machine(fresh) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_left(fresh: Path) -> Iterator[None]:
    """What a test leaves in the clone is not there for the next."""
    yield
    run("sh", "-c", "rm -rf .smproxy .smproxy-2 terminal-* bug.jsonl red5pro*", cwd=fresh)


def test_every_page_is_run() -> None:
    """A page that gets shell commands needs a test here; those of the Makefile must exist."""
    here = set(re.findall(r'Page\("([^"]+)"\)', Path(__file__).read_text()))
    assert {page for page in PAGES if commands(page)} <= here
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for command in commands(page):
            if match := TARGETS.fullmatch(command):
                assert match[1] in targets, command
    Page("CONTRIBUTING.md").take("make install")


async def test_stream_manager_2(terminals: Terminals) -> None:
    """The commands of docs/stream-manager-2.md, against a server that runs."""
    await terminals.stays("smproxy serve", "Hooks go to")
    page = Page("docs/stream-manager-2.md")
    assert '"token"' in await terminals.ends(page.take("curl -u admin"))
    assert '"streamGuid":"live/cam"' in await terminals.ends(page.take("curl http"))
    page.check()


async def test_ports(terminals: Terminals) -> None:
    """The commands of docs/ports.md."""
    page = Page("docs/ports.md")
    await terminals.stays(page.take("smproxy serve --port"), "Hooks go to")
    for url in ("http://localhost:5080", "http://localhost:8081", "https://localhost:443", "https://localhost:8083"):
        await terminals.ends(f"curl --insecure --fail --silent {url}/healthz")
    await terminals.stays(page.take("smproxy serve --trust-proxy") + " --port 0 --data-dir :memory:", "Hooks go to")
    page.check()


async def test_readme(terminals: Terminals) -> None:
    """The README, from top to bottom."""
    page = Page("README.md")
    page.take("make install")
    server = await terminals.stays(page.take("make run"), "Hooks go to")
    await terminals.stays(page.take(".venv/bin/smproxy publish"), "live after")
    watched = await terminals.ends(page.take(".venv/bin/smproxy subscribe"))
    assert "0 missing, 0 out of order" in watched
    await terminals.stays(page.take("make run"), "localhost:5081/")
    await terminals.stays(page.take(".venv/bin/smproxy listen"), "receiving at")
    assert "peer_joined" in await terminals.ends(page.take(".venv/bin/smproxy hooks list"))
    assert "connected" in await terminals.ends(page.take(".venv/bin/smproxy hooks trigger"))
    await terminals.stays(page.take(".venv/bin/python -m websockets"), "Connected to")
    waiting = asyncio.create_task(_silent(terminals, page.take('curl "localhost')))
    await terminals.stays("smproxy publish --stream mystream --customer-scope acme", "live after")
    assert json.loads(await waiting)["connection"]["id"] == "mystream"
    assert "mystream" in await terminals.ends(page.take("curl localhost:5080/api/v1/streams"))
    await terminals.ends(page.take("curl -X POST"))
    npm = [page.take("npm pack"), page.take("tar ")]
    run("sh", "-c", "\n".join(npm), cwd=terminals.directory)
    (sdk,) = [each for each in SDKS if each.version == "11.0.0"]
    assert (terminals.directory / "red5pro-sdk.min.js").read_bytes() == sdk.obtain().read_bytes()
    await terminals.stays(page.take("python3 -m http.server"), "Serving HTTP")
    assert "red5prosdk" in await terminals.ends("curl --fail http://localhost:8000/red5pro-sdk.min.js")
    page.check()
    await terminals.interrupt()
    assert "Traceback" not in server.read_text()


async def test_second_run_in_one_directory(terminals: Terminals) -> None:
    """A second stream manager in the directory of the first is refused in words that name the way out of the README."""
    await terminals.stays("make run", "Hooks go to")
    refused = await terminals.ends('make run ARGS="--port 5081" || true')
    assert "--data-dir" in refused
    assert "Traceback" not in refused


async def test_authentication(terminals: Terminals) -> None:
    """The commands of docs/authentication.md print tokens."""
    page = Page("docs/authentication.md")
    for kind in ("token jwt", "token jwt", "token digest"):
        token = (await terminals.ends(page.take(f".venv/bin/smproxy {kind}"))).strip()
        assert token.count("." if kind == "token jwt" else ":") == (2 if kind == "token jwt" else 6)
    page.check()


async def test_control_api(terminals: Terminals) -> None:
    """The calls of docs/control-api.md follow a session from its begin to its replay."""
    page = Page("docs/control-api.md")
    await terminals.stays("smproxy serve", "Hooks go to")
    await terminals.ends(page.take("curl -X POST http://localhost:5080/api/v1/reset"))
    await terminals.stays("smproxy publish --stream cam-1 --customer-scope acme", "live after")
    hook = json.loads(await _silent(terminals, page.take('curl "http://localhost:5080/api/v1/hooks/wait?event')))
    number = str(hook["payload"]["session"])
    stream = await _silent(terminals, page.take("curl http://localhost:5080/api/v1/streams/live"))
    assert json.loads(stream)["name"] == "cam-1"
    await terminals.ends(page.take("curl -X DELETE", _4066745786160380=number))
    ended = json.loads(await _silent(terminals, page.take('curl "http://localhost:5080/api/v1/hooks/wait?state')))
    assert ended["payload"]["reason"] == 3
    await terminals.ends(page.take("smproxy sessions list"))
    assert number in await terminals.ends(page.take("smproxy sessions show"))
    await terminals.ends(page.take("smproxy sessions export", _4066745786160380=number))
    # Somebody else ended the session: that cannot be had again by the client alone.
    bug = terminals.directory / "bug.jsonl"
    lines = [line for line in bug.read_text().splitlines() if "Closed" not in line and '"close"' not in line]
    bug.write_text("\n".join(lines) + "\n")
    assert "same:" in await terminals.ends(page.take("smproxy replay"))
    for role in ("publisher", "subscriber"):
        client = await _silent(terminals, page.take(f"curl -X POST http://localhost:5080/api/v1/{role}s"))
        assert json.loads(client)["state"] == "live"
    seen = json.loads(await _silent(terminals, page.take("curl http://localhost:5080/api/v1/subscribers/subscriber-1")))
    assert seen["error"] is None
    await terminals.ends(page.take("curl -X DELETE http://localhost:5080/api/v1/publishers"))
    page.check()


async def test_commands(terminals: Terminals) -> None:
    """The commands of docs/commands.md start a server in the background, change its faults and end it."""
    page = Page("docs/commands.md")
    assert (await terminals.ends(page.take("SECRET="))).strip().count(".") == 2
    assert "Ready at" in await terminals.ends(page.take("smproxy serve --detach"))
    try:
        assert "ready after" in await terminals.ends(page.take("smproxy wait"))
        assert "bad-*" in await terminals.ends(page.take("smproxy faults list"))
        assert "f2" in await terminals.ends(page.take("smproxy faults add"))
        assert "2 switched off" in await terminals.ends(page.take("smproxy faults clear"))
        assert "ended and forgotten in" in await terminals.ends(page.take("smproxy reset"))
    finally:
        assert "stopped after" in await terminals.ends(page.take("smproxy stop"))
    assert "works" in await terminals.ends(page.take("smproxy doctor"))
    assert '"status": "works"' in await terminals.ends(page.take("smproxy doctor --skip"))
    for shell in ("bash", "zsh", "fish"):
        to = re.search(r"> (\S+)", command := page.take(f"smproxy completion {shell}"))
        assert to is not None
        await terminals.ends(f"mkdir -p $(dirname {to[1]}); {command}; grep -q doctor {to[1]}; rm {to[1]}")
    assert "#port = 5080" in await terminals.ends(page.take("smproxy config"))
    assert "Ready at" in await terminals.ends(page.take("smproxy --config examples/smproxy.toml serve --detach"))
    try:
        assert "bad-*" in await terminals.ends(page.take("smproxy --config examples/smproxy.toml faults list"))
    finally:
        assert "stopped after" in await terminals.ends(page.take("smproxy --config examples/smproxy.toml stop"))
    page.check()


async def test_hook_tools(terminals: Terminals) -> None:
    """The commands of docs/hook-tools.md: receivers, lists, repeats and made up hooks."""
    page = Page("docs/hook-tools.md")
    await terminals.stays("smproxy serve --hook-uri http://127.0.0.1:9000/hooks", "Hooks go to")
    receiver = await terminals.stays(page.take("smproxy listen --port"), "receiving at")
    listener = await terminals.stays(page.take('smproxy listen "ws://localhost:5080/live/webhook?customerScope'), "")
    one = asyncio.create_task(terminals.ends(page.take('smproxy listen "ws://localhost:5080/live/webhook?event')))
    await terminals.ends(page.take("smproxy hooks trigger connected"))
    await terminals.ends(page.take("smproxy hooks trigger peer_joined"))
    begun = json.loads((await terminals.ends(page.take("smproxy hooks trigger connecting"))).splitlines()[-1])
    number, uuid = str(begun["payload"]["session"]), begun["uuid"]
    again = page.take("smproxy hooks trigger connected --param session", _7453706567549690=number)
    assert " #2 " in await terminals.ends(again)
    disconnected = json.loads(await terminals.ends(page.take("smproxy hooks trigger disconnected")))
    assert disconnected["payload"]["reason"] == 4
    while not one.done() or "peer_joined" not in listener.read_text():  # who came after the hook gets the next
        await terminals.ends("smproxy hooks trigger peer_joined --param customerScope=acme")
    assert json.loads(await one)["payload"]["event"] == "peer_joined"
    assert "acme" in await terminals.ends(page.take("smproxy hooks list --customer-scope"))
    assert number in await terminals.ends(page.take("smproxy hooks list --session", _4066745786160380=number))
    await terminals.ends(page.take("smproxy hooks dead"))
    printed = "_01a2001c-5dd8-71b4-beb0-6a93396df5e9"
    assert uuid in await terminals.ends(page.take("smproxy hooks show", **{printed: uuid}))
    await terminals.ends(page.take("smproxy hooks resend 01a2", **{printed: uuid}))
    await terminals.ends(page.take("smproxy hooks resend --dead"))
    await terminals.ends(page.take("smproxy hooks resend --dead --sink"))
    assert "hooks" in json.loads(await _silent(terminals, page.take('curl "http://localhost:5080/api/v1/hooks?')))
    await terminals.ends(page.take("curl -X POST http://localhost:5080/api/v1/hooks/trigger"))
    await terminals.ends(page.take("curl -X POST http://localhost:5080/api/v1/hooks/dead/resend"))
    added = await _silent(terminals, page.take("curl -X POST http://localhost:5080/api/v1/hooks/sinks"))
    assert json.loads(added)["name"] == "mine"
    await terminals.ends(page.take("curl -X DELETE http://localhost:5080/api/v1/hooks/sinks/mine"))
    page.check()
    await terminals.interrupt()
    assert "connecting" in receiver.read_text()


async def test_pages(terminals: Terminals) -> None:
    """The commands of docs/pages.md: the SDK for the page, and the feed."""
    page = Page("docs/pages.md")
    (sdk,) = [each for each in SDKS if each.version == "11.0.0"]
    (terminals.directory / "red5pro-sdk.min.js").write_bytes(sdk.obtain().read_bytes())
    await terminals.stays(page.take("smproxy serve --sdk-file"), "Hooks go to")
    await terminals.stays(page.take("curl -N"), "event: ")
    await terminals.stays(page.take("smproxy serve --pages") + " --port 5081 --data-dir :memory:", "Hooks go to")
    assert "<html" in await terminals.ends("curl --fail http://localhost:5081/webrtcexamples/")
    assert "<html" in await terminals.ends("curl --fail http://localhost:5081/test/pages/publish.html")
    page.check()


async def test_nodes(terminals: Terminals) -> None:
    """The commands of docs/nodes.md: several nodes, their list, and one that is taken out."""
    page = Page("docs/nodes.md")
    await terminals.stays(page.take("smproxy serve --nodes"), "Hooks go to")
    assert (await terminals.ends(page.take("smproxy nodes list"))).count("INSERVICE") == 4
    assert "SOFT_SUNSET" in await terminals.ends(page.take("smproxy nodes sunset"))
    page.check()


async def test_conformance(terminals: Terminals) -> None:
    """The checks of docs/conformance.md run against a stream manager, and sum up."""
    page = Page("docs/conformance.md")
    await terminals.stays("smproxy serve", "Hooks go to")
    for command in (page.take("smproxy check whip"), page.take("smproxy check whep")):
        report = await terminals.ends(command, timeout=120)
        assert "Traceback" not in report
        assert re.search(r"MUST: \d+ passed, 0 failed", report), report[-800:]
    page.check()


async def test_whip(terminals: Terminals) -> None:
    """The commands of docs/whip.md: what an endpoint takes, a publisher and a subscriber over HTTP."""
    page = Page("docs/whip.md")
    await terminals.stays("smproxy serve", "Hooks go to")
    assert "Accept-Post: application/sdp" in await terminals.ends(page.take("curl -i"))
    await terminals.stays(page.take(".venv/bin/smproxy publish"), "live after")
    await terminals.ends(page.take(".venv/bin/smproxy subscribe"))
    page.check()


async def test_media_ports(terminals: Terminals) -> None:
    """The command of docs/media-ports.md opens its one port."""
    page = Page("docs/media-ports.md")
    await terminals.stays(page.take("smproxy serve --host 0.0.0.0 --any-host --media-port"), r"UDP port 5100")
    await terminals.interrupt()
    await terminals.stays(page.take("smproxy serve --host 0.0.0.0 --any-host --media-tcp"), "TCP port 5080")
    await terminals.interrupt()
    await terminals.stays(page.take("smproxy serve --turn"), "Hooks go to")
    page.check()


async def test_monitoring(terminals: Terminals) -> None:
    """The command of docs/monitoring.md makes traces, and serves although nobody takes them."""
    page = Page("docs/monitoring.md")
    await terminals.stays(page.take("smproxy serve"), "Hooks go to")
    page.check()


async def test_captures(terminals: Terminals) -> None:
    """The commands of docs/captures.md: the packets of a live session in a file, and those of an ended one."""
    page = Page("docs/captures.md")
    await terminals.stays(page.take("smproxy serve"), "Hooks go to")
    await terminals.stays(page.take("smproxy publish"), "live after")
    assert "bytes of session" in await terminals.ends(page.take("smproxy capture"))
    page.check()


async def test_hls(terminals: Terminals) -> None:
    """The commands of docs/hls.md: a live stream has a playlist."""
    page = Page("docs/hls.md")
    await terminals.stays(page.take("smproxy serve"), "Hooks go to")
    await terminals.stays(page.take("smproxy publish"), "live after")
    assert "#EXTM3U" in await _silent(terminals, page.take("curl"))
    page.check()


async def test_load(terminals: Terminals) -> None:
    """The commands of docs/load.md: a load with hooks in order, and one over WHIP and WHEP."""
    page = Page("docs/load.md")
    await terminals.stays(page.take("smproxy serve"), "Hooks go to")
    report = await terminals.ends(page.take("smproxy load --publishers 5"), timeout=120)
    assert re.search(r"publishers +5 +0 +0", report)
    assert re.search(r"subscribers +10 +0 +0", report)
    assert "0 missing, 0 late" in report
    assert re.search(r"publishers +3 +0 +0", await terminals.ends(page.take("smproxy load --whip"), timeout=120))
    page.check()


async def test_bad_networks(terminals: Terminals) -> None:
    """The commands of docs/bad-networks.md: a live publisher gets a bad network, and is rid of it again."""
    page = Page("docs/bad-networks.md")
    await terminals.stays(page.take("smproxy serve"), "Hooks go to")
    await terminals.stays(page.take("smproxy publish"), "live after")
    assert "lte-train" in await _silent(terminals, page.take("curl -X POST"))
    assert json.loads(await _silent(terminals, page.take("curl -X DELETE"))) == {"removed": 1}
    page.check()


async def test_hook_formats(terminals: Terminals) -> None:
    """NATS as docs/hook-formats.md has it: the package that is named is the one that is needed."""
    page = Page("docs/hook-formats.md")
    install = f"{terminals.directory}/.venv/bin/python -m {page.take('pip install')}"
    run("sh", "-c", install, cwd=terminals.directory)
    await terminals.stays(page.take("smproxy serve"), r"Hooks go to +nats://127\.0\.0\.1:4222")
    page.check()


def test_testing(fresh: Path) -> None:
    """The SDK gets beside the example's page as docs/testing.md says."""
    page = Page("docs/testing.md")
    script = [page.take("cd "), page.take("npm pack"), page.take("tar ")]
    run("sh", "-ec", "\n".join(script), cwd=fresh)
    assert (fresh / "examples" / "page" / "red5pro-sdk.min.js").exists()
    page.check()


async def test_javascript(fresh: Path, tmp_path: Path) -> None:
    """The package gets into an empty project as docs/javascript.md says, and the test of the page passes there."""
    page = Page("docs/javascript.md")
    project = tmp_path / "my-project"
    project.mkdir()
    (project / "publish.spec.ts").write_text(blocks("docs/javascript.md", "ts")[1])
    archive = str(built() / "package.tgz")
    page.take("npx playwright install")  # the test of the page needs no browser
    script = [
        page.take("npm init"),
        page.take(
            "npm install", **{"../stream-manager-proxy/clients/js/stream-manager-proxy-0.2.0-dev.0.tgz": archive}
        ),
        page.take("npx playwright test"),
    ]
    environment = f"PATH={fresh}/.venv/bin:$PATH npm_config_prefer_offline=true npm_config_audit=false CI=1"
    assert "1 passed" in run("sh", "-ec", f"export {environment}\n" + "\n".join(script), cwd=project)
    page.check()


async def _silent(terminals: Terminals, command: str) -> str:
    """Run curl without its progress, which goes where the answer goes here."""
    return await terminals.ends(command.replace("curl ", "curl --silent --fail-with-body ", 1))
