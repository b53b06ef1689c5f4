"""The signaling listener: takes WebSocket upgrades at ``/<app>[/<context>]/?id=…``."""

from __future__ import annotations

import asyncio
import http
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl, unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from smproxy.origin.settings import OriginSettings
from smproxy.signaling.node import ATTEMPT_HEADER

#: The library's own log: its lines hold whole request URLs, and so passwords; what matters the origin logs itself.
_quiet = logging.getLogger("smproxy.origin.websocket")
_quiet.setLevel(logging.CRITICAL)

_MAX_SCOPE = 512
_MAX_ATTEMPT = 128
#: What a client is told that no manager announced.
NOT_ANNOUNCED = "This origin takes only clients that its stream manager sends: connect to the stream manager's port.\n"
#: Seconds that a client has to answer a close.
_CLOSE_TIMEOUT = 0.4


@dataclass(frozen=True, slots=True)
class Target:
    """What an upgrade request asks for."""

    scope: str
    client_id: str
    attempt: str | None
    recording: bool = False
    #: All of it, with its secrets.
    url: str = field(default="", repr=False)


def read_target(path: str, attempt: str | None) -> Target | None:
    """Read the request target; ``None`` when it names no application."""
    try:
        where, _, search = path.partition("?")
        scope = "/".join(segment for segment in unquote(where).split("/") if segment)
        pairs = parse_qsl(search.replace("+", "%2B"), max_num_fields=200)
        query = dict(reversed(pairs))
    except ValueError:
        return None
    if not scope or len(scope) > _MAX_SCOPE or not scope.isprintable():
        return None
    if attempt is not None and not (0 < len(attempt) <= _MAX_ATTEMPT and attempt.isascii() and attempt.isprintable()):
        attempt = None
    # Of a repeated key the last counts, as for the manager.
    recording = {key.lower(): value for key, value in pairs}.get("recording", "").lower() == "true"
    return Target(scope, query.get("id", ""), attempt, recording, path)


def random_attempt(rng: random.Random) -> str:
    """Make the token of a client that no manager announced."""
    return f"direct-{rng.getrandbits(64):016x}"


class Listener:
    """A listening server. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(self, server: Server, transports: set[asyncio.BaseTransport]) -> None:
        self._server = server
        self._transports = transports

    @classmethod
    async def start(
        cls,
        settings: OriginSettings,
        admit: Callable[[Target], bool],
        serve_client: Callable[[ServerConnection, Target], Awaitable[None]],
    ) -> Listener:
        """Listen.

        ``admit`` decides on each upgrade request, ``serve_client`` serves one connection until its end.

        Raises:
            OSError: the port is not to be had.
        """
        transports: set[asyncio.BaseTransport] = set()

        class Connection(ServerConnection):
            """A connection that is known from its first byte on, so that it can be cut off."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.add(transport)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.discard(self.transport)
                super().connection_lost(exc)

        async def handle(connection: ServerConnection) -> None:
            target = _target(connection.request)
            if target is not None:  # checked before the upgrade
                await serve_client(connection, target)

        def check(connection: ServerConnection, request: Request) -> Response | None:
            target = _target(request)
            if target is None:
                return connection.respond(http.HTTPStatus.NOT_FOUND, "No such application.\n")
            return None if admit(target) else connection.respond(http.HTTPStatus.FORBIDDEN, NOT_ANNOUNCED)

        server = await serve(
            handle,
            settings.host,
            settings.port,
            process_request=check,
            select_subprotocol=_subprotocol,
            create_connection=Connection,
            logger=_quiet,
            compression=None,
            server_header=None,
            max_size=settings.max_message,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
            close_timeout=_CLOSE_TIMEOUT,
        )
        return cls(server, transports)

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Close all connections; abort those that do not answer the close."""
        self._server.close()
        closed = asyncio.ensure_future(self._server.wait_closed())
        if not (await asyncio.wait((closed,), timeout=_CLOSE_TIMEOUT))[0]:
            for transport in tuple(self._transports):
                cast(asyncio.WriteTransport, transport).abort()
            await closed


def _target(request: Request | None) -> Target | None:
    return None if request is None else read_target(request.path, request.headers.get(ATTEMPT_HEADER))


def _subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol("json") if "json" in offered else None
