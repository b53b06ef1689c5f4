"""One session of a headless client over WHIP (RFC 9725) or WHEP.

Made by POST, ended by DELETE.
"""

from __future__ import annotations

import json
import ssl as tls
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import yarl

from smproxy.network_errors import connect_reason
from smproxy.printable import printable
from smproxy.testing.errors import Rejected, StreamError
from smproxy.testing.frame_log import FrameLog
from smproxy.testing.signaling_url import ParamValue, write_params

if TYPE_CHECKING:
    import aiohttp

_SDP = "application/sdp"
_REDIRECTIONS = frozenset({307, 308})
_MAX_REDIRECTIONS = 5
#: Bytes of an answer that are read, and characters of a refusal that are shown.
_MAX_BODY = 1 << 20
_SHOWN = 300


def endpoint_url(base: str, protocol: str, stream: str, params: Mapping[str, ParamValue] | None = None) -> str:
    """Return the endpoint: an http or https URL as it is, or that of a stream manager.

    A ws or wss URL is that of the stream manager.

    Parameters are added to its query.

    Raises:
        ValueError: it is neither.
    """
    parts = urlsplit(base)
    path, scheme = parts.path, parts.scheme
    if scheme in ("ws", "wss") and parts.hostname:
        scheme = {"ws": "http", "wss": "https"}[scheme]
        path = f"{path.rstrip('/')}/{protocol}/endpoint/{quote(stream, safe='')}"
    elif scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the URL must look like http://host:port/live/{protocol}/endpoint/{stream}")
    query = "&".join(each for each in (parts.query, write_params(params or {})) if each)
    return urlunsplit((scheme, parts.netloc, path, query, ""))


class HttpSession:
    """A session that is to be made; ``failed`` and ``rejected`` are what it raises."""

    def __init__(
        self,
        url: str,
        frames: FrameLog,
        *,
        token: str | None,
        ssl: tls.SSLContext | None,
        user_agent: str,
        failed: type[StreamError],
        rejected: type[Rejected],
    ) -> None:
        self.url = url
        #: The URL of the session, once it is made.
        self.resource = ""
        self._frames = frames
        self._headers = {"User-Agent": user_agent}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._ssl = ssl
        self._failed = failed
        self._rejected = rejected
        self._client: aiohttp.ClientSession | None = None

    async def create(self, offer: str) -> str:
        """POST the offer and return the answer.

        Raises:
            Rejected: the server refused.
            StreamError: it cannot be reached, or gave no answer that can be used.
        """
        url = self.url
        for _ in range(_MAX_REDIRECTIONS):
            status, headers, body = await self._request("POST", url, offer)
            if status not in _REDIRECTIONS:
                break
            url = urljoin(url, headers.get("Location", ""))
        if not 200 <= status < 300:
            raise self._rejected(f"HTTP {status}", _reason(headers, body))
        location = headers.get("Location", "")
        if not location:
            raise self._failed("the server made a session and did not say where (no Location)")
        self.resource = urljoin(url, location)
        return body

    async def delete(self) -> bool:
        """DELETE the session; return whether the server confirmed that.

        Raises:
            StreamError: the server cannot be reached.
        """
        status, _, _ = await self._request("DELETE", self.resource)
        return 200 <= status < 300

    async def close(self) -> None:
        """Close the connections to the server; the session goes on there."""
        if self._client is not None:
            await self._client.close()

    async def _request(self, method: str, url: str, body: str | None = None) -> tuple[int, Mapping[str, str], str]:
        import aiohttp

        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl if self._ssl is not None else True),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        headers = self._headers | ({} if body is None else {"Content-Type": _SDP})
        self._frames.add("http", "client", f"{method} {urlsplit(url).path}\n\n{body or ''}".rstrip("\n"))
        try:
            target = yarl.URL(url, encoded=True)
            async with self._client.request(method, target, data=body, headers=headers, allow_redirects=False) as reply:
                text = (await reply.content.read(_MAX_BODY)).decode("utf-8", "replace")
                self._frames.add("http", "server", f"{reply.status} {reply.reason}\n\n{text}".rstrip("\n"))
                return reply.status, reply.headers, text
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failed(f"cannot connect to {url}: {connect_reason(error)}") from error


def _reason(headers: Mapping[str, str], body: str) -> str:
    """Return the reason of a refusal: its problem detail (RFC 9457), or its first line."""
    text = body
    if "json" in headers.get("Content-Type", ""):
        try:
            problem: Any = json.loads(body)
        except ValueError:
            problem = None
        if isinstance(problem, dict):
            found = (problem.get(key) for key in ("detail", "errorMessage", "error", "title"))
            text = next((each for each in found if isinstance(each, str)), body)
    return printable(next(iter(text.splitlines()), "")[:_SHOWN])
