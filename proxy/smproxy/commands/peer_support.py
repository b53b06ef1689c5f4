"""What ``smproxy publish`` and ``smproxy subscribe`` have in common: arguments, lines of output, an end on Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from smproxy.printable import printable
from smproxy.signals import ending_signals
from smproxy.testing.errors import Rejected, StreamError
from smproxy.urls import read_url

DEFAULT_URL = "ws://localhost:5080/streammanager"

OK, FAILED, USAGE = 0, 1, 2


class UsageError(ValueError):
    """The arguments cannot be used."""


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for connection parameters that every client has."""
    parser.add_argument("--username", metavar="NAME", help="connection parameter username")
    parser.add_argument("--password", metavar="WORD", help="connection parameter password")
    parser.add_argument("--customer-scope", metavar="SCOPE", help="connection parameter customerScope")


def seconds(text: str) -> float:
    """Read a number of seconds above 0.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def split_url(url: str) -> tuple[SplitResult, dict[str, str]]:
    """Take a URL apart: its parts, and the parameters of its query.

    Raises:
        UsageError: It is not for a WebSocket.
    """
    try:
        parts = read_url(url, "ws", "wss")
    except ValueError as error:
        raise UsageError(f"the URL cannot be used: {error}: write for instance {DEFAULT_URL}") from None
    return parts, dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))


def read_endpoint(option: str, url: str) -> tuple[str, str]:
    """Read the URL of a WHIP or WHEP endpoint; return it and the last segment of its path, which is mostly the stream's name.

    Raises:
        UsageError: It is not an http or https URL.
    """
    try:
        parts = read_url(url, "http", "https")
    except ValueError as error:
        raise UsageError(f"{option}: the URL cannot be used: {error}") from None
    return url, unquote(parts.path.rstrip("/").rpartition("/")[2])


def base_url(parts: SplitResult) -> str:
    """Return the URL without its query; without a path it gets the stream manager's."""
    path = parts.path if unquote(parts.path).strip("/") else "/streammanager"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def override(params: dict[str, str], given: Mapping[str, str | None]) -> None:
    """Put what was given as an option over the URL's parameters, whose keys may be spelt otherwise."""
    for key, value in given.items():
        if value is not None:
            for same in [k for k in params if k.lower() == key.lower()]:
                del params[same]
            params[key] = value


def trust(insecure: bool, base: str) -> ssl.SSLContext | None:
    """Return the TLS context of ``--insecure``.

    Raises:
        UsageError: The URL has no TLS.
    """
    if not insecure:
        return None
    if urlsplit(base).scheme not in ("wss", "https"):
        raise UsageError("--insecure is for wss and https URLs")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def explain(error: StreamError, advice: Mapping[str, str]) -> str:
    """Put an error into one line with what to do about it; ``advice`` is by the code of a refusal."""
    if isinstance(error, Rejected):
        said = f"refused with {error}"
        todo = advice.get(error.code)
    else:
        said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            todo = "use --insecure for a self-signed certificate"
        elif said.startswith("cannot connect"):
            todo = "start it with `smproxy serve`, or check the URL"
        else:
            todo = None
    return f"{said.removesuffix('.')}; {todo}" if todo else said


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Future[Any]]:
    """Yield a future that is done on Ctrl-C, SIGTERM or SIGHUP."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = ending_signals()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        yield stopping
    finally:
        stopping.cancel()
        for number in numbers:
            loop.remove_signal_handler(number)


async def every_second(
    duration: float | None, done: set[asyncio.Future[Any]], progress: Callable[[float], None]
) -> None:
    """Show the progress each second, with the seconds so far, until the duration is over or one of ``done`` is."""
    started = time.monotonic()
    while True:
        left = 1.0 if duration is None else min(1.0, started + duration - time.monotonic())
        if left <= 0:
            return
        ended, _ = await asyncio.wait(done, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if ended:
            return
        progress(time.monotonic() - started)


class Lines:
    """Writes progress to stdout and errors to stderr; on a terminal the progress stays on one line."""

    def __init__(self, command: str, *, as_json: bool) -> None:
        self._command = command
        self._json = as_json
        self._live_line = not as_json and sys.stdout.isatty()
        self._open_line = False

    def error(self, text: str) -> None:
        """Write an error: one line."""
        self._end_line()
        if self._json:
            print(json.dumps({"event": "error", "message": text}), flush=True)
        print(f"smproxy {self._command}: {printable(text)}", file=sys.stderr, flush=True)

    def write(self, record: dict[str, Any], text: str, *, transient: bool = False) -> None:
        """Write a record as JSON, or its text; a transient one gives way to the next."""
        if self._json:
            print(json.dumps(record), flush=True)
        elif transient and self._live_line:
            sys.stdout.write(f"\r\x1b[K{printable(text)}")
            sys.stdout.flush()
            self._open_line = True
        else:
            self._end_line()
            print(printable(text), flush=True)

    def _end_line(self) -> None:
        if self._open_line:
            sys.stdout.write("\n")
            self._open_line = False
