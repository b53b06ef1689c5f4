"""The pages: ``/`` to watch what goes on, ``/publish`` and ``/subscribe`` to try it.

Files of the package, no build step.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

import smproxy

#: The files of the pages.
WEB = Path(smproxy.__file__).parent / "web"

PAGES = {"/": "index.html", "/publish": "publish.html", "/subscribe": "subscribe.html"}

#: Scripts and styles of our own only, nothing inline. The test pages go where the person at the form sends them.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self' {connect}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = {
    "Cache-Control": "no-cache",  # asked for again each time, answered with 304
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_CLOSED = _HEADERS | {"Content-Security-Policy": POLICY.format(connect="").replace(" ;", ";")}
_OPEN = _HEADERS | {"Content-Security-Policy": POLICY.format(connect="ws: wss: http: https:")}

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class PageRoutes:
    """The pages and their files.

    ``app`` is filled into the forms; ``sdk_file`` is served, and used by ``/publish``; ``asks_token`` gives the forms a field
    for the admin token, which the webhook socket needs then.
    """

    def __init__(self, *, app: str, sdk_file: Path | None = None, asks_token: bool = False) -> None:
        self._sdk_file = sdk_file
        sdk = "" if sdk_file is None else f"/sdk/{quote(sdk_file.name, safe='')}"
        self._facts = {"app": app, "sdk": sdk, "token": "required" if asks_token else ""}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        # What is not in this list is not served, whatever the path says.
        files = {path.relative_to(WEB).as_posix(): path for path in WEB.rglob("*") if path.suffix in _TYPES}
        return [
            *(web.get(path, self._page(WEB / name)) for path, name in PAGES.items()),
            web.get("/web/{path:.+}", _files(files)),
            web.get("/sdk/{name}", self.sdk),
            web.get("/picture-check.js", _files({"picture-check.js": WEB / "picture-check.js"})),
        ]

    async def sdk(self, request: web.Request) -> web.StreamResponse:
        """Serve the SDK file that the user has named."""
        if self._sdk_file is None or request.match_info["name"] != self._sdk_file.name or not self._sdk_file.is_file():
            raise web.HTTPNotFound
        return _file(self._sdk_file, _HEADERS, "text/javascript")

    def _page(self, path: Path) -> Handler:
        headers = _CLOSED if path.name == "index.html" else _OPEN
        text = fill(path.read_text(encoding="utf-8"), self._facts)

        async def serve(request: web.Request) -> web.StreamResponse:
            return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)

        return serve


def fill(page: str, facts: Mapping[str, str]) -> str:
    """Put facts into the empty ``<meta name="…" content="">`` of a page, escaped."""
    for name, value in facts.items():
        page = page.replace(f'name="{name}" content=""', f'name="{name}" content="{html.escape(value)}"')
    return page


def _files(known: Mapping[str, Path]) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        path = known.get(request.match_info.get("path", request.path.strip("/")))
        if path is None:
            raise web.HTTPNotFound
        return _file(path, _CLOSED, _TYPES[path.suffix])

    return serve


def _file(path: Path, headers: Mapping[str, str], content_type: str) -> web.FileResponse:
    # With the type set, no machine's table of file types is asked: a module of another type is not run.
    return web.FileResponse(path, headers={**headers, "Content-Type": f"{content_type}; charset=utf-8"})
