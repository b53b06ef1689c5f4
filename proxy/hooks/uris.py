"""From what people write after ``--hook-uri`` to a sink."""

from __future__ import annotations

import re

from yarl import URL

from proxy.hooks.sink import Sink
from proxy.hooks.webhook import DEFAULT_TIMEOUT, WebhookSink
from proxy.signaling.clock import Clock


def parse_hook_uri(uri: str, *, timeout: float = DEFAULT_TIMEOUT, clock: Clock | None = None) -> Sink:
    """Make the sink that ``uri`` names: ``http://…`` or ``https://…``. ``timeout``: seconds per attempt.

    Raises ``ValueError`` with one line that says what is wrong and shows no credentials.
    """
    scheme, separator, _ = uri.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise _bad(uri, "it needs a scheme and a host, as in http://127.0.0.1:8080/hooks")
    if scheme == "nats":
        raise _bad(uri, "nats:// sinks arrive in a later version")
    if scheme not in ("http", "https"):
        raise _bad(uri, f"unknown scheme {_printable(scheme)!r}, expected http or https")
    if not uri.isprintable() or " " in uri:
        raise _bad(uri, "it contains a space or a control character")
    try:
        url = URL(uri)
        host, port = url.host, url.explicit_port
    except ValueError as error:
        # The library's text may quote what it could not read, which may be a part of a password.
        raise _bad(uri, "bad port" if "port" in str(error).lower() else "bad or missing host") from None
    if not host:
        raise _bad(uri, "it has no host")
    if port == 0:
        raise _bad(uri, "bad port")
    return WebhookSink(url, timeout=timeout, clock=clock)


def _printable(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "?", text)[:200]


def _bad(uri: str, why: str) -> ValueError:
    """The error for ``uri``; whatever could be credentials or a token is left out of it."""
    shown = re.sub(r"^([^/]*//|).*@", r"\1***@", uri, flags=re.DOTALL)
    shown = re.sub(r"\?.*", "?***", shown, flags=re.DOTALL)
    return ValueError(f"hook URI {_printable(shown)!r}: {why}")
