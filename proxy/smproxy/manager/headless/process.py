"""The process in which headless clients run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable

import msgspec

from smproxy.manager.headless.messages import ClientCommand, ClientReport

logger = logging.getLogger(__name__)

_MODULE = "smproxy.headless_worker"
#: Bytes of one report at most.
_LINE = 1 << 20
#: Seconds until a process that is told to end is killed.
_STOP = 2.0


class HeadlessProcess:
    """One process. Made by :meth:`start`, ended by :meth:`stop`.

    ``on_report`` takes what comes of the clients, ``on_exit`` is called once it has ended, with why.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        on_report: Callable[[ClientReport], None],
        on_exit: Callable[[HeadlessProcess, str], None],
    ) -> None:
        self._process = process
        self._on_report = on_report
        self._on_exit = on_exit
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(
        cls, on_report: Callable[[ClientReport], None], on_exit: Callable[[HeadlessProcess, str], None]
    ) -> HeadlessProcess:
        """Start it. Raises ``OSError``."""
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", _MODULE],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
        )
        return cls(process, on_report, on_exit)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def send(self, command: ClientCommand) -> None:
        """Have it do something; lost when it has just ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(command) + b"\n")

    async def stop(self) -> None:
        """End it, with all clients that run in it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP):
                await asyncio.shield(self._reading)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        decoder = msgspec.json.Decoder(ClientReport)
        try:
            async for line in self._process.stdout:
                self._on_report(decoder.decode(line))
        except ValueError:  # a line that is too long, or no report: not our process
            logger.exception("the process of the headless clients cannot be understood")
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        code = await self._process.wait()
        self._on_exit(self, f"the process of the headless clients has ended with {code}")
