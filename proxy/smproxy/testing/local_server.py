"""A real HTTP server on a loopback port, which doubles of other servers are made of."""

from __future__ import annotations

import asyncio
import ssl as tls
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from aiohttp import web


class LocalServer(ABC):
    """Listens as an async context manager, or between ``start`` and ``stop``."""

    def __init__(self, host: str, port: int, ssl: tls.SSLContext | None = None) -> None:
        self._host = host
        self._port = port
        self._ssl = ssl
        self._runner: web.AppRunner | None = None
        #: Set at the end; what hangs on purpose waits for it.
        self._released = asyncio.Event()

    @property
    def _base(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._ssl else 'http'}://{self._host}:{self._port}"

    @abstractmethod
    def _app(self) -> web.Application:
        """Make the application."""

    async def start(self) -> None:
        """Listen. Port 0 becomes a free one, which another ``start`` takes again.

        Raises:
            OSError: The address is taken.
        """
        self._released.clear()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, ssl_context=self._ssl, reuse_address=True).start()
        except OSError:
            await self.stop()
            raise
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and drop what hangs. What was received stays readable."""
        self._released.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
