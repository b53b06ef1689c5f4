"""``/live/NAME.m3u8``, its segments, ``/live/mediafiles`` and ``/live/playlists``.

Source: the vendor's sample pages, and RFC 8216.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from aiohttp import web
from yarl import URL

from smproxy.manager.access import AccessRule
from smproxy.manager.hls.packagers import HlsError, Packagers
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.manager.rest.recordings import RecordingFiles
from smproxy.manager.rest.stream_path import split_guid
from smproxy.manager.sessions import Sessions
from smproxy.manager.whip.parameters import read_bearer

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp2t"
_SEGMENT = re.compile(r"[0-9]{5,9}\.ts")
#: Where Stream Manager 2.0 has its playlists.
_PROXY = "/as/v1/proxy/whep"
#: The lists of a scope, by the last part of their path.
LISTS = ("mediafiles", "playlists")
#: Parameters that are not for the subscription of a packager; and those that count where nobody is asked about viewers.
_NOT_GIVEN = frozenset({"id", "accesstoken", "ticket", "usecloud"})
_SESSION = frozenset({"customerscope", "simulate", "host"})


class HlsRoutes:
    """The routes; ``answer`` also serves ``proxy/forward``.

    ``own_url`` is where this server is reached from this machine. ``asks_viewers``: an authentication scheme decides on them.
    ``has_stream`` says whether a node of a cluster has a stream, which need not have come in here.
    """

    def __init__(
        self,
        packagers: Packagers,
        sessions: Sessions,
        recordings: RecordingFiles,
        access: AccessRule,
        own_url: Callable[[], str],
        *,
        asks_viewers: bool,
        has_stream: Callable[[str, str], bool],
    ) -> None:
        self._packagers = packagers
        self._sessions = sessions
        self._recordings = recordings
        self._access = access
        self._own_url = own_url
        self._asks_viewers = asks_viewers
        self._has_stream = has_stream

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
            web.get("/{scope:.+}/{list:mediafiles|playlists}", self.list),
        ]

    async def playlist(self, request: web.Request) -> web.StreamResponse:
        """Send the playlist of a live stream, or else of the recording of this name."""
        scope, name = split_guid(f"{request.match_info['scope']}/{request.match_info['name']}")
        # What the viewer brings is what the packager subscribes with, so that it is let in or refused as the viewer; viewers
        # who bring something else have a packager of their own.
        given = self._given(request)
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
        url = f"{where}?{urlencode(given)}"
        job = {"url": url, "stream": name}
        return await self._packagers.playlist(source, job, lambda: self._is_live(scope, name), stream=(scope, name))

    def _given(self, request: web.Request) -> tuple[tuple[str, str], ...]:
        """Return the parameters with which the packager subscribes.

        Without a scheme only those that say whose the session is: a player's own would make a process for each.
        """
        given = {key: value for key, value in request.query.items() if key.lower() not in _NOT_GIVEN}
        if not self._asks_viewers:
            given = {key: value for key, value in given.items() if key.lower() in _SESSION}
        elif (bearer := read_bearer(request.headers.get("Authorization", ""))) is not None:
            given.setdefault("token", bearer)
        return tuple(sorted(given.items()))

    def _is_live(self, scope: str, name: str) -> bool:
        here = any(each.life.scope == scope and each.life.peer == name for each in self._sessions.publishing())
        return here or self._has_stream(scope, name)

    async def _recorded(self, request: web.Request, scope: str, name: str) -> Path:
        for file in (f"{scope}/{name}.webm", f"{scope}/{name}.mkv"):
            if (path := await self._recordings.find(file)) is not None:
                if not self._recordings.admits(file, request.query.get("ticket")):
                    self._access.require(request)
                status = await asyncio.to_thread(path.stat)
                version = status.st_size, status.st_mtime_ns
                return await self._packagers.playlist(file, {"file": str(path)}, version=version)
        raise HlsError(404, f"{scope}/{name} is neither live nor recorded.")

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """Send a segment."""
        file = request.match_info["file"]
        path = self._packagers.segment(request.match_info["key"], file) if _SEGMENT.fullmatch(file) else None
        if path is None or not path.is_file():
            raise ApiError(404, "There is no such segment (any more): load the playlist again.")
        return web.FileResponse(path, headers={"Content-Type": SEGMENT_TYPE, "Cache-Control": "max-age=60"})

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the recordings of a scope."""
        return await self.answer(request.match_info["scope"], request.match_info["list"], request.url.origin())

    async def answer(self, scope: str, kind: str, base: URL) -> web.StreamResponse:
        """List the recordings of a scope, with URLs below ``base``.

        As files (``mediafiles``) or as HLS (``playlists``).
        """
        scope = scope.removeprefix(f"{_PROXY[1:]}/").strip("/")
        files = [file for file in await self._recordings.names() if file.rpartition("/")[0] == scope]
        if kind == "mediafiles":
            urls = {file: self._recordings.url(file) for file in files}
        else:
            # Of two files of one name the newer one is listed; it needs no other ticket than the file.
            urls = {}
            for file in files:
                playlist = Path(file).with_suffix(".m3u8").as_posix()
                urls.setdefault(playlist, f"/{quote(playlist)}{self._recordings.ticket(file)}")
        listed = [{"name": file.rpartition("/")[2], "url": f"{base}{url}"} for file, url in urls.items()]
        return json_response({kind: listed})
