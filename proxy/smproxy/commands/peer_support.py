"""What ``smproxy publish`` and ``smproxy subscribe`` have in common.

Reading the URL, explaining errors, writing lines.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from smproxy.commands.arguments import NotGiven
from smproxy.commands.output import note, write
from smproxy.printable import printable
from smproxy.testing.errors import Rejected, StreamError
from smproxy.urls import read_url

DEFAULT_URL = "ws://localhost:5080/streammanager"


class UsageError(ValueError):
    """The arguments cannot be used."""


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


def add_target_arguments(parser: argparse.ArgumentParser, *, needed: str) -> None:
    """Add the arguments that say where to dial and which stream is meant.

    ``needed``: when ``--stream`` is.
    """
    parser.set_defaults(url=NotGiven(DEFAULT_URL))
    parser.add_argument(
        "target",
        nargs="?",
        metavar="URL-OR-NAME",
        help=f"name of the stream; or the stream manager or origin, or the URL that a page opened (default {DEFAULT_URL})",
    )
    parser.add_argument("--stream", metavar="NAME", help=f"name of the stream; needed {needed}")


def read_target(arguments: argparse.Namespace) -> tuple[SplitResult, dict[str, str], str | None]:
    """Return the URL to dial in parts, its parameters, and the stream's name if it is given.

    Raises:
        UsageError: the stream is named twice, or the URL is not for a WebSocket.
    """
    target, stream = arguments.target, arguments.stream
    named = target is not None and "://" not in target
    if named and stream:
        raise UsageError(f"the stream is named twice: {target} and --stream {stream}")
    parts, params = split_url(arguments.url if target is None or named else target)
    return parts, params, target if named else stream


def read_endpoint(option: str, url: str) -> tuple[str, str]:
    """Read the URL of a WHIP or WHEP endpoint.

    Return it and the last segment of its path, which is mostly the stream's name.

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
    """Replace parameters of the URL, in whatever case, by those given as options."""
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
    """Describe an error in one line, with what to do about it.

    ``advice`` is by the code of a refusal.
    """
    if isinstance(error, Rejected):
        said = f"refused with {error}"
        todo = advice.get(error.code)
    else:
        said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            todo = "use --insecure for a self-signed certificate"
        elif said.startswith("cannot connect") and "TLS" not in said:
            todo = "start it with `smproxy serve`, or check the URL"
        else:
            todo = None
    return f"{said.removesuffix('.')}; {todo}" if todo else said


class Lines:
    """Writes progress to stdout and errors to stderr.

    On a terminal the progress stays on one line.
    """

    def __init__(self, command: str, *, as_json: bool) -> None:
        self._command = command
        self._json = as_json
        self._live_line = not as_json and sys.stdout.isatty()
        self._open_line = False

    def error(self, text: str) -> None:
        """Write an error: one line."""
        self._end_line()
        if self._json:
            write(json.dumps({"event": "error", "message": text}))
        note(f"smproxy {self._command}", text)

    def write(self, record: dict[str, Any], text: str, *more: str, transient: bool = False) -> None:
        """Write a record as JSON, or its lines of text; a transient one gives way to the next.

        Raises:
            ReaderGone: nobody reads it.
        """
        if self._json:
            write(json.dumps(record))
        elif transient and self._live_line:
            sys.stdout.write(f"\r\x1b[K{printable(text)}")
            sys.stdout.flush()
            self._open_line = True
        else:
            self._end_line()
            for line in (text, *more):
                write(line)

    def _end_line(self) -> None:
        if self._open_line:
            sys.stdout.write("\n")
            self._open_line = False
