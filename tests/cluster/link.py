"""A TCP connection between a node and the registry that can be cut, one way or both, or made slow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Link:
    """Passes bytes on; ``cut`` loses them, as a partition does, and says nothing to either side."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._there = self._back = True
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The registry's URL by this way."""
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self, *, there: bool = True, back: bool = True) -> None:
        """Lose what is sent in these directions from now on."""
        self._there, self._back = not there, not back

    def mend(self) -> None:
        """Pass everything on again; what was connected has to connect anew."""
        self._there = self._back = True
        for writer in self._writers:
            writer.close()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers.add(there_writer)
        for source, sink, forward in ((reader, there_writer, True), (there_reader, writer, False)):
            task = asyncio.create_task(self._pump(source, sink, forward=forward))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, forward: bool) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if self._there if forward else self._back:
                    if self.delay:
                        loop.call_later(self.delay, self._write, sink, data)
                    else:
                        self._write(sink, data)
        sink.close()

    @staticmethod
    def _write(sink: asyncio.StreamWriter, data: bytes) -> None:
        if not sink.is_closing():
            sink.write(data)


@asynccontextmanager
async def link_to(port: int) -> AsyncIterator[Link]:
    """Run a link to a port of this machine."""
    link = Link(port)
    await link.start()
    try:
        yield link
    finally:
        await link.stop()
