"""Calls to the API of a running instance."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from smproxy.commands.output import USAGE, CommandError

T = TypeVar("T")

DEFAULT_URL = "http://localhost:5080"

#: Seconds until an instance that does not answer is given up.
TIMEOUT = 10.0

_MAX_ANSWER = 64 * 1024 * 1024


class Api:
    """The hooks API of one instance, or the part of its API at ``root``. ``token``: its administrator token."""

    def __init__(self, url: str, token: str | None, root: str = "/api/v1/hooks") -> None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise CommandError(f"--url must be that of the instance, for instance {DEFAULT_URL}", USAGE)
        if parts.username is not None or parts.password is not None:
            raise CommandError("--url takes no user and password: give --token", USAGE)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        self._root = root
        # Whatever proxy the environment names is not meant for the instance on this desk.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def call(self, method: str, *path: str, query: dict[str, str | None] | None = None, body: object = None) -> Any:
        """Return the JSON answer.

        Raises:
            CommandError: the instance cannot be reached, or refuses.
        """
        return self._call(json.loads, method, *path, query=query, body=body)

    def lines(self, *path: str, query: dict[str, str | None] | None = None) -> list[str]:
        """Return the lines of a text.

        Raises:
            CommandError: the instance cannot be reached, or refuses.
        """
        return self._call(lambda body: body.decode().splitlines(), "GET", *path, query=query)

    def _call(
        self,
        read: Callable[[bytes], T],
        method: str,
        *path: str,
        query: dict[str, str | None] | None = None,
        body: object = None,
    ) -> T:
        given = {key: value for key, value in (query or {}).items() if value is not None}
        where = "/".join([self._root, *(quote(part, safe="") for part in path)])
        url = f"{self._base}{where}" + (f"?{urlencode(given)}" if given else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - checked above
        try:
            with self._open(request, timeout=TIMEOUT) as response:
                return read(response.read(_MAX_ANSWER))
        except urllib.error.HTTPError as error:
            raise CommandError(_refusal(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise CommandError(
                    f"the certificate of {self._base} is not trusted: give its http URL, or SSL_CERT_FILE=…/tls/authority.pem"
                ) from None
            why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise CommandError(
                f"no instance answers at {self._base}: {why}: start it with `smproxy serve`, or give --url"
            ) from None


def _refusal(error: urllib.error.HTTPError) -> str:
    with error:
        try:
            said = str(json.loads(error.read(64 * 1024))["errorMessage"])
        except (OSError, ValueError, KeyError, TypeError):
            said = f"HTTP {error.code}: is this the URL of a stream manager?"
    return said + (" Give it with --token or SMPROXY_ADMIN_TOKEN." if error.code == 401 else "")
