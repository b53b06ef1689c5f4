"""Whatever is given to a command, it succeeds or says in one line what is wrong, never a traceback (A13)."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smproxy.cli import main
from smproxy.settings import SettingsError, load_settings, settings_of
from smproxy.settings.options import OPTIONS
from smproxy.testing.session_transcript import SessionTranscript, TranscriptError
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

FUZZ = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

#: An argument that the system can pass on: no NUL, and bytes that are no UTF-8 as Python shows them.
ARGUMENT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
BYTES = st.binary(max_size=6).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
ODD = st.sampled_from(
    [
        *[
            "",
            "0",
            "-1",
            "1e999",
            "nan",
            "²",
            "99999999999999999999",
            "\x1b[2J",
            "\u202e",
            "\udcff",
            "a b",
            "a\nb",
            "*",
        ],
        *["[::1", "[::1]", "::1", "a..b", "." * 300, "x" * 300, "xn--\xff", "%zz", "/dev/null", "/", "/proc/nowhere/x"],
    ]
)
TEXT = ARGUMENT | BYTES | ODD
AUTHORITY = (
    st.sampled_from(["[::1]:8@", "[::1", "h:99999", "h:0", "h:x", "u:p@", "@", ":80", "a..b", "%zz", "[v1.x]", "h:"])
    | TEXT
)
URL = TEXT | st.builds(
    "{}://{}/{}".format, st.sampled_from(["http", "https", "ws", "wss", "nats", "tls", "ftp", ""]), AUTHORITY, TEXT
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from([10**400, "\ud800"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=10,
)


def command(*arguments: str) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it wrote."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return code, *texts


def check(code: int, out: str, err: str) -> None:
    """What every command keeps to."""
    assert code in (0, 1, 2)
    assert "Traceback" not in err
    assert code == 0 or err or out
    for line in (out + err).split("\n"):
        assert line.isprintable(), line


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@FUZZ
@given(
    arguments=st.lists(
        st.tuples(
            st.sampled_from([option for option in OPTIONS if option.flag and option.setting != "config"]), TEXT | URL
        ),
        max_size=3,
    ),
    config=st.none()
    | st.binary(max_size=60)
    | st.lists(TEXT, max_size=3).map(lambda texts: "=\r".join(texts).encode("utf-8", "replace")),
)
def test_settings(arguments: list[tuple[Any, str]], config: bytes | None, tmp_path: Path) -> None:
    """Settings of any value, from a flag, a variable or any file, are taken or refused in one printable line."""
    flags: dict[str, Any] = {}
    for option, text in arguments:
        flags[option.setting] = [text] if option.repeatable else text if option.metavar else True
    if config is not None:
        (tmp_path / "odd.properties").write_bytes(config)
        flags["config"] = str(tmp_path / "odd.properties")
    for source in (flags, {}):
        variables = {o.variable: t for o, t in arguments if o.variable} if source is not flags else {}
        try:
            shown = repr(load_settings(source, variables))
        except SettingsError as error:
            shown = str(error)
        assert "\n" not in shown
    for option, text in arguments:
        with contextlib.suppress(SettingsError):
            settings_of(**{option.setting: text})


@FUZZ
@given(url=URL, text=TEXT, other=TEXT)
@pytest.mark.parametrize(
    "arguments",
    [
        ["publish", "{url}", "--stream", "{text}", "--meta", "{other}"],
        ["publish", "ws://{nobody}/", "--stream", "{text}", "--username", "{other}", "--media", "{text}"],
        ["publish", "ws://{nobody}/{text}?{other}", "--password", "{text}", "--duration", "{text}"],
        ["subscribe", "{url}", "--stream", "{text}"],
        ["subscribe", "ws://{nobody}/", "--stream", "{text}", "--customer-scope", "{other}", "--count", "1"],
        ["replay", "{text}", "{url}"],
        ["replay", "{file}", "ws://{nobody}/{other}", "--param", "{text}={other}", "--password", "{text}"],
        ["replay", "{file}", "{url}", "--param", "{text}", "--timeout", "{other}"],
        ["sessions", "list", "--url", "{url}", "--token", "{text}"],
        ["sessions", "list", "--url", "http://{nobody}", "--id", "{text}", "--token", "{other}"],
        ["sessions", "show", "{text}", "--url", "http://{nobody}"],
        ["hooks", "list", "--data-dir", "{text}", "--id", "{other}", "--since", "{text}"],
        ["hooks", "show", "{text}", "--data-dir", "{journal}"],
        ["hooks", "list", "--data-dir", "{journal}", "--scope", "{text}", "--id", "{other}"],
        ["hooks", "resend", "{text}", "--url", "http://{nobody}", "--sink", "{other}"],
        ["hooks", "trigger", "{text}", "--param", "{text}={other}", "--url", "http://{nobody}"],
        ["listen", "{url}", "--timeout", "0.01"],
        ["listen", "ws://{nobody}/{text}?{other}", "--forward", "{url}", "--timeout", "0.01"],
        ["listen", "--host", "{text}", "--secret", "{other}", "--timeout", "0.01"],
        ["listen", "--forward", "{url}", "--status", "{text}", "--timeout", "0.01"],
    ],
    ids=" ".join,
)
def test_arguments(arguments: list[str], url: str, text: str, other: str, nobody: str, tmp_path: Path) -> None:
    """Arguments of any value are taken or refused."""
    odd = tmp_path / "session.jsonl"
    odd.write_text('{"from": "client", "message": {"isAvailable": "s"}}\n')
    (tmp_path / "hooks.db").write_bytes(b"no database")
    values = {"url": url, "text": text, "other": other, "nobody": nobody, "file": str(odd), "journal": str(tmp_path)}
    filled = [each.format(**values) for each in arguments]
    check(*command(*filled))


@pytest.mark.parametrize(
    ("arguments", "of_command", "error"),
    [
        (["--verson", "reset"], "smproxy", "there is no option --verson: did you mean --version?"),
        (["serve", "--prot=5"], "smproxy serve", "there is no option --prot: did you mean --port?"),
        (["hooks", "list", "--limt", "3"], "smproxy hooks list", "there is no option --limt: did you mean --limit?"),
        (["hooks", "list", "--zzz"], "smproxy hooks list", "there is no option --zzz: see smproxy hooks list --help"),
        (["reset", "now"], "smproxy reset", "unrecognized arguments: now"),
        (["reset", "--\x1b[2J"], "smproxy reset", "there is no option --\\u001b[2J: see smproxy reset --help"),
    ],
)
def test_arguments_that_are_none(arguments: list[str], of_command: str, error: str) -> None:
    """An argument that a command does not have is refused by that command, with its usage and the option that is meant."""
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"usage: {of_command} [-h]")
    assert err.endswith(f"\n{of_command}: error: {error}\n")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["sreve"], "serve"), (["hooks", "lst"], "list"), (["publish", "cam", "--pattern", "count"], "counter")],
)
def test_a_choice_that_is_none(arguments: list[str], meant: str) -> None:
    """A command, or a value of a few, that does not exist is refused with the one that is meant."""
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.endswith(f"did you mean {meant}?\n")


#: Lines of a recording, each made of parts that a recording has.
FRAME = st.fixed_dictionaries(
    {"from": st.sampled_from(["client", "origin", "server"])},
    optional={
        "via": st.sampled_from(["channel", "socket", 7]),
        "message": st.dictionaries(
            st.sampled_from(
                ["handleOffer", "handleAnswer", "handleCandidate", "switchChannel", "isAvailable", "data", "type"]
            ),
            JSON
            | st.fixed_dictionaries(
                {"sdp": JSON | st.fixed_dictionaries({"type": JSON, "sdp": JSON}), "candidate": JSON}
            ),
            max_size=3,
        ),
        "close": st.dictionaries(st.just("code"), JSON),
        "omitted": JSON,
        "text": JSON,
    },
)
SESSION = st.fixed_dictionaries({"kind": st.just("session"), "url": JSON | URL})
RECORDING = st.lists(st.one_of(FRAME, FRAME, SESSION, JSON).map(json.dumps) | st.text(max_size=20), max_size=6)


@FUZZ
@given(raw=st.binary(max_size=80) | RECORDING.map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")))
def test_recordings(raw: bytes, tmp_path: Path) -> None:
    """A file of any content is a recording or is refused as none."""
    (tmp_path / "odd.jsonl").write_bytes(raw)
    with contextlib.suppress(TranscriptError):
        recording = SessionTranscript.read(tmp_path / "odd.jsonl")
        recording.url("ws://127.0.0.1:1/streammanager", {})


@pytest.fixture(scope="module")
def odd_socket() -> Iterator[tuple[Server, list[str]]]:
    """A WebSocket server, and what it says to everybody who connects before it closes."""
    says: list[str] = []

    def talk(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            for text in says:
                connection.send(text)

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server, says
        server.shutdown()
        thread.join()


SAID = JSON.map(lambda value: json.dumps(value)) | FRAME.map(lambda frame: json.dumps(frame.get("message", {})))


@settings(FUZZ, max_examples=20)
@given(lines=RECORDING, says=st.lists(SAID, max_size=3), sdp=st.sampled_from(["auto", "recorded", "live"]))
def test_replaying(
    lines: list[str], says: list[str], sdp: str, odd_socket: tuple[Server, list[str]], tmp_path: Path
) -> None:
    """A recording of any frames, played against a server that says anything, ends as same, different or impossible."""
    server, heard = odd_socket
    heard[:] = says
    recording = tmp_path / "odd.jsonl"
    recording.write_bytes("\n".join(lines).encode("utf-8", "replace"))
    port = server.socket.getsockname()[1]
    check(*command("replay", str(recording), f"ws://127.0.0.1:{port}/", "--timeout", "0.05", "--sdp", sdp))


@settings(FUZZ, max_examples=20)
@given(says=st.lists(SAID | st.text(max_size=20), max_size=3), as_json=st.booleans())
def test_listening(says: list[str], as_json: bool, odd_socket: tuple[Server, list[str]]) -> None:
    """A socket that sends anything is shown, or left in one line."""
    server, heard = odd_socket
    heard[:] = [text.encode("utf-8", "replace").decode() for text in says]
    url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/live/webhook"
    check(*command("listen", url, "--timeout", "2", *(["--json"] if as_json else [])))


@pytest.fixture(scope="module")
def odd_server() -> Iterator[tuple[str, dict[str, Any]]]:
    """An HTTP server that answers what it is told."""
    answer: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(len(answer["body"])))
            self.end_headers()
            self.wfile.write(answer["body"])

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answer
    server.shutdown()
    server.server_close()
    thread.join()


SESSION_VIEW = {
    "session": 1, "state": "connected", "role": "publisher", "id": "\x1b[2J", "stream": None, "app": None, "scope": None,
    "username": None, "customerScope": "\u202e", "recording": False, "meta": None, "remoteIp": None, "userAgent": "\x9b2J",
    "origin": None, "startedAt": 10**17, "connectedAt": None, "endedAt": None, "durationMs": 1, "reason": None, "error": None,
    "hooks": 0, "faults": [], "tracks": [],
}  # fmt: skip
ANSWER = (
    st.binary(max_size=30)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["sessions", "errorMessage", "resent", "uuid", "entries"]), JSON).map(
        lambda value: json.dumps(value).encode()
    )
    | st.dictionaries(st.sampled_from(list(SESSION_VIEW)), JSON).map(
        lambda odd: json.dumps(
            {"total": 1, "entries": [], "sessions": [SESSION_VIEW | odd]} | SESSION_VIEW | odd
        ).encode()
    )
)


@FUZZ
@given(status=st.sampled_from([200, 200, 200, 400, 401, 404, 500]), body=ANSWER)
@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "list"],
        ["sessions", "show"],
        ["sessions", "export", "7"],
        ["hooks", "resend", "--dead"],
        ["hooks", "trigger", "connected"],
    ],
    ids=" ".join,
)
def test_answers(arguments: list[str], status: int, body: bytes, odd_server: tuple[str, dict[str, Any]]) -> None:
    """A server that is no stream manager, or another one, is told as such; what it says does not act on the terminal."""
    url, answer = odd_server
    answer.update(status=status, body=body)
    check(*command(*arguments, "--url", url))


def test_deep_json(odd_server: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """Nesting that is deeper than Python can follow is refused like any other nonsense."""
    url, answer = odd_server
    deep = "[" * 100_000 + "]" * 100_000
    answer.update(status=200, body=deep.encode())
    check(*command("sessions", "list", "--url", url))
    levels = sys.getrecursionlimit() - 60
    for text in (deep, '{"from": "client", "message": ' + '{"a":' * levels + "1" + "}" * levels + "}"):
        (tmp_path / "deep.jsonl").write_text(text)
        with contextlib.suppress(TranscriptError):
            SessionTranscript.read(tmp_path / "deep.jsonl")
