"""``/live/NAME.m3u8``, its segments, ``/live/mediafiles`` and ``/live/playlists``.

Source: the vendor's sample pages, and RFC 8216.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from aiohttp import web

from smproxy.manager.access import AccessRule
from smproxy.manager.hls.packagers import HlsError, Packagers
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.recordings import RecordingFiles
from smproxy.manager.rest.stream_path import split_guid
from smproxy.manager.sessions import Sessions

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp2t"
_SEGMENT = re.compile(r"[0-9]{5,9}\.ts")
#: Where Stream Manager 2.0 has its playlists.
_PROXY = "/as/v1/proxy/whep"


class HlsRoutes:
    """The routes. ``own_url`` is where this server is reached from this machine."""

    def __init__(
        self,
        packagers: Packagers,
        sessions: Sessions,
        recordings: RecordingFiles,
        access: AccessRule,
        own_url: Callable[[], str],
    ) -> None:
        self._packagers = packagers
        self._sessions = sessions
        self._recordings = recordings
        self._access = access
        self._own_url = own_url

    def routes(self) -> list[web.RouteDef]:
        """Return the routes: a stream is open as over WHEP, a recording and the lists are not."""
        return [
            *self._access.open(
                [
                    web.get("/{scope:.+}/hls/{key:[0-9a-f]{24}}/{file}", self.segment),
                    web.get(_PROXY + "/{scope:.+}/{name}.m3u8", self.playlist),
                    web.get("/{scope:.+}/{name}.m3u8", self.playlist),
                ]
            ),
            web.get("/{scope:.+}/mediafiles", self.media_files),
            web.get("/{scope:.+}/playlists", self.playlists),
        ]

    async def playlist(self, request: web.Request) -> web.StreamResponse:
        """Send the playlist of a live stream, or else of the recording of this name."""
        scope, name = split_guid(f"{request.match_info['scope']}/{request.match_info['name']}")
        # What the viewer brings is what the packager subscribes with, so that it is let in or refused as the viewer; viewers
        # who bring something else have a packager of their own.
        given = tuple(sorted((key, value) for key, value in request.query.items() if key.lower() != "id"))
        source = (scope, name, given)
        try:
            if self._is_live(scope, name) or self._packagers.has(source):
                path = await self._live(source)
            else:
                path = await self._recorded(request, scope, name)
        except HlsError as error:
            raise ApiError(error.status, str(error)) from None
        return web.FileResponse(path, headers={"Content-Type": PLAYLIST_TYPE, "Cache-Control": "no-cache"})

    async def _live(self, source: tuple[str, str, tuple[tuple[str, str], ...]]) -> Path:
        scope, name, given = source
        where = f"{self._own_url()}/{quote(scope)}/whep/endpoint/{quote(name, safe='')}"
        url = f"{where}?{urlencode([*given, ('id', f'hls-{name}')])}"
        job = {"url": url, "stream": name}
        return await self._packagers.playlist(source, job, lambda: self._is_live(scope, name))

    def _is_live(self, scope: str, name: str) -> bool:
        return any(each.life.scope == scope and each.life.peer == name for each in self._sessions.publishing())

    async def _recorded(self, request: web.Request, scope: str, name: str) -> Path:
        for file in (f"{scope}/{name}.webm", f"{scope}/{name}.mkv"):
            if (path := await self._recordings.find(file)) is not None:
                self._access.require(request)
                return await self._packagers.playlist(file, {"file": str(path)})
        raise HlsError(404, f"{scope}/{name} is neither live nor recorded.")

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """Send a segment."""
        file = request.match_info["file"]
        path = self._packagers.segment(request.match_info["key"], file) if _SEGMENT.fullmatch(file) else None
        if path is None or not path.is_file():
            raise ApiError(404, "There is no such segment (any more): load the playlist again.")
        return web.FileResponse(path, headers={"Content-Type": SEGMENT_TYPE, "Cache-Control": "max-age=60"})

    async def media_files(self, request: web.Request) -> web.StreamResponse:
        """List the recordings of a scope, as files to play."""
        files = await self._files(request)
        base = request.url.origin()
        listed = [{"name": file.rpartition("/")[2], "url": f"{base}{self._recordings.url(file)}"} for file in files]
        return json_response({"mediafiles": listed})

    async def playlists(self, request: web.Request) -> web.StreamResponse:
        """List the recordings of a scope, as HLS."""
        files = await self._files(request)
        base = request.url.origin()
        names = dict.fromkeys(Path(file).with_suffix(".m3u8").as_posix() for file in files)
        return json_response(
            {"playlists": [{"name": name.rpartition("/")[2], "url": f"{base}/{quote(name)}"} for name in names]}
        )

    async def _files(self, request: web.Request) -> list[str]:
        scope = request.match_info["scope"].removeprefix(f"{_PROXY[1:]}/").strip("/")
        return [file for file in await self._recordings.names() if file.rpartition("/")[0] == scope]
