"""URLs of WHIP and WHEP, in the shapes of clients and the one of an origin. Sans-I/O.

Sources: RFC 9725, section 4.1 (endpoint and session are two resources); Red5, "WHIP and WHEP"
(``/{scope}/whip/endpoint/{name}``, ``/as/v1/proxy/whip/{scope}/{name}``); and the paths of mediamtx, broadcast-box and SRS, so
that a client's configuration can be moved here as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote


class WhipProtocol(StrEnum):
    """The two protocols: WHIP to publish, WHEP to watch."""

    WHIP = "whip"
    WHEP = "whep"


#: The scope that stands for the stream manager: the application is in the query.
MANAGER_SCOPE = "streammanager"

#: Hexadecimal digits of the identity in a session's URL: 128 bits that nobody guesses (RFC 9725, section 5).
ID_DIGITS = 32

_VENDOR = re.compile(r"/(?P<scope>.+)/(?P<protocol>whip|whep)/endpoint/(?P<name>.+)")
_MANAGER_2 = re.compile(r"/as/v1/proxy/(?P<protocol>whip|whep)/(?:(?P<scope>.+)/)?(?P<name>[^/]+)")
_BEARER = re.compile(r"/api/(?P<protocol>whip|whep)")
_QUERY = re.compile(r"/rtc/v1/(?P<protocol>whip|whep)")
_SUFFIX = re.compile(r"/(?:(?P<scope>.+)/)?(?P<name>[^/]+)/(?P<protocol>whip|whep)")
_IDENTITY = rf"[0-9a-f]{{{ID_DIGITS}}}"
#: A name may have sub-scopes before it; below a session there are event streams, whose keys look like identities.
_RESOURCE = re.compile(rf"/.+/resource/(?:(?!{_IDENTITY}/events/)[^/]*/)*(?P<id>{_IDENTITY})(?P<tail>/.*)?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parameters in the path of an endpoint; ``None``: given elsewhere.

    ``path`` is the path as it came, percent-encoded and without a slash at its end. ``scope`` ``None``: the query names the
    application. ``name`` ``None``: the bearer token is the stream's name, or with ``name_in_query`` the parameter ``stream``.
    """

    protocol: WhipProtocol
    path: str
    scope: str | None = None
    name: str | None = None
    name_in_query: bool = False

    def session_path(self, identity: str) -> str:
        """Return the path of a session that was made here.

        The vendor's SDK makes ``/resource/`` of ``/endpoint/`` by itself; so the shapes agree.
        """
        if vendor := _VENDOR.fullmatch(self.path):
            return f"/{vendor['scope']}/{self.protocol}/resource/{vendor['name']}/{identity}"
        return f"{self.path}/resource/{identity}"


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
        return Endpoint(WhipProtocol(found["protocol"]), path)
    if found := _QUERY.fullmatch(path):
        return Endpoint(WhipProtocol(found["protocol"]), path, name_in_query=True)
    if found := _SUFFIX.fullmatch(path):
        return _made(found, path, found["scope"], found["name"])
    return None


def read_session(raw_path: str) -> tuple[str, str] | None:
    """Read the path of a session: its identity, and what follows it (``/events``).

    ``None`` when it is no such path.
    """
    found = _RESOURCE.fullmatch(raw_path)
    return None if found is None else (found["id"], found["tail"] or "")


def _made(found: re.Match[str], path: str, scope: str | None, name: str) -> Endpoint:
    return Endpoint(WhipProtocol(found["protocol"]), path, None if scope is None else unquote(scope), unquote(name))


# on an origin ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WhipTarget:
    """The target of a URL.

    An endpoint, a session (``session``), or something below a session (``below``).
    """

    protocol: WhipProtocol
    scope: str
    name: str
    session: str | None = None
    below: str = ""

    @property
    def path(self) -> str:
        """The URL's path."""
        start = f"/{quote(self.scope, safe='/')}/{self.protocol}"
        name = quote(self.name, safe="")
        if self.session is None:
            return f"{start}/endpoint/{name}"
        return f"{start}/resource/{name}/{self.session}" + (f"/{self.below}" if self.below else "")


def read_whip_target(path: str) -> WhipTarget | None:
    """Read the path of a WHIP or WHEP URL; ``None`` when it is none.

    The form is ``/{scope}/{whip|whep}/{endpoint/{name}|resource/{name}/{session}[/…]}``.
    """
    segments = [unquote(each) for each in path.split("/") if each]
    for index in range(1, len(segments) - 2):
        protocol, place = segments[index : index + 2]
        if protocol not in ("whip", "whep") or place not in ("endpoint", "resource"):
            continue
        scope, rest = "/".join(segments[:index]), segments[index + 2 :]
        if place == "endpoint" and len(rest) == 1:
            return WhipTarget(WhipProtocol(protocol), scope, rest[0])
        if place == "resource" and len(rest) >= 2:
            return WhipTarget(WhipProtocol(protocol), scope, rest[0], rest[1], "/".join(rest[2:]))
    return None
