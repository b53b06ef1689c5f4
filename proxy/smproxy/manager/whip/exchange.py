"""One HTTP exchange with an origin, on behalf of a WHIP or WHEP client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import (
    BaseConnector,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

from smproxy.network_errors import reason_of
from smproxy.signaling.payloads import RouteError

#: Bytes of an offer, an answer or a fragment; a session description has some 10 kB.
MAX_BODY = 256 * 1024

#: Seconds until an origin must have taken the connection, and have answered.
CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 15.0


class ExchangeFailed(Exception):
    """The origin cannot be reached, or gives no usable answer.

    The message has the reason in a few words, ``error`` what a hook says.
    """

    def __init__(self, why: str, error: RouteError = RouteError.GATEWAY_ERROR) -> None:
        super().__init__(why)
        self.error = error


class Origins:
    """HTTP connections to origins. ``close`` ends them.

    They go over TCP, unless ``make_connector`` makes others.
    """

    def __init__(self, make_connector: Callable[[], BaseConnector] | None = None) -> None:
        self._make_connector = make_connector or _connect_by_tcp
        self._client: ClientSession | None = None

    @asynccontextmanager
    async def exchange(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[ClientResponse]:
        """Send a request and give the response, whose body is not read yet.

        Raises:
            ExchangeFailed: there is no response.
        """
        if self._client is None:
            self._client = ClientSession(
                connector=self._make_connector(),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        timeout = ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=None)
        request = self._client.request(
            method, url, headers=headers, data=body, allow_redirects=False, timeout=timeout, raise_for_status=False
        )
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                response = await request
        except TimeoutError:
            raise ExchangeFailed(f"no answer within {ANSWER_TIMEOUT:g} s", RouteError.TIMEOUT) from None
        except (ClientError, OSError, ValueError) as error:
            raise ExchangeFailed(reason_of(error)) from None
        try:
            yield response
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()


async def read_body(response: ClientResponse) -> bytes:
    """Read the body of a response.

    Raises:
        ExchangeFailed: it is too large, broken, or takes too long.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            body = await response.content.read(MAX_BODY + 1)
            while not response.content.at_eof() and len(body) <= MAX_BODY:
                body += await response.content.read(MAX_BODY + 1 - len(body))
    except TimeoutError:
        raise ExchangeFailed(f"its answer was not complete within {ANSWER_TIMEOUT:g} s", RouteError.TIMEOUT) from None
    except (ClientError, OSError, ValueError) as error:
        raise ExchangeFailed(reason_of(error)) from None
    if len(body) > MAX_BODY:
        raise ExchangeFailed(f"its answer is larger than {MAX_BODY} bytes", RouteError.MEDIA_ERROR)
    return body


def _connect_by_tcp() -> BaseConnector:
    # Kept for less time than servers keep theirs, so that no request meets a connection that is just being closed.
    return TCPConnector(keepalive_timeout=10, limit=0)
