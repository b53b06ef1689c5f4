"""Answers over all nodes: the control API of each node, asked by the one that was asked."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from smproxy.cluster.records import NodeRecord
from smproxy.manager.cluster.lists import GatheredList, gathered_list
from smproxy.manager.cluster.paths import KEY_HEADER, PARTIAL_HEADER
from smproxy.manager.cluster.peers import PeerResponse, Peers
from smproxy.manager.rest.errors import ApiError

#: Seconds for the nodes to answer a question, and to do what they are told: longer than a client takes to end.
ANSWER_WITHIN = 1.0
DONE_WITHIN = 12.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: What one node knows: the first that knows it answers.
_ONE = re.compile(
    r"/api/v1/(sessions/[^/]+(/frames|/timeline|/capture\.pcapng)?|streams/.+|recordings/.+"
    r"|(publishers|subscribers)/[^/]+(/mute)?|hooks/[0-9a-f]{8}-[0-9a-f-]{27}(/resend)?)"
)
#: What every node does.
_ALL = {
    ("POST", "/api/v1/reset"),
    ("POST", "/api/v1/faults"),
    ("DELETE", "/api/v1/faults"),
    ("POST", "/api/v1/hooks/dead/resend"),
}
_WAIT = "/api/v1/hooks/wait"
_INTERSTITIALS = re.compile(r"(/streammanager/api/[^/]+/admin|.+)/interstitial")
_SEGMENT = re.compile(r".+/hls/[0-9a-f]{24}/[0-9]{5,9}\.ts")
_FAULT = re.compile(r"/api/v1/faults/[^/]+")


class Gather:
    """A middleware that has the other nodes answer, too."""

    def __init__(
        self, peers: Peers, others: Callable[[], Sequence[NodeRecord]], own_key: str, me: Callable[[], str]
    ) -> None:
        self._me = me
        self._peers = peers
        self._others = others
        self._own_key = own_key

    def from_node(self, request: web.BaseRequest) -> bool:
        """Whether a request comes from another node, which wants this node's answer only."""
        return request.headers.get(KEY_HEADER, "") == self._own_key

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Respond for all nodes where that is asked of them."""
        method, path = request.method, request.path
        if self.from_node(request) or not self._others():
            return await handler(request)
        if method == "GET" and (how := gathered_list(path)) is not None:
            return await self._list(request, handler, how)
        if (method == "POST" and _INTERSTITIALS.fullmatch(path)) or (method == "GET" and _SEGMENT.fullmatch(path)):
            return await self._whoever_knows(request, handler)
        if not path.startswith("/api/v1/"):
            return await handler(request)
        if path == _WAIT:
            return await self._wait(request, handler)
        if (method, path) in _ALL:
            return await self._everywhere(request, handler)
        if method == "DELETE" and _FAULT.fullmatch(path):
            return await self._remove_fault(request, handler)
        if _ONE.fullmatch(path):
            return await self._whoever_knows(request, handler)
        return await handler(request)

    async def _ask_all(
        self, request: web.Request, within: float, body: bytes = b"", path: str | None = None
    ) -> list[PeerResponse]:
        asked = path or request.path_qs
        return await asyncio.gather(
            *(self._peers.ask(peer, request.method, asked, body, within) for peer in self._others())
        )

    async def _list(self, request: web.Request, handler: Handler, how: GatheredList) -> web.StreamResponse:
        others = asyncio.ensure_future(self._ask_all(request, ANSWER_WITHIN))
        try:
            mine = await handler(request)
        except BaseException:
            others.cancel()
            raise
        answers = await others
        assert isinstance(mine, web.Response)
        merged: Any = msgspec.json.decode(bytes(mine.body or b"{}"))  # type: ignore[arg-type]
        how.mark(merged, self._me())
        for answer in answers:
            if answer.status == 200:
                theirs = msgspec.json.decode(answer.body)
                how.mark(theirs, answer.node)
                how.merge(merged, theirs)
        how.finish(
            merged, request.query.get("limit", ""), newest=request.query.get("newest", "").lower() in ("true", "1")
        )
        partial = sorted(answer.node for answer in answers if answer.status != 200)
        if how.field is not None:
            merged["partial"] = partial
        response = _json(merged)
        if how.field is None and partial:  # these lists have no room for it
            response.headers[PARTIAL_HEADER] = ", ".join(partial)
        return response

    async def _whoever_knows(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            if error.status != 404:
                raise
            body = await request.read()
            within = DONE_WITHIN if request.method != "GET" else ANSWER_WITHIN
            # A capture goes on for so long.
            within += float(request.query.get("seconds", 0))
            answers = await self._ask_all(request, within, body)
            for answer in answers:
                if answer.status not in (0, 404):
                    kind, _, charset = answer.content_type.partition("; charset=")
                    return web.Response(
                        status=answer.status, body=answer.body, content_type=kind, charset=charset or None
                    )
            if silent := sorted(answer.node for answer in answers if not answer.status):
                raise ApiError(503, f"{error} No answer from {', '.join(silent)}.") from None
            raise

    async def _everywhere(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        mine = await handler(request)
        assert isinstance(mine, web.Response)
        merged: dict[str, Any] = msgspec.json.decode(bytes(mine.body or b"{}"))  # type: ignore[arg-type]
        # A fault is called the same at every node.
        path = f"{request.path}?as={quote(merged['id'], safe='')}" if "fault" in merged else request.path_qs
        answers = await self._ask_all(request, DONE_WITHIN, await request.read(), path)
        for answer in answers:
            if 200 <= answer.status < 300:
                theirs = msgspec.json.decode(answer.body)
                for key, value in merged.items():
                    if type(value) is int and type(theirs.get(key)) is int and request.path != "/api/v1/faults":
                        merged[key] = value + theirs[key]
        if request.path == "/api/v1/faults" and request.method == "DELETE":
            merged["removed"] += sum(
                msgspec.json.decode(each.body)["removed"] for each in answers if each.status == 200
            )
        merged["partial"] = sorted(answer.node for answer in answers if not 200 <= answer.status < 300)
        return _json(merged, mine.status)

    async def _remove_fault(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Switch a fault off everywhere; nodes that came later than it do not have it."""
        mine: web.StreamResponse | None = None
        unknown: ApiError | None = None
        try:
            mine = await handler(request)
        except ApiError as error:
            if error.status != 404:
                raise
            unknown = error
        answers = await self._ask_all(request, DONE_WITHIN)
        if unknown is not None and not any(answer.status == 200 for answer in answers):
            raise unknown
        partial = sorted(answer.node for answer in answers if answer.status not in (200, 404))
        return _json({"removed": 1, "partial": partial}, 200 if mine is None else mine.status)

    async def _wait(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Wait at every node at once; the first event that comes is the answer."""
        within = DONE_WITHIN + 600.0

        async def here() -> PeerResponse | web.StreamResponse:
            return await handler(request)

        waits: list[asyncio.Future[PeerResponse | web.StreamResponse]] = [asyncio.ensure_future(here())]
        waits += [
            asyncio.ensure_future(self._peers.ask(peer, "GET", request.path_qs, b"", within)) for peer in self._others()
        ]
        try:
            for next_one in asyncio.as_completed(waits[1:] + waits[:1]):
                with contextlib.suppress(ApiError):
                    answer = await next_one
                    if answer.status == 200:
                        return answer if isinstance(answer, web.StreamResponse) else _passed(answer)
            return await waits[0]  # type: ignore[return-value]
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def _passed(answer: PeerResponse) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type="application/json")


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
