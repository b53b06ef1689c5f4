"""A directory of a user's own pages, served at a path of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

INDEX = "index.html"

#: The same on every machine, whose own tables may not know a module. Text is UTF-8; other files are typed by aiohttp.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".map": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp4": "video/mp4",
    ".svg": "image/svg+xml",
    ".ts": "video/mp2t",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",  # asked for again each time, answered with 304: a page is being worked on
    "X-Content-Type-Options": "nosniff",
}


class DirectoryRoutes:
    """The files below ``directory``, at ``path``, which begins and ends with a slash.

    No list of files, no file whose name or directory begins with a dot, and none outside of the directory, also not by a
    symbolic link.
    """

    def __init__(self, path: str, directory: Path) -> None:
        self._path = path
        self._directory = directory

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get(self._path.removesuffix("/"), self.enter), web.get(self._path + "{file:.*}", self.serve)]

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to the path with the slash: links of an index are below that."""
        return _moved(self._path, request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one file, or a directory's index."""
        name = request.match_info["file"]
        segments = name.split("/")
        found = await asyncio.to_thread(find, self._directory, segments)
        if found is None:
            raise web.HTTPNotFound
        file, is_index = found
        if is_index and segments[-1] != "":
            return _moved(request.rel_url.raw_path + "/", request)
        known = _TYPES.get(file.suffix.lower())
        return web.FileResponse(file, headers=_HEADERS if known is None else {**_HEADERS, "Content-Type": known})


def find(directory: Path, segments: Sequence[str]) -> tuple[Path, bool] | None:
    """Return the file of a decoded path; ``None`` when there is none that may be served.

    And whether it is the index of the directory that the path names.
    """
    *folders, last = segments
    if not all(map(_may_be_served, folders)) or not (last == "" or _may_be_served(last)):
        return None
    try:
        root = directory.resolve(strict=True)
        found = root.joinpath(*segments).resolve(strict=True)
        if is_index := found.is_dir():
            found = (found / INDEX).resolve(strict=True)
        elif last == "":
            return None
    except (OSError, ValueError, RuntimeError):  # nothing there, a null character, a loop of links
        return None
    below = found.relative_to(root).parts if found.is_relative_to(root) else (".",)
    return (found, is_index) if found.is_file() and all(map(_may_be_served, below)) else None


def _may_be_served(segment: str) -> bool:
    return segment != "" and not segment.startswith(".") and "/" not in segment and "\\" not in segment


def _moved(path: str, request: web.Request) -> web.Response:
    query = request.rel_url.raw_query_string
    return web.Response(status=308, headers={"Location": f"{path}?{query}" if query else path})
