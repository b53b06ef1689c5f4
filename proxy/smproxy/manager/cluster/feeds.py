"""The feeds of the other nodes, followed for a listener of this one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp

from smproxy.cluster.records import NodeLife, NodeRecord
from smproxy.manager.cluster.feed_merge import FeedCutter, FeedMerge, FrameTooLong
from smproxy.manager.cluster.paths import FEED, KEY_HEADER
from smproxy.manager.node_extension import Send
from smproxy.tasks import cancelled

logger = logging.getLogger(__name__)

#: Seconds between two looks at which nodes there are, and until a lost connection is tried again.
_LOOK = 0.25
#: Seconds within which a node answers, and after which one that is silent is not heard: it says something every 15 s.
_ANSWER_WITHIN = 2.0
_SILENCE = 40.0


class NodeFeed:
    """The feed for one listener, with connections of its own: a slow one holds up no other."""

    def __init__(self, node: str, http: aiohttp.ClientSession, others: Callable[[], Sequence[NodeRecord]]) -> None:
        self._merge = FeedMerge(node)
        self._http = http
        self._others = others

    def own(self, data: bytes) -> bytes:
        """Return what the listener is sent for a frame of this node."""
        return self._merge.own(data)

    @asynccontextmanager
    async def others(self, send: Send) -> AsyncIterator[None]:
        """Send what the other nodes have, while the context lasts."""
        task = asyncio.create_task(_Followed(self._http, self._others, self._merge, send).run())
        try:
            yield
        finally:
            await cancelled(task)


class _Followed:
    """The connections of one listener."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        others: Callable[[], Sequence[NodeRecord]],
        merge: FeedMerge,
        send: Send,
    ) -> None:
        self._http = http
        self._others = others
        self._merge = merge
        self._send = send
        self._tasks: dict[NodeLife, asyncio.Task[None]] = {}
        self._heard: set[NodeLife] = set()

    async def run(self) -> None:
        """Follow every node that is alive; ends when the listener is gone."""
        try:
            while not any(task.done() for task in self._tasks.values()):
                alive = {record.life: record for record in self._others()}
                for life in self._tasks.keys() - alive.keys():
                    await cancelled(self._tasks.pop(life))
                for life in alive.keys() - self._tasks.keys():
                    self._tasks[life] = asyncio.create_task(self._follow(alive[life]))
                await self._tell(list(alive))
                await asyncio.sleep(_LOOK)
        except ConnectionError:
            return
        finally:
            for task in self._tasks.values():
                await cancelled(task)

    async def _tell(self, alive: list[NodeLife]) -> None:
        partial = [life.node for life in alive if life not in self._heard]
        if data := self._merge.members((life.node for life in alive), partial):
            await self._send(data)

    async def _follow(self, record: NodeRecord) -> None:
        """Follow one node, again and again; ends when the listener is gone."""
        while True:
            try:
                response = await self._open(record)
            except (aiohttp.ClientError, OSError, TimeoutError):
                response = None
            if response is not None:
                try:
                    if response.status == 200 and not await self._pass_on(record, response):
                        return
                finally:
                    self._heard.discard(record.life)
                    response.close()
            await asyncio.sleep(_LOOK)

    async def _open(self, record: NodeRecord) -> aiohttp.ClientResponse:
        async with asyncio.timeout(_ANSWER_WITHIN):
            return await self._http.get(
                record.url + FEED,
                headers={KEY_HEADER: record.key},
                timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENCE),
            )

    async def _pass_on(self, record: NodeRecord, response: aiohttp.ClientResponse) -> bool:
        """Pass on what comes until it breaks off; return whether the listener is there still."""
        reader = FeedCutter()
        chunks = response.content.iter_any()
        while True:
            try:
                frames = reader.read(await anext(chunks))
            except (aiohttp.ClientError, OSError, TimeoutError, StopAsyncIteration):
                return True
            except FrameTooLong as error:
                logger.warning("the feed of %s is not followed: %s", record.life.node, error)
                return True
            try:
                if data := self._merge.others(record.life.node, frames):
                    await self._send(data)
            except ConnectionError:
                return False
            self._heard.add(record.life)
