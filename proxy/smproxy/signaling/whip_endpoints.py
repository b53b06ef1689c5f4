"""URLs of WHIP and WHEP endpoints, in the shapes that clients are configured with.

Sources: RFC 9725, section 4.1 (endpoint and session are two resources); Red5, "WHIP and WHEP"
(``/{scope}/whip/endpoint/{name}``, ``/as/v1/proxy/whip/{scope}/{name}``); and the paths of mediamtx, broadcast-box and SRS, so
that a client's configuration can be moved here as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote

Door: TypeAlias = Literal["whip", "whep"]

#: The scope that stands for the stream manager: the application is in the query.
MANAGER_SCOPE = "streammanager"

#: Hexadecimal digits of the identity in a session's URL: 128 bits that nobody guesses (RFC 9725, section 5).
ID_DIGITS = 32

_VENDOR = re.compile(r"/(?P<scope>.+)/(?P<door>whip|whep)/endpoint/(?P<name>.+)")
_MANAGER_2 = re.compile(r"/as/v1/proxy/(?P<door>whip|whep)/(?:(?P<scope>.+)/)?(?P<name>[^/]+)")
_BEARER = re.compile(r"/api/(?P<door>whip|whep)")
_QUERY = re.compile(r"/rtc/v1/(?P<door>whip|whep)")
_SUFFIX = re.compile(r"/(?:(?P<scope>.+)/)?(?P<name>[^/]+)/(?P<door>whip|whep)")
_RESOURCE = re.compile(rf"/.+/resource/(?:[^/]+/)?(?P<id>[0-9a-f]{{{ID_DIGITS}}})(?P<tail>/.*)?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parameters in the path of an endpoint; ``None``: given elsewhere.

    ``path`` is the path as it came, percent-encoded and without a slash at its end. ``scope`` ``None``: the query names the
    application. ``name`` ``None``: the bearer token is the stream's name, or with ``name_in_query`` the parameter ``stream``.
    """

    door: Door
    path: str
    scope: str | None = None
    name: str | None = None
    name_in_query: bool = False

    def session_path(self, identity: str) -> str:
        """Return the path of a session that was made here.

        The vendor's SDK makes ``/resource/`` of ``/endpoint/`` by itself; so the shapes agree.
        """
        path = self.path.replace("/endpoint/", "/resource/") if "/endpoint/" in self.path else f"{self.path}/resource"
        return f"{path}/{identity}"


def read_endpoint(raw_path: str) -> Endpoint | None:
    """Read the percent-encoded path of an endpoint.

    ``None`` when it has none of the known shapes.
    """
    path = raw_path.rstrip("/")
    if _RESOURCE.fullmatch(path):
        return None
    if found := _VENDOR.fullmatch(path):
        scope, _, name = f"{found['scope']}/{found['name']}".rpartition("/")
        manager, _, below = scope.partition("/")
        return _made(found, path, below or None if manager == MANAGER_SCOPE else scope, name)
    if found := _MANAGER_2.fullmatch(path):
        return _made(found, path, found["scope"], found["name"])
    if found := _BEARER.fullmatch(path):
        return Endpoint(_door(found), path)
    if found := _QUERY.fullmatch(path):
        return Endpoint(_door(found), path, name_in_query=True)
    if found := _SUFFIX.fullmatch(path):
        return _made(found, path, found["scope"], found["name"])
    return None


def read_session(raw_path: str) -> tuple[str, str] | None:
    """Read the path of a session: its identity, and what follows it (``/events``).

    ``None`` when it is no such path.
    """
    found = _RESOURCE.fullmatch(raw_path)
    return None if found is None else (found["id"], found["tail"] or "")


def origin_path(door: Door, room: str, name: str) -> str:
    """Return the percent-encoded path of the endpoint on an origin."""
    return f"/{quote(room, safe='/')}/{door}/endpoint/{quote(name, safe='')}"


def _made(found: re.Match[str], path: str, scope: str | None, name: str) -> Endpoint:
    return Endpoint(_door(found), path, None if scope is None else unquote(scope), unquote(name))


def _door(found: re.Match[str]) -> Door:
    return "whip" if found["door"] == "whip" else "whep"
