"""A listener on the webhook socket for the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

from smproxy.commands.describe import identity
from smproxy.commands.forward import Forward
from smproxy.commands.output import USAGE, CommandError
from smproxy.commands.printer import Inbox
from smproxy.hooks.sinks.webhook import display_name
from smproxy.network_errors import connect_reason

#: Bytes of one event.
MAX_EVENT = 4 * 1024 * 1024

#: Seconds to connect, and between pings.
TIMEOUT = 10.0


@contextlib.asynccontextmanager
async def subscribing(url: str, inbox: Inbox, forward: Forward | None, *, verify: bool) -> AsyncIterator[None]:
    """Take the events of the webhook socket at ``url`` in the background.

    Raises:
        CommandError: the URL cannot be read, or nobody answers there.
    """
    try:
        target = URL(url)
        name = display_name(target)
    except ValueError:
        raise CommandError("this is not a URL that can be listened on", USAGE) from None
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=verify)) as session:
        try:
            async with asyncio.timeout(TIMEOUT):
                socket = await session.ws_connect(target, heartbeat=2 * TIMEOUT, max_msg_size=MAX_EVENT, compress=0)
        except aiohttp.WSServerHandshakeError as error:
            raise CommandError(f"{name} answered {error.status}: a webhook socket is at /live/webhook") from None
        except TimeoutError:
            raise CommandError(f"{name}: no answer within {TIMEOUT:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CommandError(f"cannot connect to {name}: {_why(error)}") from None
        async with socket:
            reading = asyncio.create_task(_read(socket, inbox, forward))
            try:
                yield
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading


async def _read(socket: aiohttp.ClientWebSocketResponse, inbox: Inbox, forward: Forward | None) -> None:
    while not inbox.done.is_set():
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            if forward is not None and not await _passed_on(message.data, forward):
                inbox.fail("an event could not be passed on: the socket sends it only once")
            if not inbox.take(message.data):
                inbox.fail("what the socket sends is no hook")
        elif message.type is aiohttp.WSMsgType.CLOSE:
            reason = message.extra or ""
            inbox.fail(f"the stream manager closed the socket with {message.data}" + (f": {reason}" if reason else ""))
        elif message.type is not aiohttp.WSMsgType.BINARY:
            inbox.fail("the connection to the stream manager was lost")


async def _passed_on(text: str, forward: Forward) -> bool:
    """Post an event as the simulator does, unsigned; return whether it was taken."""
    headers = {"content-type": "application/json", "webhook-timestamp": str(int(time.time()))}
    with contextlib.suppress(ValueError, AttributeError):
        if known := identity(json.loads(text)):
            headers["webhook-id"] = known
    status, _ = await forward.post(text.encode(), headers)
    return 200 <= status < 300


def _why(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted: give --insecure, or SSL_CERT_FILE=…/tls/authority.pem"
    return f"{connect_reason(error)}: start it with `smproxy serve`, or check the URL"
