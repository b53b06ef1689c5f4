"""``/api/v1/recordings``: list, play and delete recorded files; thumbnails of live streams.

Whoever may list recordings may play them: where there is an admin token, the URLs of a listing carry a ticket for their file,
since a ``<video>`` can send no header and the token itself should be in no URL of a page.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from smproxy.manager.access import AccessRule
from smproxy.manager.matroska import HEAD, MatroskaHead, read_matroska_head
from smproxy.manager.origin_registry import OriginRegistry
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.query import Parameters

RECORDINGS = "/api/v1/recordings"
THUMBNAIL = "/api/v1/streams/{scope:.+}/{name}/thumbnail.png"

_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska"}
#: Files in one answer, the newest.
MAX_LISTED = 1000
#: Seconds for which a browser may keep a thumbnail.
_FRESH = 1


class RangedFile(web.FileResponse):
    """A file of which a range is sent only if it is still the one that the client has a part of.

    aiohttp compares a date in ``If-Range``; this adds entity tags (RFC 9110, section 13.1.5). A weak one never matches.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, or the range."""
        tag = request.headers.get("If-Range", "")
        if '"' in tag and "Range" in request.headers and tag != await asyncio.to_thread(_entity_tag, self._path):
            headers = [(name, value) for name, value in request.headers.items() if name.lower() != "range"]
            request = request.clone(headers=CIMultiDict(headers))
        return await super().prepare(request)


def _entity_tag(path: Path) -> str:
    """Return the tag that aiohttp gives a file; empty for one that is gone."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


class RecordingFiles:
    """The recorded files. ``root`` is their directory, ``None`` where there is none."""

    def __init__(self, root: Path | None, access: AccessRule) -> None:
        self._root = root
        self._access = access
        #: What was read of the files, by path, size and time.
        self._heads: dict[tuple[str, int, int], MatroskaHead] = {}

    async def all(self) -> list[dict[str, Any]]:
        """Return ``file``, ``size`` and ``modifiedAt`` of each, the newest first."""
        return [] if self._root is None else await asyncio.to_thread(_find, self._root)

    async def described(self, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add ``durationMs``, ``null`` if the file does not say, and ``codecs``."""
        root = self._root
        return [] if root is None else await asyncio.to_thread(self._describe, root, files)

    def _describe(self, root: Path, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        heads: dict[tuple[str, int, int], MatroskaHead] = {}
        for each in files:
            key = (str(each["file"]), int(each["size"]), int(each["modifiedAt"]))
            heads[key] = self._heads.get(key) or _head(root / key[0])
        self._heads = heads  # of what is listed now
        return [
            each | {"durationMs": head.duration_ms, "codecs": list(head.codecs)}
            for each, head in zip(files, heads.values(), strict=True)
        ]

    async def names(self) -> list[str]:
        """Return the paths of the newest, below the directory."""
        return [str(each["file"]) for each in (await self.all())[:MAX_LISTED]]

    async def find(self, file: str) -> Path | None:
        """Return the path of a recording; ``None`` for what is none."""
        return None if self._root is None else await asyncio.to_thread(_resolve, self._root, file)

    def url(self, file: str) -> str:
        """Return the URL of a recording, with a ticket where one is needed."""
        return f"{RECORDINGS}/{quote(file)}{self.ticket(file)}"

    def ticket(self, file: str) -> str:
        """Return the query that lets its reader have a recording; empty where none is needed."""
        ticket = self._access.ticket(_subject(file))
        return "" if ticket is None else f"?ticket={ticket}"

    def admits(self, file: str, ticket: str | None) -> bool:
        """Return whether a ticket is the one for a recording."""
        return self._access.admits(ticket, _subject(file))


class RecordingRoutes:
    """The routes."""

    def __init__(self, files: RecordingFiles, registry: OriginRegistry, access: AccessRule) -> None:
        self._files = files
        self._registry = registry
        self._access = access

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(RECORDINGS, self.index),
            *self._access.open([web.get(RECORDINGS + "/{file:.+}", self.play)]),
            web.delete(RECORDINGS + "/{file:.+}", self.delete),
            web.get(THUMBNAIL, self.thumbnail),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        """List the recordings, the newest first."""
        Parameters(request.query, ())
        found = await self._files.all()
        listed = [
            each | {"url": self._files.url(str(each["file"]))}
            for each in await self._files.described(found[:MAX_LISTED])
        ]
        return json_response({"recordings": listed, "total": len(found)})

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Send a recording, or the part of it that ``Range`` asks for.

        One that is still being written is sent until it is complete.
        """
        if not self._access.admits(request.query.get("ticket"), _subject(request.match_info["file"])):
            self._access.require(request)
        Parameters(request.query, ("ticket",))
        path = await self._path(request)
        return RangedFile(path, headers={"Content-Type": _TYPES[path.suffix], "Cache-Control": "no-cache"})

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Delete a recording. One that is being written ends with that."""
        Parameters(request.query, ())
        path = await self._path(request)
        try:
            await asyncio.to_thread(path.unlink, True)
        except OSError as error:
            raise ApiError(500, f"{request.match_info['file']} cannot be deleted: {error.strerror}.") from None
        return json_response({"deleted": request.match_info["file"]})

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        """Send the last key frame of a live stream."""
        Parameters(request.query, ())
        scope, name = request.match_info["scope"], request.match_info["name"]
        for node in self._registry.nodes:
            if node.thumbnail is None:
                continue
            try:
                picture = await node.thumbnail(scope, name)
            except ValueError as error:
                raise ApiError(503, f"There is no thumbnail of {scope}/{name} now: {error}.") from None
            if picture is not None:
                return web.Response(
                    body=picture, content_type="image/png", headers={"Cache-Control": f"max-age={_FRESH}"}
                )
        raise ApiError(404, f"{scope}/{name} is not live here, or has no picture yet.")

    async def _path(self, request: web.Request) -> Path:
        file = request.match_info["file"]
        path = await self._files.find(file)
        if path is None:
            raise ApiError(404, f"There is no recording {file!r}: GET {RECORDINGS} lists them.")
        return path


def _subject(file: str) -> str:
    """Return what a ticket for a file is about."""
    return f"recording:{file}"


def _resolve(root: Path, file: str) -> Path | None:
    """Return the path of a recording.

    ``None`` for what is no recording, and for all that is not in the directory.
    """
    parts = file.split("/")
    if "\0" in file or any(part in {"", ".", ".."} or part.startswith(".") for part in parts):
        return None
    try:
        path = root.joinpath(*parts).resolve()
        inside = path.is_relative_to(root.resolve()) and path.suffix in _TYPES and path.is_file()
    except (OSError, RuntimeError, ValueError):
        return None
    return path if inside else None


def _head(path: Path) -> MatroskaHead:
    """Read the head of a file."""
    try:
        with path.open("rb") as file:
            return read_matroska_head(file.read(HEAD))
    except OSError:  # deleted just now
        return MatroskaHead(None, ())


def _find(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            try:
                file = path.relative_to(root).as_posix()
                file.encode()
                if path.suffix not in _TYPES or name.startswith("."):
                    continue
                status = path.lstat()
            except (OSError, UnicodeEncodeError):
                continue  # deleted just now, or of a name that no URL can have
            if not stat.S_ISREG(status.st_mode):
                continue
            found.append({"file": file, "size": status.st_size, "modifiedAt": int(status.st_mtime * 1000)})
    return sorted(found, key=lambda each: (-int(each["modifiedAt"]), str(each["file"])))
