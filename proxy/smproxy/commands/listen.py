"""``smproxy listen``: show hooks as they come, as a receiver or on the webhook socket."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from smproxy.commands.arguments import PLACES, host, seconds, secret, whole_number
from smproxy.commands.output import FAILED, OK, USAGE, CommandError, ReaderGone, note
from smproxy.signals import on_ending_signals
from smproxy.urls import read_url

if TYPE_CHECKING:
    from smproxy.commands.printer import Inbox

COMMAND = "smproxy listen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy listen``."""
    parser.add_argument(
        "url",
        nargs="?",
        metavar="WS_URL",
        help="listen on this webhook socket, for instance ws://localhost:5080/live/webhook?customerScope=acme; "
        "without it, receive POSTs",
    )
    parser.add_argument(
        "--host", type=host, default="127.0.0.1", metavar="HOST", help="address to receive on (default 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=whole_number(0, 65535), default=0, metavar="PORT", help="port to receive on (default a free one)"
    )
    parser.add_argument(
        "--secret",
        type=secret,
        metavar="SECRET",
        help=f"verify signatures with this, {PLACES}; or SMPROXY_HOOK_SECRET",
    )
    parser.add_argument("--forward", metavar="URL", help="post each event on: the same bytes and webhook-… headers")
    parser.add_argument(
        "--status",
        type=whole_number(200, 599),
        metavar="CODE",
        help="answer with this (default 204, with --forward what that answered)",
    )
    parser.add_argument(
        "--auth",
        choices=("allow", "deny"),
        help="be an authentication back end as well, which allows or denies everybody at /validateCredentials",
    )
    parser.add_argument("--json", action="store_true", help="print each event as it came, one a line")
    parser.add_argument("--count", type=whole_number(1, 10**9), metavar="N", help="end after so many events")
    parser.add_argument(
        "--timeout", type=seconds, metavar="S", help="end after so many seconds; 1 if --count is not reached"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="do not verify certificates of wss and of https to --forward"
    )


def run(arguments: argparse.Namespace) -> int:
    """Listen until the count or the time is reached, or Ctrl-C.

    Returns 0; 1 when a signature was bad, the count was not reached, or the connection was lost; 2 for unusable arguments.
    """
    try:
        return asyncio.run(_listen(arguments, os.environ))
    except KeyboardInterrupt:
        return OK


async def _listen(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from smproxy.commands.printer import Inbox
    from smproxy.commands.receiver import receiving
    from smproxy.commands.webhook_client import subscribing

    by_socket = arguments.url is not None
    if by_socket:
        try:
            read_url(arguments.url, "ws", "wss")
        except ValueError as error:
            raise CommandError(f"the URL to listen on: {error}; without one, POSTs are received", USAGE) from None
    if by_socket and (arguments.secret, arguments.status, arguments.auth) != (None, None, None):
        raise CommandError(
            "--secret, --status and --auth are for POSTs: events on the socket are not signed or answered", USAGE
        )
    secret = None if by_socket else arguments.secret or _secret(environ)
    inbox = Inbox(secret=secret, as_json=arguments.json, count=arguments.count)
    async with contextlib.AsyncExitStack() as stack:
        forward = None
        if arguments.forward is not None:
            from smproxy.commands.forward import Forward

            forward = await stack.enter_async_context(Forward(arguments.forward, verify=not arguments.insecure))
        if by_socket:
            await stack.enter_async_context(subscribing(arguments.url, inbox, forward, verify=not arguments.insecure))
        else:
            url = await stack.enter_async_context(
                receiving(arguments.host, arguments.port, inbox, forward, arguments.status, arguments.auth)
            )
            auth = "" if arguments.auth is None else f" --auth-uri {url}"
            note(COMMAND, f"receiving at {url} (any path): smproxy serve --hook-uri {url}/hooks{auth}")
        await _until_done(inbox, arguments.timeout)
    return _verdict(inbox)


def _secret(environ: Mapping[str, str]) -> str | None:
    """Take the secret from where ``smproxy serve`` takes it, which can be given several there."""
    secrets = environ.get("SMPROXY_HOOK_SECRET", "").split()
    if len(secrets) > 1:
        raise CommandError("SMPROXY_HOOK_SECRET holds several secrets: give one with --secret", USAGE)
    return secrets[0] if secrets else None


async def _until_done(inbox: Inbox, timeout: float | None) -> None:
    loop = asyncio.get_running_loop()
    forget_signals = on_ending_signals(loop, lambda _: inbox.done.set())
    try:
        await asyncio.wait_for(inbox.done.wait(), timeout)
    except TimeoutError:
        inbox.timed_out = True
    finally:
        forget_signals()


def _verdict(inbox: Inbox) -> int:
    if inbox.reader_gone:
        raise ReaderGone
    if inbox.trouble is not None:
        note(COMMAND, inbox.trouble)
    if inbox.missing and inbox.timed_out:
        note(COMMAND, f"{inbox.missing} of the {inbox.count} events did not come in time")
    if inbox.bad:
        note(COMMAND, f"{inbox.bad} bad signatures")
    failed = inbox.bad or inbox.trouble is not None or (inbox.missing and inbox.timed_out)
    sys.stdout.flush()
    return FAILED if failed else OK
