"""Calls to the API of a running instance."""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec

from smproxy.commands.output import USAGE, CommandError
from smproxy.manager.views import SessionList
from smproxy.network_errors import connect_reason
from smproxy.urls import read_url

DEFAULT_URL = "http://localhost:5080"

#: Seconds until an instance that does not answer is given up.
TIMEOUT = 10.0

_MAX_ANSWER = 64 * 1024 * 1024
_MAX_CHUNK = 1 << 20


class Api:
    """The hooks API of one instance, or the part of its API at ``root``.

    ``token``: its administrator token; ``patience``: seconds until an instance that does not answer is given up.
    """

    def __init__(self, url: str, token: str | None, root: str = "/api/v1/hooks", *, patience: float = TIMEOUT) -> None:
        self._patience = patience
        try:
            parts = read_url(url, "http", "https")
        except ValueError as error:
            raise CommandError(f"--url cannot be used: {error}: write for instance {DEFAULT_URL}", USAGE) from None
        if parts.username is not None or parts.password is not None:
            raise CommandError("--url takes no user and password: give --token", USAGE)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        self._root = root
        # Whatever proxy the environment names is not meant for the instance on this desk.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    @classmethod
    def asked(cls, arguments: argparse.Namespace, root: str = "/api/v1/hooks", *, patience: float = TIMEOUT) -> Api:
        """Return the API of the instance that a command's arguments name."""
        return cls(arguments.url, arguments.token or None, root, patience=patience)

    def chosen_session(self, session: int | None) -> str:
        """Return the number of a session: the given one, or the newest.

        Raises:
            CommandError: there is none.
        """
        if session is not None:
            return str(session)
        newest = self.call("GET", shape=SessionList, query={"limit": "1"})["sessions"]
        if not newest:
            raise CommandError("there is no session yet")
        return str(newest[0]["session"])

    def call(
        self,
        method: str,
        *path: str,
        shape: type | None = None,
        query: Mapping[str, str | None] | None = None,
        body: object = None,
    ) -> Any:
        """Return the JSON answer, which has at least what ``shape`` has.

        Raises:
            CommandError: the instance cannot be reached, or refuses, or what answers is no instance.
        """
        answer = self._call(method, path, query, body)
        try:
            value = json.loads(answer, parse_int=_whole_number)
            if shape is not None:
                msgspec.convert(value, shape)
        except (ValueError, RecursionError) as error:
            why = f": {error}" if isinstance(error, msgspec.ValidationError) else ""
            raise self._stranger(why) from None
        return value

    def lines(self, *path: str, query: Mapping[str, str | None] | None = None) -> list[str]:
        """Return the lines of a text.

        Raises:
            CommandError: the instance cannot be reached, or refuses, or what answers is no instance.
        """
        try:
            return self._call("GET", path, query, None).decode().removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            raise self._stranger("") from None

    def chunks(self, *path: str, query: Mapping[str, str | None] | None = None) -> Iterator[bytes]:
        """Yield the parts of an answer as they come.

        Raises:
            CommandError: the instance cannot be reached, or refuses, or stops in the middle.
        """
        with self._request("GET", path, query, None) as response:
            try:
                while chunk := response.read1(_MAX_CHUNK):
                    yield chunk
            except (OSError, http.client.HTTPException) as error:
                raise CommandError(f"{self._base} stopped in the middle of its answer: {error}") from None

    def _stranger(self, why: str) -> CommandError:
        return CommandError(f"what answers at {self._base} is no stream manager of this version{why}: check --url")

    def _call(self, method: str, path: tuple[str, ...], query: Mapping[str, str | None] | None, body: object) -> bytes:
        with self._request(method, path, query, body) as response:
            try:
                return response.read(_MAX_ANSWER)
            except (OSError, http.client.HTTPException) as error:
                raise CommandError(f"{self._base} stopped in the middle of its answer: {error}") from None

    def _request(
        self, method: str, path: tuple[str, ...], query: Mapping[str, str | None] | None, body: object
    ) -> http.client.HTTPResponse:
        try:
            where = "/".join([self._root, *(quote(part, safe="") for part in path)])
            given = urlencode({key: value for key, value in (query or {}).items() if value is not None})
            headers = {} if self._token is None else {"Authorization": _header(f"Bearer {self._token}")}
        except UnicodeEncodeError:
            raise CommandError("an argument is no text that can be sent: it must be UTF-8", USAGE) from None
        url = f"{self._base}{where}" + (f"?{given}" if given else "")
        data = None if body is None else json.dumps(body).encode()
        if data:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - checked above
        try:
            return cast(http.client.HTTPResponse, self._open(request, timeout=self._patience))
        except urllib.error.HTTPError as error:
            raise CommandError(_refusal(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise CommandError(
                    f"the certificate of {self._base} is not trusted: give its http URL, or SSL_CERT_FILE=…/tls/authority.pem"
                ) from None
            raise CommandError(
                f"no instance answers at {self._base}: {connect_reason(error)}: start it with `smproxy serve`, or give --url"
            ) from None


def _header(value: str) -> str:
    """Return a header's value as the HTTP library writes it: its bytes are those of UTF-8.

    Raises:
        UnicodeEncodeError: It has none.
        CommandError: It would end the header.
    """
    if not value.isprintable():
        raise CommandError("--token has a control character", USAGE)
    return value.encode().decode("latin-1")


def _whole_number(text: str) -> int:
    """Read a whole number of JSON that other programs can read too (RFC 8259, section 6)."""
    number = int(text) if len(text) < 20 else 2**63
    if abs(number) >= 2**63:
        raise ValueError("a number that is too large")
    return number


def _refusal(error: urllib.error.HTTPError) -> str:
    with error:
        try:
            said = str(json.loads(error.read(64 * 1024))["errorMessage"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            said = f"HTTP {error.code}: is this the URL of a stream manager?"
    return said + (" Give it with --token or SMPROXY_ADMIN_TOKEN." if error.code == 401 else "")
