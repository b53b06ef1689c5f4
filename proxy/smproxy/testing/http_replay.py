"""Replay of a recorded WHIP or WHEP client: its requests, and the server's statuses.

Descriptions and fragments are sent as they were recorded, so no media flows; the URL of the session and its entity tags are
those of the new session.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import yarl

from smproxy.network_errors import connect_reason
from smproxy.testing.errors import StreamError
from smproxy.testing.replay import Difference, ReplayResult
from smproxy.testing.session_transcript import RecordedFrame, SessionTranscript

#: Headers of a request that are sent again, by their name in the transcript.
_HEADERS = {"contentType": "Content-Type", "ifMatch": "If-Match"}
#: Bytes of an answer that are read.
_MAX_BODY = 1 << 20


class HttpReplay:
    """Plays one transcript once.

    ``url`` is the endpoint; ``timeout``: seconds for each response.
    """

    def __init__(
        self, transcript: SessionTranscript, url: str, *, timeout: float = 10.0, ssl: tls.SSLContext | None = None
    ) -> None:
        self._frames = transcript.frames
        self._endpoint = url
        self._timeout = timeout
        self._ssl = ssl
        #: What the recorded server gave, and what this one gives in its place.
        self._sessions: dict[str, str] = {}
        self._tags: dict[str, str] = {}

    async def run(self) -> ReplayResult:
        """Play to the end, or to the first difference.

        Raises:
            StreamError: the server cannot be reached.
        """
        result = ReplayResult()
        response: tuple[str, dict[str, str]] | None = None
        after = ""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._ssl or True)) as client:
            for frame in self._frames:
                if frame.omitted:
                    result.skipped = f"from line {frame.line} on: {frame.omitted} frames are missing there"
                    break
                if frame.via != "http":
                    result.skipped = "what was sent on the data channel: there is no media"
                elif frame.sender == "client":
                    after = str(frame.message.get("request", "")).partition(" ")[0]
                    response = await self._send(client, frame)
                    result.sent += 1
                elif response is not None:
                    result.compared += 1
                    recorded = _described(frame.message.get("status"), frame.message.get("contentType"))
                    if recorded != response[0]:
                        result.difference = Difference(
                            frame.line, after, recorded, f"the server answered {response[0]}"
                        )
                        break
                    self._learn(frame.message, response[1])
                    response = None
        return result

    async def _send(self, client: aiohttp.ClientSession, frame: RecordedFrame) -> tuple[str, dict[str, str]]:
        message = frame.message
        method, _, target = str(message.get("request", "")).partition(" ")
        path, _, query = target.partition("?")
        url = self._endpoint
        for recorded, session in self._sessions.items():
            if path == recorded or path.startswith(f"{recorded}/"):
                url = urljoin(self._endpoint, session + path[len(recorded) :] + (f"?{query}" if query else ""))
        headers = {name: str(message[key]) for key, name in _HEADERS.items() if key in message}
        if "If-Match" in headers:
            headers["If-Match"] = self._tags.get(headers["If-Match"], headers["If-Match"])
        body = str(message.get("body", "")).encode()
        try:
            async with asyncio.timeout(self._timeout):
                async with client.request(
                    method, yarl.URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False
                ) as response:
                    await response.content.read(_MAX_BODY)
                    kept = {name: response.headers[name] for name in ("Location", "ETag") if name in response.headers}
                    return _described(response.status, response.headers.get("Content-Type")), kept
        except TimeoutError:
            return f"nothing within {self._timeout:g} s", {}
        except (aiohttp.ClientError, OSError, ValueError) as error:
            where = urlsplit(self._endpoint)
            raise StreamError(f"{where.scheme}://{where.netloc} cannot be reached: {connect_reason(error)}") from None

    def _learn(self, recorded: dict[str, Any], given: dict[str, str]) -> None:
        if isinstance(recorded.get("location"), str) and "Location" in given:
            self._sessions[urlsplit(recorded["location"]).path] = given["Location"]
        if isinstance(recorded.get("etag"), str) and "ETag" in given:
            self._tags[recorded["etag"]] = given["ETag"]


def _described(status: object, content_type: object) -> str:
    kind = str(content_type or "").partition(";")[0].strip()
    return f"{status} with {kind}" if kind else f"{status}"
