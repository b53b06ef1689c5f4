"""Ask an authentication back end over HTTP."""

from __future__ import annotations

import asyncio

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from smproxy.auth.request import AuthRequest
from smproxy.auth.round_trip import (
    HEADERS,
    MAX_ANSWER,
    invalidate_body,
    missing_credentials,
    read_answer,
    validate_body,
)
from smproxy.auth.verdict import Verdict, failed

#: Seconds for the whole of a question. (The vendor takes 9 s for each of its steps, and none for the end of a session.)
TIMEOUT = 9.0


class _TooLarge(ValueError):
    pass


class BackEnd:
    """The scheme that asks a back end.

    Each question has a connection of its own, as the vendor's server makes it.
    """

    name = "round-trip"

    def __init__(self, validate: str, invalidate: str | None, *, extended: bool = False) -> None:
        self._validate = validate
        self._invalidate = invalidate
        self._extended = extended
        self._client: ClientSession | None = None

    async def decide(self, request: AuthRequest) -> Verdict:
        if (refusal := missing_credentials(request)) is not None:
            return refusal
        try:
            async with asyncio.timeout(TIMEOUT):
                status, body = await self._post(self._validate, validate_body(request, extended=self._extended))
        except TimeoutError:
            return failed(f"the back end gave no answer within {TIMEOUT:g} s")
        except _TooLarge:
            return failed("the back end's answer is too large")
        except ClientResponseError:
            return failed("the back end's answer is not HTTP")
        except (ClientError, OSError, ValueError):
            return failed("the back end cannot be reached")  # the library's text has the URL, and with it a password
        return read_answer(status, body, extended=self._extended)

    async def ended(self, request: AuthRequest) -> str | None:
        if self._invalidate is None:
            return None
        try:
            async with asyncio.timeout(TIMEOUT):
                status, _ = await self._post(self._invalidate, invalidate_body(request))
        except TimeoutError:
            return f"the back end gave no answer within {TIMEOUT:g} s"
        except (ClientError, OSError, ValueError):
            return "the back end cannot be reached"
        return f"the back end answered {status}"

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        if self._client is None:
            self._client = ClientSession(
                connector=TCPConnector(limit=0, force_close=True),
                cookie_jar=DummyCookieJar(),
                trust_env=False,
                timeout=ClientTimeout(total=None),
            )
        async with self._client.post(url, data=body, headers=HEADERS, allow_redirects=False) as response:
            answer = b""
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER:
                    raise _TooLarge
            return response.status, answer
