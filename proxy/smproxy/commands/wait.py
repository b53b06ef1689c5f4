"""``smproxy wait``: block until a stream manager is ready."""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request

from smproxy.commands.api import DEFAULT_URL
from smproxy.commands.arguments import NotGiven, add_waiting_arguments
from smproxy.commands.output import OK, USAGE, CommandError, write, write_json
from smproxy.network_errors import connect_reason
from smproxy.urls import read_url

DEFAULT_TIMEOUT = 30.0
#: Seconds between two questions, and for one answer.
_PAUSE = 0.1
_PATIENCE = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy wait``."""
    parser.add_argument(
        "url", nargs="?", default=NotGiven(DEFAULT_URL), metavar="URL", help=f"its URL (default {DEFAULT_URL})"
    )
    parser.add_argument("--insecure", action="store_true", help="take any certificate of an https URL")
    add_waiting_arguments(parser, DEFAULT_TIMEOUT)


def run(arguments: argparse.Namespace) -> int:
    """Wait; return 0 when it is ready.

    Raises:
        CommandError: it is not ready in time, or the URL cannot be used.
    """
    try:
        parts = read_url(arguments.url, "http", "https")
    except ValueError as error:
        raise CommandError(f"the URL cannot be used: {error}: write for instance {DEFAULT_URL}", USAGE) from None
    base = f"{parts.scheme}://{parts.netloc}"
    context = ssl.create_default_context()
    if arguments.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    began = time.monotonic()
    while (why := _ask(opener, f"{base}/healthz", arguments.timeout - (time.monotonic() - began))) is not None:
        if time.monotonic() - began + _PAUSE > arguments.timeout:
            raise CommandError(f"{base} is not ready within {arguments.timeout:g} s: {why}")
        time.sleep(_PAUSE)
    took = time.monotonic() - began
    if arguments.json:
        write_json({"url": base, "ready": True, "tookMs": round(took * 1000)})
    else:
        write(f"ready after {took:.1f} s: {base}")
    return OK


def _ask(opener: urllib.request.OpenerDirector, url: str, left: float) -> str | None:
    """Return ``None`` when it is ready, else why it is not."""
    try:
        with opener.open(url, timeout=max(0.05, min(_PATIENCE, left))) as response:
            if json.loads(response.read(1024)).get("status") == "ok":
                return None
        return "what answers is no stream manager"
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            return "its certificate is not trusted: give --insecure, or SSL_CERT_FILE=…/tls/authority.pem"
        return connect_reason(error)
    except (ValueError, AttributeError, RecursionError):
        return "what answers is no stream manager"
