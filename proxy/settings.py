"""The settings of ``smproxy serve``: one table of options, read from flags, environment, properties file and defaults."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from proxy.properties import Property, parse_properties

T = TypeVar("T")

#: The port on which Red5 origins take signaling.
ORIGIN_PORT = 5080


class SettingsError(ValueError):
    """A setting that cannot be used: one line that says which, where it came from, and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to dial."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == ORIGIN_PORT else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are seconds."""

    host: str = "127.0.0.1"
    port: int = 5080
    config: Path | None = None
    hook_uri: tuple[str, ...] = ()
    node: int = 1
    data_dir: Path = Path(".smproxy")
    origin: tuple[Address, ...] = ()
    local_origin: bool = True
    pass_switch: bool = False
    allow_host: tuple[str, ...] = ()
    any_host: bool = False
    admin_token: str | None = field(default=None, repr=False)
    customer_scope: str = "required"
    media_gap: float = 2.0
    media_timeout: float = 5.0
    reconnect_window: float = 0.0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    tls_port: int = 5443
    log_level: str = "info"
    log_format: str = "text"
    proxy_enabled: bool = True
    default_app: str = "live"

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key go together: give both, or --tls-self-signed")
        if self.tls_cert is not None and self.tls_self_signed:
            raise SettingsError("--tls-self-signed makes its own certificate: leave out --tls-cert and --tls-key")
        if self.media_timeout <= self.media_gap:
            raise SettingsError(
                f"--media-timeout {self.media_timeout:g} must be longer than --media-gap {self.media_gap:g}"
            )
        if not self.local_origin and not self.origin and not self.allow_host:
            raise SettingsError("--no-local-origin leaves no origin to publish to: give --origin HOST[:PORT]")

    @property
    def tls(self) -> bool:
        """Whether everything is also served as https and wss."""
        return self.tls_self_signed or self.tls_cert is not None


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


def _no_flag(text: str) -> bool:
    return not _flag(text)


def _address(text: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]/:@]+))(?::([0-9]+))?", text)
    if match is None:
        raise ValueError("it takes HOST or HOST:PORT, an IPv6 address in brackets")
    host, port = match[1] or match[2], _port(match[3]) if match[3] else ORIGIN_PORT
    if port == 0:
        raise ValueError("port 0 cannot be dialled")
    return Address(host, port)


def _listen_host(text: str) -> str:
    text = text.strip("[]")
    if not text or re.search(r"[\s/]", text):
        raise ValueError("it takes a host name or an IP address of this machine")
    return text


def _pattern(text: str) -> str:
    if not text or re.search(r"[\s/]", text):
        raise ValueError("it takes a host pattern such as 10.1.* or *.example.com")
    fnmatch.translate(text)
    return text.lower()


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"choose one of {', '.join(choices)}")
        return text.lower()

    return parse


def _app(text: str) -> str:
    app = text.strip("/")
    if not app or not app.isprintable():
        raise ValueError("it takes an application name such as live")
    return app


def _hook_uri(text: str) -> str:
    from proxy.hooks.uris import parse_hook_uri  # aiohttp is not needed to print --help

    parse_hook_uri(text)
    return text


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the option table. ``metavar`` ``None`` marks a switch; ``flag`` ``None`` a property without a flag."""

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
    Option("--host", "host", _listen_host, "address to listen on", "HOST"),
    Option("--port", "port", _port, "port of REST, pages and WebSocket; 0 takes a free one", "PORT"),
    Option("--config", "config", Path, "a red5-web.properties to take settings from", "FILE"),
    Option(
        "--hook-uri", "hook_uri", _hook_uri, "where lifecycle hooks are posted to", "URL", True, "webhooks.endpoint"
    ),
    Option("--node", "node", _node, "number of this node in hooks", "N"),
    Option("--data-dir", "data_dir", Path, "directory for what must outlive the process", "DIR"),
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
        str,
        "token that admin calls must bring",
        "TOKEN",
        False,
        "rest.administratorToken",
    ),
    Option(
        "--customer-scope",
        "customer_scope",
        _choice("required", "optional"),
        "whether a page must send `customerScope`",
        "required|optional",
    ),
    Option("--media-gap", "media_gap", _positive_seconds, "seconds of silence until a session is `reconnect`", "S"),
    Option("--media-timeout", "media_timeout", _positive_seconds, "seconds of silence until a peer is gone", "S"),
    Option("--reconnect-window", "reconnect_window", _seconds, "seconds in which a lost publisher may come back", "S"),
    Option("--tls-cert", "tls_cert", Path, "certificate chain (PEM) for https and wss", "FILE"),
    Option("--tls-key", "tls_key", Path, "private key (PEM) of the certificate", "FILE"),
    Option("--tls-self-signed", "tls_self_signed", _flag, "make an authority and a certificate for localhost, once"),
    Option("--tls-port", "tls_port", _port, "port of https and wss", "PORT"),
    Option("--log-level", "log_level", _choice("debug", "info", "warning", "error"), "least level logged", "LEVEL"),
    Option("--log-format", "log_format", _choice("text", "json"), "form of the log lines on stderr", "text|json"),
    Option(None, "proxy_enabled", _flag, "whether the WebSocket proxy serves", key="proxy.enabled"),
    Option(None, "default_app", _app, "application of a URL without `app`", key="default.server.application"),
)


def default_of(option: Option) -> str:
    """Return an option's default as a user would write it; empty when there is none."""
    value = getattr(Settings(), option.setting)
    if option.metavar is None and option.flag is not None:
        return "off"
    if value is None or value == ():
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Merge the sources: flags, then the environment, then the properties file, then defaults.

    Raises:
        SettingsError: a value cannot be used, or the properties file cannot be read.
    """
    values: dict[str, Any] = {}
    config_text = flags.get("config") or environ.get("SMPROXY_CONFIG") or None
    config = None if config_text is None else Path(config_text)
    properties = {} if config is None else _read_config(config)
    for option in OPTIONS:
        flag, variable = flags.get(option.setting), option.variable
        entry = properties.get(option.key) if option.key else None
        if option.flag and flag is not None and flag != []:
            values[option.setting] = _parse(option, flag, option.flag)
        elif variable and environ.get(variable):
            text = environ[variable]
            values[option.setting] = _parse(option, text.split() if option.repeatable else text, variable)
        elif entry is not None and config is not None and (entry.value or option.flag is None):
            value = [entry.value] if option.repeatable else entry.value
            values[option.setting] = _parse(option, value, f"{config}:{entry.line}: {option.key}")
    if config is not None and "proxy.enabled" not in properties:
        values["proxy_enabled"] = False  # as the real server: off unless the file says otherwise
    return Settings(**values)


def _parse(option: Option, value: Any, source: str) -> Any:
    if value is True:  # a switch on the command line
        return option.parse("true")
    texts = value if isinstance(value, list) else [value]
    try:
        parsed = [option.parse(text) for text in texts]
    except ValueError as error:
        # The error of a hook URI shows it without its credentials.
        shown = "" if option.setting == "hook_uri" else f"{' '.join(texts)!r}: "
        raise SettingsError(f"{source}: {shown}{error}") from None
    return tuple(parsed) if option.repeatable else parsed[0]


def _read_config(path: Path) -> dict[str, Property]:
    try:
        return parse_properties(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}: give --config a readable properties file") from None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
