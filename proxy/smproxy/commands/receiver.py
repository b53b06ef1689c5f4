"""A receiver of hooks for the terminal."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from smproxy.commands.forward import TIMEOUT as FORWARD_TIMEOUT
from smproxy.commands.forward import Forward
from smproxy.commands.output import USAGE, CommandError, note
from smproxy.commands.printer import Inbox

#: Bytes of one event; what is larger gets 413.
MAX_BODY = 4 * 1024 * 1024


@contextlib.asynccontextmanager
async def receiving(
    host: str, port: int, inbox: Inbox, forward: Forward | None, status: int | None, auth: str | None = None
) -> AsyncIterator[str]:
    """Receive POSTs at any path; yields the URL without a path.

    ``status`` is the answer; without it that of ``forward``, or 204. A bad signature is answered with 401.
    ``auth``, ``allow`` or ``deny``: it is an authentication back end as well.

    Raises:
        CommandError: the port cannot be opened.
    """

    async def receive(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if inbox.done.is_set():  # there were enough: whoever sends it may try elsewhere
            return web.Response(status=503)
        if inbox.problem(body, request.headers) is not None:
            return web.Response(status=401)
        try:
            taken = inbox.take(body.decode())
        except UnicodeDecodeError:
            taken = False
        if not taken:
            return web.Response(status=400, text="not a JSON object\n")
        headers: dict[str, str] = {}
        code = 204
        if forward is not None:
            code, headers = await forward.post(body, request.headers)
        return web.Response(status=status or code, headers=headers)

    app = web.Application(client_max_size=MAX_BODY)
    if auth is not None:
        app.router.add_post("/validateCredentials", partial(_decide, auth))
        app.router.add_post("/invalidateCredentials", partial(_decide, None))
    app.router.add_post("/{path:.*}", receive)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=FORWARD_TIMEOUT)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CommandError(
                f"cannot receive on {host}, port {port}: {reason}: choose another --port", USAGE
            ) from None
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _decide(auth: str | None, request: web.Request) -> web.Response:
    """Answer a question about credentials, which are not printed.

    Without ``auth`` it is the end of a session.
    """
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return web.json_response({"result": False}, status=400)
    asked = f"{body.get('type') or 'end of publisher'} {body.get('streamID')!r} as {body.get('username')!r}"
    note("smproxy listen", asked if auth is None else f"{asked}: {auth}")
    return web.json_response({"result": auth != "deny"})
