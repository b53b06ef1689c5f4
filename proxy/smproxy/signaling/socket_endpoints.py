"""Paths on which a client may open its signaling WebSocket.

They name a stream manager's proxy, or the application of a server.

Sources: Red5, "WebSocket Proxy" of Stream Manager 1.x (``/streammanager``) and 2.0 (``/as/v1/proxy/ws/publish/SCOPE/NAME``);
a standalone server is addressed as ``/SCOPE``, with one scope or several, and knows neither ``app`` nor ``host``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from smproxy.signaling.params import is_scope
from smproxy.signaling.payloads import Role

#: The proxy of Stream Manager 1.x, where everything is in the query.
MANAGER_PATHS = frozenset({"/streammanager", "/streammanager/"})

#: First segments of paths that are no application, and last ones that belong to another socket.
_NO_APPLICATION = frozenset({"streammanager", "as", "api", "conference-api"})
_NO_SIGNALING = "webhook"

_MANAGER_2 = re.compile(r"/as/v1/proxy/ws/(?P<action>publish|subscribe)/(?P<scope>.+)/(?P<name>[^/]+)/?")


@dataclass(frozen=True, slots=True)
class SocketEndpoint:
    """The parameters in the path of a signaling WebSocket; ``None``: in the query.

    ``id`` is a publisher's stream; a subscriber's own identity is always in the query. With ``standalone`` there is no
    stream manager to name an origin to, so that ``host`` does not count.
    """

    scope: str | None = None
    id: str | None = None
    role: Role | None = None
    standalone: bool = False

    def apply(self, raw_query: str) -> str:
        """Return a percent-encoded query with the parameters of the path in it.

        That is as Stream Manager 1.x has them.
        """
        if self.scope is None:
            return raw_query
        said = (
            {"app", "context"} | ({"host"} if self.standalone else set()) | ({"id"} if self.id is not None else set())
        )
        pairs = [raw for raw in raw_query.split("&") if raw]
        kept = [raw for raw in pairs if unquote(raw.partition("=")[0]).lower() not in said]
        kept.append(f"app={quote(self.scope, safe='/')}")
        if self.id is not None:
            kept.append(f"id={quote(self.id, safe='')}")
        return "&".join(kept)


_IN_THE_QUERY = SocketEndpoint()


def read_socket_endpoint(raw_path: str) -> SocketEndpoint | None:
    """Read a percent-encoded path; ``None`` when it is none for signaling."""
    if raw_path in MANAGER_PATHS:
        return _IN_THE_QUERY
    if found := _MANAGER_2.fullmatch(raw_path):
        scope, name = unquote(found["scope"]), unquote(found["name"])
        if not is_scope(scope):
            return None
        if found["action"] == "publish":
            return SocketEndpoint(scope, name, Role.PUBLISHER)
        return SocketEndpoint(scope, role=Role.SUBSCRIBER)
    scope = unquote(raw_path).strip("/")
    first, last = scope.partition("/")[0], scope.rpartition("/")[2]
    if not is_scope(scope) or first in _NO_APPLICATION or last == _NO_SIGNALING:
        return None
    return SocketEndpoint(scope, standalone=True)


def is_socket_path(raw_path: str) -> bool:
    """Return whether a WebSocket on this path is a client's signaling."""
    return read_socket_endpoint(raw_path) is not None
