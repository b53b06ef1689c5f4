"""The processes that make HLS.

Each is started by its first viewer, and ended when nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

    key: str
    directory: Path
    asked_at: float
    ready: asyncio.Future[str]
    is_live: Callable[[], bool] | None
    told_to_end: bool = False
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


class Packagers:
    """All streams that are packaged now. Ended by :meth:`stop`."""

    def __init__(self, monotonic: Callable[[], float], rng: random.Random) -> None:
        self._monotonic = monotonic
        self._rng = rng
        self._streams: dict[object, _Packaged] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._streams)

    async def playlist(self, source: object, job: dict[str, Any], is_live: Callable[[], bool] | None = None) -> Path:
        """Return the playlist of a source; what makes it is started if it does not run.

        ``job`` is that of :mod:`smproxy.hls_packager`, without directory and base. ``is_live`` says whether a live stream goes
        on: when it does not, its playlist ends; one that was published again is begun anew.

        Raises:
            HlsError: there are too many, or it cannot be made.
        """
        packaged = self._streams.get(source)
        if packaged is not None and is_live is not None and (packaged.over or packaged.told_to_end) and is_live():
            await self._end(source)
            packaged = None
        if packaged is None:
            if len(self._streams) >= MAX_STREAMS:
                raise HlsError(
                    503, f"{MAX_STREAMS} streams are packaged as HLS now: wait until one is not watched any more."
                )
            packaged = await self._start(source, job, is_live)
        packaged.asked_at = self._monotonic()
        try:
            async with asyncio.timeout(READY_IN):
                said = await asyncio.shield(packaged.ready)
        except TimeoutError:
            await self._end(source)
            raise HlsError(504, f"No playlist was there within {READY_IN:g} s: does the stream have media?") from None
        packaged.asked_at = self._monotonic()
        if said != "ready":
            await self._end(source)
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
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*(self._end(source) for source in tuple(self._streams)))

    async def _start(self, source: object, job: dict[str, Any], is_live: Callable[[], bool] | None) -> _Packaged:
        loop = asyncio.get_running_loop()
        key = f"{self._rng.getrandbits(96):024x}"
        directory = Path(tempfile.mkdtemp(prefix="smproxy-hls-"))
        packaged = _Packaged(key, directory, self._monotonic(), loop.create_future(), is_live)
        self._streams[source] = packaged
        packaged.process = process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", _MODULE],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
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
            for source, packaged in tuple(self._streams.items()):
                if packaged.ready.done() and now - packaged.asked_at > LINGER:
                    await self._end(source)
                elif packaged.is_live is not None and not packaged.told_to_end and not packaged.is_live():
                    packaged.tell_to_end()

    async def _end(self, source: object) -> None:
        packaged = self._streams.pop(source, None)
        if packaged is None:
            return
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
