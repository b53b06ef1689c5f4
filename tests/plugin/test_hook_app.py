"""The fixture ``hook_app``: the user's own application as receiver, served for real."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fastapi import FastAPI, Request, WebSocket
from smproxy.testing import HookApp, HookAppError

from tests.helpers import scaled

pytest_plugins = ["pytester"]


class Board:
    """What the applications keep: the states that came, to be waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.states: list[str] = []
        self.life: list[str] = []

    def take(self, hook: dict[str, Any]) -> None:
        with self._changed:
            self.states.append(hook["payload"].get("state") or hook["payload"]["event"])
            self._changed.notify_all()

    def wait_for(self, state: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: state in self.states, scaled(10)), self.states


def asgi(board: Board) -> Any:
    app = FastAPI(on_startup=[lambda: board.life.append("up")], on_shutdown=[lambda: board.life.append("down")])

    @app.post("/hooks", status_code=204)
    async def hooks(request: Request) -> None:
        board.take(await request.json())

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    return app


def wsgi(board: Board) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        board.take(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start_response("204 No Content", [])
        return []

    return app


def of_aiohttp(board: Board) -> Any:
    async def hooks(request: web.Request) -> web.Response:
        board.take(await request.json())
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.post("/hooks", hooks)])
    return app


MAKERS = {"asgi": asgi, "wsgi": wsgi, "aiohttp": of_aiohttp}


@pytest.fixture(params=MAKERS)
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    board = Board()
    board.maker = MAKERS[request.param]  # type: ignore[attr-defined]
    yield board
    if request.param == "asgi":
        assert board.life[0] == "up"


@pytest.fixture
def hook_application(board: Any) -> Any:
    return board.maker(board)


def test_an_application_gets_the_hooks(board: Board, publisher: Any, hook_app: Any) -> None:
    """An application of each kind gets the hooks of a life while the test blocks."""
    with publisher("s1"):
        board.wait_for("peer_joined")
    board.wait_for("disconnected")
    assert board.states[0] == "connecting"
    assert hook_app.hook_url == f"{hook_app.url}/hooks"


def test_start_up_and_shut_down() -> None:
    """An ASGI application has its start-up and shut-down, and serves WebSockets; afterwards its port is closed."""
    from websockets.sync.client import connect

    board = Board()
    before = threading.active_count()
    with HookApp(asgi(board)) as served:
        assert board.life == ["up"]
        with connect(f"{served.url.replace('http', 'ws')}/live") as socket:
            assert socket.recv() == "hello"
    assert board.life == ["up", "down"]
    assert threading.active_count() == before
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(served.url, timeout=1)


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``module:attribute`` names an application, or a function that makes it; what cannot be is one line."""
    (tmp_path / "named_app.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n\n"
        "def make():\n    return app\n\nbroken = 7\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("named_app:app", "named_app:make"):
        with HookApp(name, path="in") as served, urllib.request.urlopen(f"{served.url}/") as answer:
            assert answer.read() == b"hello"
            assert served.hook_url.endswith("/in")
    for name, said in (
        ("named_app", "write module:attribute"),
        ("named_app:nothing", "cannot be imported"),
        ("nowhere_x:app", "cannot be imported"),
    ):
        with pytest.raises(HookAppError, match=said):
            HookApp(name)
    with pytest.raises(HookAppError, match="int is no application"):
        HookApp("named_app:broken").start()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(HookAppError, match="pip install uvicorn"):
        HookApp(asgi(Board())).start()


def test_an_application_that_does_not_start() -> None:
    """An ASGI application whose start-up fails does not hang the test."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(HookAppError, match="its log says why"):
        HookApp(failing).start()


def test_without_an_application(pytester: pytest.Pytester) -> None:
    """A test that names ``hook_app`` and gives no application fails in one line that says what to do."""
    pytester.makepyfile("def test_it(publisher, hook_app): ...")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*override the fixture hook_application*"])
