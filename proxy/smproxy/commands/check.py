"""``smproxy check``: does a WHIP or WHEP server do what the standards demand?"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smproxy.commands.arguments import PLACES, seconds, secret
from smproxy.commands.output import FAILED, OK, USAGE, note, write

if TYPE_CHECKING:
    from smproxy.conformance.check import Result
    from smproxy.conformance.runner import Report

_NAME = "smproxy check"
_STDOUT = Path("-")
_EXAMPLE = "http://localhost:5080/live/whip/endpoint/s1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy check``."""
    parser.add_argument("protocol", choices=("whip", "whep"), help="what the endpoint speaks")
    parser.add_argument("url", metavar="URL", help=f"the endpoint, for instance {_EXAMPLE}")
    parser.add_argument(
        "--token",
        type=secret,
        metavar="TOKEN",
        help=f"bearer token, {PLACES}; rows about tokens are not judged without it",
    )
    parser.add_argument(
        "--publish-with",
        metavar="URL",
        help="for whep: a WHIP endpoint to publish a test stream to while players are checked",
    )
    parser.add_argument(
        "--only", metavar="ROW", action="append", default=[], help="run this row only, for instance W8; may be repeated"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=10.0,
        help="for each answer and each connection (default 10)",
    )
    parser.add_argument(
        "--consent-timeout",
        metavar="SECONDS",
        type=seconds,
        default=40.0,
        help="how long the server may take to notice a vanished client (default 40; RFC 7675 has 30)",
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificate of an https server")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the whole report as JSON; - is stdout")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the report as JUnit XML")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show every exchange, not only those of failed rows"
    )


def run(args: argparse.Namespace) -> int:
    """Run the checks.

    Returns 0 when no MUST is failed, 1 when one is or nothing could be judged, 2 for unusable arguments.
    """
    from smproxy.conformance.runner import checks_of

    try:
        for url in (args.url, args.publish_with):
            if url is not None:
                _endpoint(url)
        if args.publish_with is not None and args.protocol == "whip":
            raise ValueError("--publish-with is for whep")
        checks_of(args.protocol, only=args.only)
    except ValueError as exc:
        note(_NAME, str(exc))
        return USAGE
    try:
        return asyncio.run(_check(args))
    except KeyboardInterrupt:
        note(_NAME, "stopped")
        return FAILED


def _endpoint(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError(f"the URL must start with http:// or https://, for instance {_EXAMPLE}")
    _ = parts.port  # raises ValueError for one that is none


async def _check(args: argparse.Namespace) -> int:
    from smproxy.conformance.exchange import NotJudged
    from smproxy.conformance.http import Http, NoAnswer
    from smproxy.conformance.runner import Report, checks_of, published, run
    from smproxy.conformance.server import ServerUnderCheck
    from smproxy.conformance.session_setup import reach

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http(token=args.token, timeout=args.timeout, tls=_trust(args.insecure)))
        server = ServerUnderCheck(
            args.protocol, args.url, http, rng=SystemRandom(), timeout=args.timeout, consent=args.consent_timeout
        )
        try:
            await reach(server)
        except NoAnswer as exc:
            note(_NAME, f"{args.url} cannot be reached: {exc}")
            return FAILED
        results = await run(server, checks_of(args.protocol, only=args.only, before_publishing=True), _shown(args))
        if args.publish_with is not None:
            publishing = Http(token=args.token, timeout=args.timeout, tls=_trust(args.insecure))
            await stack.enter_async_context(publishing)
            try:
                await stack.enter_async_context(published(args.publish_with, publishing, args.timeout))
            except NotJudged as exc:
                note(_NAME, f"cannot publish to {args.publish_with}: {exc}")
                return FAILED
        results += await run(server, checks_of(args.protocol, only=args.only), _shown(args))
        report = Report(args.protocol, args.url, tuple(results))
    return _finish(args, report)


def _shown(args: argparse.Namespace) -> Callable[[Result], None]:
    from smproxy.conformance.text_report import row_lines

    def show(result: Result) -> None:
        if args.json == _STDOUT:
            return
        for line in row_lines(result, args.protocol, verbose=args.verbose):
            write(line)

    return show


def _finish(args: argparse.Namespace, report: Report) -> int:
    from smproxy.conformance.machine_report import as_json, as_junit
    from smproxy.conformance.text_report import summary

    if args.json == _STDOUT:
        write(json.dumps(json.loads(as_json(report)), separators=(",", ":")))
        args.json = None
    else:
        write(summary(report))
    for path, form in ((args.json, as_json), (args.junit, as_junit)):
        if path is not None:
            try:
                path.write_text(form(report))
            except OSError as exc:
                note(_NAME, f"{path} cannot be written: {exc.strerror or exc}")
                return USAGE
    return OK if report.conforms else FAILED


def _trust(insecure: bool) -> ssl.SSLContext | None:
    if not insecure:
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
