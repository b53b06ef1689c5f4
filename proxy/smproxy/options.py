"""The options of ``smproxy serve``.

One table, from which flags, environment, help and documentation are made.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smproxy.signaling.params import NAME_LIMIT
from smproxy.signaling.whip import IceServer
from smproxy.urls import host_name, read_url

#: The port on which Red5 origins take signaling.
ORIGIN_PORT = 5080


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to dial."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == ORIGIN_PORT else f"{host}:{self.port}"


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise ValueError("a port is a whole number from 0 to 65535")
    return port


def _node(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**32:
        raise ValueError("a node is a whole number from 0 to 4294967295")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise ValueError("it takes seconds, from 0 to 86400")
    return seconds


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds < 0.1:
        raise ValueError("it takes seconds, from 0.1 to 86400")
    return seconds


def _flag(text: str) -> bool:
    value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.strip().lower())
    if value is None:
        raise ValueError("it is true or false")
    return value


def _on_off(text: str) -> bool:
    value = {"on": True, "off": False}.get(text.strip().lower())
    return _flag(text) if value is None else value


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**53:
        raise ValueError("a seed is a whole number from 0 to 9007199254740991")
    return int(text)


def _no_flag(text: str) -> bool:
    return not _flag(text)


def _address(text: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]/:@]+))(?::([0-9]+))?", text)
    if match is None:
        raise ValueError("it takes HOST or HOST:PORT, an IPv6 address in brackets")
    host, port = host_name(match[1] or match[2]), _port(match[3]) if match[3] else ORIGIN_PORT
    if port == 0:
        raise ValueError("port 0 cannot be dialled")
    return Address(host, port)


def _token(text: str) -> str:
    if not text.strip():
        raise ValueError("an empty token protects nothing: leave the option out, or give one")
    return text


def _pattern(text: str) -> str:
    if not text or re.search(r"[\s/]", text) or text.count(":") == 1:
        raise ValueError("it takes a host pattern without a port, such as 10.1.* or *.example.com")
    fnmatch.translate(text)
    return text.lower()


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"choose one of {', '.join(choices)}")
        return text.lower()

    return parse


def _customer_scope(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > NAME_LIMIT:
        raise ValueError("it takes a name of at most 255 characters, required, or optional")
    return text.lower() if text.lower() in ("required", "optional") else text


def _app(text: str) -> str:
    app = text.strip("/")
    if not app or not app.isprintable():
        raise ValueError("it takes an application name such as live")
    return app


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 10**9:
        raise ValueError("it takes a whole number from 1 to 1000000000")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= 3650:
        raise ValueError("it takes days, up to 3650")
    return days


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 10**7:
        raise ValueError("it takes minutes, above 0")
    return minutes


def _path(text: str) -> str | None:
    if not text.isprintable() or " " in text:
        raise ValueError("it takes a path such as /validateCredentials")
    return text or None


def _takeover(text: str) -> str:
    takeover_after(text)
    return text.lower()


def takeover_after(text: str) -> float | None:
    """Return after how many seconds a live name may be taken over; ``None`` for never.

    Raises:
        ValueError: it is none of the forms of ``--takeover``.
    """
    match text.lower().split("=", 1):
        case ["never"]:
            return None
        case ["always"]:
            return 0.0
        case ["after", seconds]:
            return _seconds(seconds)
    raise ValueError("it takes never, always or after=S")


def _ice_server(text: str) -> IceServer:
    url, *rest = text.split(",", 2)
    scheme = url.partition(":")[0].lower()
    if scheme not in ("stun", "stuns", "turn", "turns") or not url.isprintable() or set(url) & set(' <>"'):
        raise ValueError("it takes stun:HOST[:PORT] or turn:HOST[:PORT],USER,PASSWORD")
    if len(rest) != (2 if scheme.startswith("turn") else 0) or any(set(each) & set('"\\') for each in rest):
        raise ValueError(
            "a TURN server takes a user and a password, turn:HOST:PORT,USER,PASSWORD; a STUN server neither"
        )
    return IceServer(url, *rest)


_MEGABYTES = {"": 1, "mb": 1, "m": 1, "gb": 1000, "g": 1000, "tb": 1_000_000, "t": 1_000_000}


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})\s*([a-z]*)", text.strip().lower())
    size = int(match[1]) * _MEGABYTES.get(match[2], 0) if match else 0
    if not 0 < size <= 10**9:
        raise ValueError("it takes a size such as 500 (megabytes), 500MB or 20GB")
    return size


def _endpoint(text: str) -> str | None:
    """The property may be present and empty, as the real file has it when it is unused."""
    return _hook_uri(text) if text else None


def _hook_uri(text: str) -> str:
    from smproxy.hooks.sinks.uris import parse_hook_uri  # aiohttp is not needed to print --help

    parse_hook_uri(text)
    return text


def _auth(text: str) -> str:
    kind, _, value = text.partition(":")
    if kind.lower() not in ("jwt", "digest", "file") or not value:
        raise ValueError("it takes jwt:SECRET, digest:SECRET or file:PATH")
    if kind.lower() == "jwt" and len(value.encode()) < 32:
        raise ValueError("a secret for JSON Web Tokens has 32 bytes at least")
    return f"{kind.lower()}:{value}"


def _back_end(text: str) -> str:
    if read_url(text, "http", "https").query:
        raise ValueError("it is a base without a query, such as http://localhost:3000")
    return text


def _protocol(text: str) -> str:
    if text.removesuffix("://") not in ("http", "https"):
        raise ValueError("it is http:// or https://")
    return text


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the option table.

    ``metavar`` ``None`` marks a switch; ``flag`` ``None`` a property without a flag.
    """

    flag: str | None
    setting: str
    parse: Callable[[str], Any]
    help: str
    metavar: str | None = None
    repeatable: bool = False
    key: str | None = None  # in red5-web.properties

    @property
    def variable(self) -> str | None:
        """The environment variable."""
        return None if self.flag is None else "SMPROXY_" + self.flag.removeprefix("--").replace("-", "_").upper()


OPTIONS: tuple[Option, ...] = (
    Option("--host", "host", host_name, "address to listen on", "HOST"),
    Option("--port", "port", _port, "port of REST, pages and WebSocket; 0 takes a free one", "PORT"),
    Option("--config", "config", Path, "a red5-web.properties to take settings from", "FILE"),
    Option("--hook-uri", "hook_uri", _hook_uri, "where lifecycle hooks go to, http(s):// or nats://", "URL", True),
    Option(
        "--hook-format",
        "hook_format",
        _choice("envelope", "red5", "cloudevents"),
        "form of the hooks, once for all URLs or once for each, in their order (else envelope)",
        "envelope|red5|cloudevents",
        True,
    ),
    Option(
        "--hook-secret",
        "hook_secret",
        str,
        "secret that signs the hooks, once for all URLs or for each",
        "SECRET",
        True,
    ),
    Option(
        "--hook-retries",
        "hook_retries",
        _choice("fast", "standard"),
        "how long a failed delivery is retried: for 30 s, or for a day",
        "fast|standard",
    ),
    Option("--hook-insecure", "hook_insecure", _flag, "do not verify the certificates of https receivers"),
    Option("--hook-keep", "hook_keep", _count, "how many hooks the journal keeps", "N"),
    Option("--hook-keep-days", "hook_keep_days", _days, "for how many days the journal keeps hooks", "DAYS"),
    Option("--node", "node", _node, "number of this node in hooks", "N"),
    Option(
        "--data-dir", "data_dir", Path, "directory of the hook journal and certificates; :memory: keeps nothing", "DIR"
    ),
    Option("--recordings", "recordings", Path, "directory of recordings (else in the data directory)", "DIR"),
    Option(
        "--recordings-limit",
        "recordings_limit",
        _megabytes,
        "how much recordings may take together, in MB or with a unit such as 20GB",
        "SIZE",
    ),
    Option("--origin", "origin", _address, "an external origin, for instance a real server", "HOST[:PORT]", True),
    Option("--no-local-origin", "local_origin", _no_flag, "start no origin in this process"),
    Option("--pass-switch", "pass_switch", _flag, "let clients of external origins leave the socket; hooks end there"),
    Option(
        "--allow-host", "allow_host", _pattern, "a host that `host=` may name without being registered", "PATTERN", True
    ),
    Option("--any-host", "any_host", _flag, "send an unknown `host=` to a registered origin instead of refusing it"),
    Option(
        "--admin-token",
        "admin_token",
        _token,
        "token that admin calls must bring",
        "TOKEN",
        False,
        "rest.administratorToken",
    ),
    Option(
        "--customer-scope",
        "customer_scope",
        _customer_scope,
        "the customer scope of a page that sends none; `required`: it is refused; `optional`: its hooks have none",
        "NAME|required|optional",
    ),
    Option("--media-gap", "media_gap", _positive_seconds, "seconds of silence until a session is `reconnect`", "S"),
    Option("--media-timeout", "media_timeout", _positive_seconds, "seconds of silence until a peer is gone", "S"),
    Option("--reconnect-window", "reconnect_window", _seconds, "seconds in which a lost publisher may come back", "S"),
    Option(
        "--takeover",
        "takeover",
        _takeover,
        "whether a publisher may take a name that is live: never, always, or after so many seconds of it",
        "never|always|after=S",
    ),
    Option(
        "--whep-offline",
        "whep_offline",
        _choice("conflict", "not-found", "wait"),
        "what a WHEP client gets when nobody publishes: 409, 404, or an answer and the stream when it comes",
        "conflict|not-found|wait",
    ),
    Option(
        "--ice-server",
        "ice_server",
        _ice_server,
        "a STUN or TURN server that WHIP and WHEP clients are told of, for TURN as turn:HOST:PORT,USER,PASSWORD",
        "URL",
        True,
    ),
    Option(
        "--auth-uri",
        "auth_uri",
        _back_end,
        "ask a back end who may publish and subscribe: POST /validateCredentials and /invalidateCredentials below this",
        "URL",
    ),
    Option(
        "--auth",
        "auth",
        _auth,
        "decide who may publish and subscribe by a JSON Web Token, a digest token, or a file of users and passwords",
        "jwt:SECRET|digest:SECRET|file:PATH",
    ),
    Option("--auth-lazy", "auth_lazy", _flag, "let a client in at once, and end its session when the verdict is no"),
    Option(
        "--auth-format",
        "auth_format",
        _choice("vendor", "extended"),
        "what the back end is sent: the vendor's five keys, or also action, transport, address, origin and parameters",
        "vendor|extended",
    ),
    Option("--auth-issuer", "auth_issuer", str, "issuer that a JSON Web Token must have", "NAME", key="jwt.issuer"),
    Option(
        "--auth-ttl",
        "auth_ttl",
        _minutes,
        "minutes that a JSON Web Token may still be valid for; one for longer is refused",
        "MINUTES",
        key="jwt.ttl.minutes",
    ),
    Option("--simulate", "simulate", _on_off, "whether a connection may ask for faults with `simulate=`", "on|off"),
    Option(
        "--seed",
        "seed",
        _seed,
        "makes session numbers, faults, and uuids but for the time in them, the same in every run",
        "N",
    ),
    Option("--tls-cert", "tls_cert", Path, "certificate chain (PEM) for https and wss", "FILE"),
    Option("--tls-key", "tls_key", Path, "private key (PEM) of the certificate", "FILE"),
    Option("--tls-self-signed", "tls_self_signed", _flag, "make an authority and a certificate for localhost, once"),
    Option(
        "--tls-host",
        "tls_host",
        host_name,
        "another name or address for the certificate that is made",
        "NAME",
        True,
    ),
    Option("--tls-port", "tls_port", _port, "port of https and wss", "PORT"),
    Option("--exit-with-parent", "exit_with_parent", _flag, "stop when the process that started it has ended"),
    Option("--sdk-file", "sdk_file", Path, "the vendor's red5pro-sdk.min.js, for /publish to use it", "FILE"),
    Option("--log-level", "log_level", _choice("debug", "info", "warning", "error"), "least level logged", "LEVEL"),
    Option("--log-format", "log_format", _choice("text", "json"), "form of the log lines on stderr", "text|json"),
    Option(None, "auth_server_protocol", _protocol, "protocol of the back end", key="server.protocol"),
    Option(None, "auth_server_host", host_name, "host of the back end", key="server.host"),
    Option(None, "auth_server_port", _port, "port of the back end", key="server.port"),
    Option(None, "auth_server_validate", _path, "path of the question", key="server.validateCredentialsEndPoint"),
    Option(None, "auth_server_invalidate", _path, "path of the end", key="server.invalidateCredentialsEndPoint"),
    Option(None, "proxy_enabled", _flag, "whether the WebSocket proxy serves", key="proxy.enabled"),
    Option(None, "webhooks_endpoint", _endpoint, "where hooks go in Red5's own format", key="webhooks.endpoint"),
    Option(None, "default_app", _app, "application of a URL without `app`", key="default.server.application"),
)
