"""From what people write after ``--hook-uri`` to a sink."""

from __future__ import annotations

import re
from urllib.parse import unquote

from yarl import URL

from smproxy.hooks.formats.registry import UNCHECKED, format_named
from smproxy.hooks.sink import Sink
from smproxy.hooks.sinks.scoped import ScopedSink
from smproxy.hooks.sinks.vendor_signatures import signer_for
from smproxy.hooks.sinks.webhook import DEFAULT_TIMEOUT, WebhookSink
from smproxy.signaling.clock import Clock
from smproxy.urls import read_url

_WEBHOOK_SCHEMES = ("http", "https")
_NATS_SCHEMES = ("nats", "tls")
_SCOPE = "scope="


def parse_hook_uri(
    uri: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    clock: Clock | None = None,
    format: str = "envelope",
    secret: str | None = None,
    verify_tls: bool = True,
) -> Sink:
    """Make the sink of a URI: ``http(s)`` for webhooks, ``nats`` and ``tls`` for JetStream.

    ``timeout``: seconds per attempt. ``format``: a name of :data:`smproxy.hooks.formats.registry.FORMATS`. ``secret`` signs
    webhooks (:mod:`smproxy.hooks.sinks.vendor_signatures`) and means nothing to NATS. ``verify_tls=False`` takes any
    certificate. ``scope=NAME,`` before the URI leaves the events of one customer scope.

    Raises ``ValueError`` with one line that says what is wrong and shows no credentials.
    """
    if uri.startswith(_SCOPE):
        customer_scope, comma, rest = uri.removeprefix(_SCOPE).partition(",")
        if not comma or not customer_scope:
            raise _bad(uri, "a receiver of one customer scope is scope=NAME,http://127.0.0.1:8080/hooks")
        sink = parse_hook_uri(rest, timeout=timeout, clock=clock, format=format, secret=secret, verify_tls=verify_tls)
        return ScopedSink(sink, unquote(customer_scope))
    scheme, separator, _ = uri.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise _bad(uri, "it needs a scheme and a host, as in http://127.0.0.1:8080/hooks")
    if scheme not in (*_WEBHOOK_SCHEMES, *_NATS_SCHEMES):
        raise _bad(uri, f"unknown scheme {_printable(scheme)!r}, expected http, https, nats or tls")
    url = _read(uri)
    chosen = format_named(format)
    if scheme in _WEBHOOK_SCHEMES:
        signer = None if secret is None else signer_for(chosen.name, secret)
        if signer is not None and signer.authorizes and url.user is not None:
            raise _bad(
                uri, f"with --hook-secret the format {chosen.name} has an Authorization of its own: no user here"
            )
        return WebhookSink(
            url,
            timeout=timeout,
            clock=clock,
            format=chosen,
            signer=signer,
            verify_tls=verify_tls,
            any_status=chosen.name in UNCHECKED,
        )
    try:
        # Imported here because it is optional, and because most people have no NATS server.
        from smproxy.hooks.sinks.nats import NatsSink
    except ImportError:
        raise _bad(uri, "NATS needs another package: pip install 'nats-py>=2.16,<3'") from None
    try:
        return NatsSink(url, timeout=timeout, format=chosen, verify_tls=verify_tls)
    except ValueError as error:
        raise _bad(uri, str(error)) from None


def _read(uri: str) -> URL:
    try:
        read_url(uri, *_WEBHOOK_SCHEMES, *_NATS_SCHEMES)
    except ValueError as error:
        raise _bad(uri, str(error)) from None
    try:
        return URL(uri)
    except ValueError:  # the library's text may quote a part of a password
        raise _bad(uri, "it cannot be read") from None


def _printable(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "?", text)[:200]


def _bad(uri: str, why: str) -> ValueError:
    """The error for ``uri``; whatever could be credentials or a token is left out of it."""
    shown = re.sub(r"^([^/]*//|).*@", r"\1***@", uri, flags=re.DOTALL)
    shown = re.sub(r"\?.*", "?***", shown, flags=re.DOTALL)
    return ValueError(f"hook URI {_printable(shown)!r}: {why}")
