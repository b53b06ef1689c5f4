"""The other nodes, asked by HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

from smproxy.cluster.fencing import PeerAnswer
from smproxy.cluster.records import NodeRecord
from smproxy.manager.cluster.paths import CONTACT, KEY_HEADER


@dataclass(frozen=True, slots=True)
class PeerResponse:
    """What a node answered; ``status`` 0 when it did not in time."""

    node: str
    status: int
    body: bytes = b""
    content_type: str = "application/json"


class Peers:
    """Sends requests to other nodes of the cluster."""

    def __init__(self, http: aiohttp.ClientSession, contact_timeout: float) -> None:
        self._http = http
        self._contact_timeout = contact_timeout

    async def ask(self, peer: NodeRecord, method: str, path: str, body: bytes, timeout: float) -> PeerResponse:
        """Send one request to one node."""
        headers = {KEY_HEADER: peer.key}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(timeout),
                self._http.request(method, f"{peer.url}{path}", headers=headers, data=body or None) as response,
            ):
                kind = response.headers.get("Content-Type", "application/json")
                return PeerResponse(peer.life.node, response.status, await response.read(), kind)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return PeerResponse(peer.life.node, 0)

    async def has_registry(self, peer: NodeRecord) -> PeerAnswer | None:
        """Ask whether a node has the registry; ``None`` when it cannot be asked."""
        try:
            async with (
                asyncio.timeout(self._contact_timeout),
                self._http.get(f"{peer.url}{CONTACT}", headers={KEY_HEADER: peer.key}) as response,
            ):
                if response.status != 200:
                    return PeerAnswer.GONE  # another process at this address is not the node that was
                return PeerAnswer.HAS_REGISTRY if await response.text() == "yes" else PeerAnswer.LOST_TOO
        except aiohttp.ClientConnectorError as error:
            return PeerAnswer.GONE if isinstance(error.os_error, ConnectionRefusedError) else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
