"""The processes that make HLS.

Each is started by its first viewer, and ended when nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smproxy.tasks import Tasks

logger = logging.getLogger(__name__)

#: Streams that are packaged at a time: each is decoded and encoded again.
MAX_STREAMS = 8
#: Seconds until a playlist must be there, and without a request until a process ends.
READY_IN = 20.0
LINGER = 20.0
_STOP = 2.0
_LOOK = 1.0
_MODULE = "smproxy.hls_packager"
PLAYLIST = "index.m3u8"


class HlsError(Exception):
    """There is no playlist; the text says why, ``status`` is that of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(eq=False)
class _Packaged:
    """One stream that is packaged."""

    source: object
    key: str
    directory: Path
    asked_at: float
    ready: asyncio.Future[str]
    is_live: Callable[[], bool] | None
    stream: tuple[str, str] | None = None
    version: object = None
    told_to_end: bool = False
    ended: bool = False
    process: asyncio.subprocess.Process | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def tell_to_end(self) -> None:
        """Have the process write the end of its playlist."""
        self.told_to_end = True
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.write(b"end\n")

    @property
    def over(self) -> bool:
        """Whether the process has ended."""
        return self.process is not None and self.process.returncode is not None

    @property
    def failed(self) -> bool:
        """Whether the process has ended before its media did."""
        return self.process is not None and self.process.returncode not in (None, 0)


class Packagers:
    """All streams that are packaged now. Ended by :meth:`stop`."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._endings = Tasks()
        self._stopped = False
        self._streams: dict[object, _Packaged] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def live(self) -> set[tuple[str, str]]:
        """Return scope and name of the live streams that are packaged."""
        return {packaged.stream for packaged in self._streams.values() if packaged.stream is not None}

    async def playlist(
        self,
        source: object,
        job: dict[str, Any],
        is_live: Callable[[], bool] | None = None,
        *,
        stream: tuple[str, str] | None = None,
        version: object = None,
    ) -> Path:
        """Return the playlist of a source; what makes it is started if it does not run.

        ``job`` is that of :mod:`smproxy.hls_packager`, without directory and base. ``is_live`` says whether a live stream goes
        on: when it does not, its playlist ends; one that was published again is begun anew. So is a file whose ``version`` is
        another once its process has ended. ``stream`` is scope and name of a live stream.

        Raises:
            HlsError: there are too many, or it cannot be made.
        """
        packaged = self._streams.get(source)
        if packaged is not None and packaged.failed and packaged.ready.done() and packaged.ready.result() == "ready":
            self._end(packaged)
            raise HlsError(502, "Packaging as HLS has failed: see the log; the next request begins anew.")
        if packaged is not None and (
            (packaged.over and packaged.version != version)
            or (is_live is not None and (packaged.over or packaged.told_to_end) and is_live())
        ):
            self._end(packaged)
            packaged = None
        if packaged is None:
            if self._stopped:
                raise HlsError(503, "The server is stopping.")
            if len(self._streams) >= MAX_STREAMS:
                raise HlsError(
                    503, f"{MAX_STREAMS} streams are packaged as HLS now: wait until one is not watched any more."
                )
            packaged = await self._start(source, job, is_live, stream, version)
        packaged.asked_at = self._monotonic()
        try:
            async with asyncio.timeout(READY_IN):
                said = await asyncio.shield(packaged.ready)
        except TimeoutError:
            self._end(packaged)
            raise HlsError(504, f"No playlist was there within {READY_IN:g} s: does the stream have media?") from None
        packaged.asked_at = self._monotonic()
        if said != "ready":
            self._end(packaged)
            refused = re.match(r"HTTP (401|403|404|409|503): ", said)  # as the viewer would be over WHEP
            raise HlsError(int(refused[1]) if refused else 502, f"It cannot be played as HLS: {said.rstrip('.')}.")
        return packaged.directory / PLAYLIST

    def has(self, source: object) -> bool:
        """Return whether a source is packaged, or was a short while ago."""
        return source in self._streams

    def segment(self, key: str, name: str) -> Path | None:
        """Return a segment's file, ``None`` when there is no such stream."""
        for packaged in self._streams.values():
            if packaged.key == key:
                packaged.asked_at = self._monotonic()
                return packaged.directory / name
        return None

    async def stop(self) -> None:
        """End all processes and delete what they wrote."""
        self._stopped = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for packaged in tuple(self._streams.values()):
            self._end(packaged)
        await self._endings.settled()

    async def _start(
        self,
        source: object,
        job: dict[str, Any],
        is_live: Callable[[], bool] | None,
        stream: tuple[str, str] | None,
        version: object,
    ) -> _Packaged:
        key = secrets.token_hex(12)  # who knows it has been let in
        try:
            directory = Path(tempfile.mkdtemp(prefix="smproxy-hls-"))
        except OSError as error:
            raise HlsError(503, f"There is no directory for segments: {error.strerror}.") from None
        ready = asyncio.get_running_loop().create_future()
        packaged = _Packaged(source, key, directory, self._monotonic(), ready, is_live, stream, version)
        self._streams[source] = packaged
        try:
            packaged.process = process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", _MODULE],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            ready.set_result(f"there is no process for it: {error.strerror}")
            self._end(packaged)
            return packaged
        if packaged.ended:  # while the process was made
            process.kill()
        assert process.stdin is not None
        whole = {**job, "directory": str(directory), "base": f"hls/{key}/"}
        process.stdin.write(json.dumps(whole).encode() + b"\n")
        packaged.tasks.append(asyncio.ensure_future(_listen(packaged)))
        if self._sweeper is None:
            self._sweeper = asyncio.ensure_future(self._sweep())
        return packaged

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            now = self._monotonic()
            for packaged in tuple(self._streams.values()):
                if packaged.ready.done() and now - packaged.asked_at > LINGER:
                    self._end(packaged)
                elif packaged.is_live is not None and not packaged.told_to_end and not packaged.is_live():
                    packaged.tell_to_end()

    def _end(self, packaged: _Packaged) -> None:
        """Package it no more; its process and its files go in the background."""
        if self._streams.get(packaged.source) is packaged:
            del self._streams[packaged.source]
        if not packaged.ended:
            packaged.ended = True
            self._endings.spawn(_clear_up(packaged))


async def _clear_up(packaged: _Packaged) -> None:
    process = packaged.process
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    await asyncio.gather(*packaged.tasks, return_exceptions=True)
    if not packaged.ready.done():
        packaged.ready.set_result("it was ended")
    await asyncio.to_thread(shutil.rmtree, packaged.directory, True)


async def _listen(packaged: _Packaged) -> None:
    """Take what the process says until it ends."""
    process = packaged.process
    assert process is not None
    assert process.stdout is not None
    said = ""
    async for line in process.stdout:
        said = line.decode(errors="replace").strip()[:500]
        if not packaged.ready.done():
            packaged.ready.set_result(said)
    code = await process.wait()
    if not packaged.ready.done():
        packaged.ready.set_result(f"the process that makes it ended with {code}")
    if code > 0:
        logger.warning("HLS of a stream has ended: %s", said or f"exit code {code}")
