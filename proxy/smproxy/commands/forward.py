"""Pass deliveries on, as they are, to another receiver."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from smproxy.commands.output import USAGE, CommandError, note
from smproxy.hooks.sinks.webhook import display_name
from smproxy.urls import read_url

#: Seconds that the other receiver has to answer.
TIMEOUT = 10.0

_PASSED_ON = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")


class Forward:
    """Posts to one URL, within ``async with``.

    Raises ``CommandError`` for a URL that cannot be posted to.
    """

    def __init__(self, url: str, *, verify: bool = True) -> None:
        try:
            read_url(url, "http", "https")
            self._url = URL(url)
        except ValueError as error:
            raise CommandError(
                f"--forward: {error}: it takes a URL such as http://127.0.0.1:8000/hooks", USAGE
            ) from None
        self._name = display_name(self._url)
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._verify),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """Post the same bytes; return the status and headers to answer with, 502 for no answer."""
        assert self._session is not None, "post before start"
        passed_on = {name: headers[name] for name in _PASSED_ON if name in headers}
        try:
            async with self._session.post(self._url, data=body, headers=passed_on, allow_redirects=False) as response:
                kept = {name: response.headers[name] for name in ("Retry-After",) if name in response.headers}
                if not 200 <= response.status < 300:
                    note("smproxy listen", f"{self._name} answered {response.status}")
                return response.status, kept
        except TimeoutError:
            note("smproxy listen", f"{self._name}: no answer within {TIMEOUT:g} s")
        except (aiohttp.ClientError, OSError) as error:
            note("smproxy listen", f"{self._name}: {type(error).__name__}")
        return 502, {}
