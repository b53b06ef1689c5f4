"""HTTP requests to a server that may be broken.

They are bounded in time and size, and kept for the report.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp
import yarl

from smproxy.conformance.exchange import Exchange
from smproxy.network_errors import connect_reason

#: Bytes of an answer that are read.
MAX_BODY = 256 * 1024
_FAILURES = (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError)


def resolve(base: str, reference: str) -> str:
    """Return the URL that a header names, relative to that of the answer; empty when it is none."""
    try:
        return urljoin(base, reference) if reference else ""
    except ValueError:
        return ""


class NoAnswer(Exception):
    """The server gave no answer that is HTTP."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer.

    Header names are looked up without regard to case; ``all`` gives every value of one.
    """

    status: int
    reason: str
    url: str
    body: bytes
    raw_headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """Return a header's values, joined by commas; empty when there is none."""
        return ", ".join(self.all(name))

    def all(self, name: str) -> list[str]:
        """Return the values of a header, one for each line."""
        return [value for key, value in self.raw_headers if key.lower() == name.lower()]

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def successful(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the status is 4xx."""
        return 400 <= self.status < 500

    def __str__(self) -> str:
        """Name the status."""
        return f"{self.status} {self.reason}".strip()


class Http:
    """Sends requests and keeps them. Used as an async context manager."""

    def __init__(self, *, token: str | None, timeout: float, tls: ssl.SSLContext | None) -> None:
        self.token = token
        self.exchanges: list[Exchange] = []
        self._timeout = timeout
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Http:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> HttpAnswer:
        """Send a request and return its answer, whatever it is; redirections are not followed.

        ``token`` is the bearer token: by default that of the user, ``None`` for none.

        Raises:
            NoAnswer: none came in time, or what came is no HTTP.
        """
        assert self._session is not None, "used outside of its context"
        sent = dict(headers or {})
        shown = dict(sent)
        token = self.token if token == "" else token
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
            shown["Authorization"] = "Bearer …"
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(
                    method,
                    yarl.URL(url, encoded=True),
                    data=None if body is None else body.encode(),
                    headers=sent,
                    allow_redirects=False,
                    skip_auto_headers=("Content-Type", "User-Agent"),
                ) as response,
            ):
                content = await response.content.read(MAX_BODY)
                while len(content) < MAX_BODY and (more := await response.content.read(MAX_BODY - len(content))):
                    content += more
                raw = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
                answer = HttpAnswer(response.status, response.reason or "", url, content, raw)
        except TimeoutError:
            raise self._none(method, url, shown, body, f"no answer within {self._timeout:g} s") from None
        except _FAILURES as exc:
            raise self._none(method, url, shown, body, f"no answer: {connect_reason(exc)}") from None
        self.exchanges.append(
            Exchange(method, url, shown, body or "", answer.status, answer.reason, dict(raw), answer.text)
        )
        return answer

    def _none(self, method: str, url: str, headers: dict[str, str], body: str | None, problem: str) -> NoAnswer:
        self.exchanges.append(Exchange(method, url, headers, body or "", problem=problem))
        return NoAnswer(f"{method} got {problem}")
