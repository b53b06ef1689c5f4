"""What a WHIP or WHEP client is answered, before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import ClientResponse, web
from yarl import URL

from smproxy.manager.whip.links import rewrite_links

#: What an origin's answer tells a client; ``Location`` and ``Link`` are rewritten besides.
PASSED_ON = (
    "Content-Type", "ETag", "Accept-Post", "Accept-Patch", "Allow", "Retry-After", "WWW-Authenticate", "Cache-Control",
)  # fmt: skip


@dataclass(slots=True)
class Reply:
    """One response: ``status``, ``headers`` and a whole body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def response(self) -> web.Response:
        """Return it as aiohttp's."""
        return web.Response(status=self.status, headers=self.headers, body=self.body or None)


def passed_on(response: ClientResponse, to_client: Callable[[URL], str | None] | None) -> dict[str, str]:
    """Return the headers of an origin's response for its client; ``to_client`` leads the origin's URLs here."""
    headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
    if links := response.headers.getall("Link", []):
        headers["Link"] = ", ".join(rewrite_links(links, to_client))
    return headers


def sent_on(headers: Mapping[str, str], remote_ip: str, secure: bool) -> dict[str, str]:
    """Return the headers of a client's request for the origin, and who the client is."""
    sent = {name: headers[name] for name in _SENT_ON if name in headers}
    return sent | {"X-Forwarded-For": remote_ip, "X-Forwarded-Proto": "https" if secure else "http"}


_SENT_ON = ("Content-Type", "If-Match", "If-None-Match", "Accept", "Authorization", "User-Agent", "Last-Event-ID")
