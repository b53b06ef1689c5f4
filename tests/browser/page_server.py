"""Serves the test pages and the SDK from another port than the simulator's, as a customer's web server would."""

from __future__ import annotations

import ssl
from pathlib import Path

from aiohttp import web

from tests.browser.sdk import HLS_JS, SDKS, WHIP_WHEP

PAGES = Path(__file__).resolve().parents[1] / "pages"


class PageServer:
    """A web server on a free loopback port; ``start`` returns it, ``stop`` ends it."""

    def __init__(self, runner: web.AppRunner, scheme: str) -> None:
        self._runner = runner
        self.url = f"{scheme}://localhost:{runner.addresses[0][1]}"

    @classmethod
    async def start(cls, context: ssl.SSLContext | None = None) -> PageServer:
        """Listen; with a TLS context it is https."""
        app = web.Application()
        for sdk in SDKS:
            app.router.add_get(f"/sdk/{sdk.version}.js", _file(sdk.obtain()))
        for script in ("whip.js", "whep.js"):
            app.router.add_get(f"/whip-whep/{script}", _file(WHIP_WHEP.obtain_package() / script))
        app.router.add_get("/hls.js", _file(HLS_JS.obtain_package() / "dist" / "hls.min.js"))
        for page in PAGES.iterdir():
            app.router.add_get(f"/{page.name}", _file(page))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return cls(runner, "https" if context else "http")

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()


def _file(path: Path):
    async def respond(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path, headers={"Cache-Control": "no-store"})

    return respond
