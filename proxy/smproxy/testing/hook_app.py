"""The user's own application as a receiver of hooks, on a free port."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

#: Seconds in which a server must have started, or stopped.
START = 20.0
STOP = 5.0
_LOOK = 0.005


class HookAppError(RuntimeError):
    """The application cannot be served: one line with what to do."""


class HookApp:
    """An ASGI, WSGI or aiohttp application on a free port of 127.0.0.1, as a context manager.

    ``app``: the application, or ``"module:attribute"``, where the attribute may also be a function without parameters that
    returns it. ASGI is served by uvicorn, which must be installed, with start-up and shut-down; WSGI by the standard
    library, each request on a thread; an ``aiohttp.web.Application`` by aiohttp. ``path``: where it takes hooks.
    """

    def __init__(self, app: Any, *, path: str = "/hooks") -> None:
        self.app = _load(app)
        self._path = "/" + path.lstrip("/")
        self._port = 0
        self._running = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def hook_url(self) -> str:
        """Where it takes hooks: the ``hook_uri`` of a stream manager."""
        return self.url + self._path

    def start(self) -> None:
        """Serve; return when it takes requests.

        Raises:
            HookAppError: it does not start, or no server for it is installed.
        """
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._port = listening.getsockname()[1]
        with contextlib.ExitStack() as stack:
            stack.enter_context(listening)
            stack.enter_context(_serve_function(self.app)(self.app, listening))
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Stop serving. Safe to call again."""
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


Serve = Callable[[Any, socket.socket], contextlib.AbstractContextManager[None]]


def _load(app: Any) -> Any:
    """Return the application that is meant."""
    if not isinstance(app, str):
        return app
    module, colon, name = app.partition(":")
    if not colon or not name:
        raise HookAppError(f"{app!r} is no application: write module:attribute, for instance myapp.main:app")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise HookAppError(f"{app!r} cannot be imported: {error}") from error
    takes_nothing = inspect.isfunction(found) and not inspect.signature(found).parameters
    return found() if takes_nothing else found


def _serve_function(app: Any) -> Serve:
    """Choose what serves an application."""
    if type(app).__module__.partition(".")[0] == "aiohttp":
        return _serve_aiohttp
    if not callable(app):
        raise HookAppError(f"{type(app).__name__} is no application: it is not called by ASGI or WSGI")
    if not _is_asgi(app):
        return _serve_wsgi
    if importlib.util.find_spec("uvicorn") is None:
        raise HookAppError("an ASGI application needs a server: pip install uvicorn")
    return _serve_uvicorn


def _is_asgi(app: Any) -> bool:
    """Return whether an application is called with scope, receive and send, and awaited."""
    call = app if inspect.isroutine(app) else type(app).__call__
    if inspect.iscoroutinefunction(inspect.unwrap(call)):
        return True
    try:
        return len(inspect.signature(app).parameters) == 3
    except (TypeError, ValueError):
        return False


@contextlib.contextmanager
def _serve_uvicorn(app: Any, listening: socket.socket) -> Iterator[None]:
    import uvicorn
    from uvicorn.config import WS_PROTOCOLS

    # The protocol "auto" imports a part of websockets that warns of its end.
    protocol: Any = "websockets-sansio" if "websockets-sansio" in WS_PROTOCOLS else "none"
    config = uvicorn.Config(app, log_config=None, access_log=False, ws=protocol, loop="asyncio")
    server = uvicorn.Server(config)

    def run() -> None:
        with contextlib.suppress(SystemExit):  # with which it ends when the application does not start
            server.run([listening])

    thread = threading.Thread(target=run, name="hook app", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(_LOOK)
        if not server.started:
            raise HookAppError(f"the application has not started within {START:g} s: its log says why")
        yield
    finally:
        server.should_exit = True
        thread.join(STOP)
        server.force_exit = True
        thread.join(STOP)


@contextlib.contextmanager
def _serve_aiohttp(app: Any, listening: socket.socket) -> Iterator[None]:
    from aiohttp import web

    from smproxy.testing.loop_thread import LoopThread

    thread = LoopThread.start("hook app")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.SockSite(runner, listening).start()

    try:
        thread.run(start())
        yield
    finally:
        thread.run(runner.cleanup())
        thread.stop()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of each request."""


@contextlib.contextmanager
def _serve_wsgi(app: Any, listening: socket.socket) -> Iterator[None]:
    server = make_server("127.0.0.1", 0, app, server_class=_ThreadingServer, handler_class=_Silent)
    server.socket.close()
    server.socket = listening
    server.server_port = listening.getsockname()[1]
    server.base_environ["SERVER_PORT"] = str(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="hook app", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(STOP)
