"""The settings of ``smproxy serve``, and which of them go together."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

from smproxy.nodes.node_spec import NodeSpec
from smproxy.printable import printable
from smproxy.settings.option_values import DEFAULT_ROLES, Address
from smproxy.settings.options import Option
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.whip import IceServer

if TYPE_CHECKING:
    from smproxy.faults.written import WrittenFault


class SettingsError(ValueError):
    """A setting that cannot be used.

    One line that says which, where it came from, and what to do; control characters of a value are shown.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """One place that hooks go to."""

    uri: str = field(repr=False)
    format: str = "envelope"
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are seconds."""

    host: str = "127.0.0.1"
    #: One, or several that all serve the same.
    port: int | tuple[int, ...] = 5080
    config: Path | None = None
    hook_uri: tuple[str, ...] = field(default=(), repr=False)
    hook_format: tuple[str, ...] = ()
    hook_secret: tuple[str, ...] = field(default=(), repr=False)
    hook_retries: str = "fast"
    hook_insecure: bool = False
    hook_keep: int = 100_000
    hook_keep_days: float = 7.0
    webhooks_endpoint: str | None = field(default=None, repr=False)
    node: int = 1
    data_dir: Path = Path(".smproxy")
    recordings: Path | None = None
    #: In megabytes.
    recordings_limit: int = 10_000
    origin: tuple[Address, ...] = ()
    local_origin: bool = True
    nodes: tuple[NodeSpec, ...] = ()
    node_start: float = 2.0
    node_sunset: float = 60.0
    node_scenario: Path | None = None
    pass_switch: bool = False
    allow_host: tuple[str, ...] = ()
    any_host: bool = False
    admin_token: str | None = field(default=None, repr=False)
    customer_scope: str = "default"
    media_port: int | None = None
    media_address: tuple[str, ...] = ()
    media_tcp: bool = False
    turn: bool = False
    capture: Path | None = None
    media_gap: float = 2.0
    media_timeout: float = 5.0
    reconnect_window: float = 0.0
    hook_events: tuple[str, ...] = ()
    room_timeout: float = 10.0
    stats_interval: float = 10.0
    takeover: str = "never"
    whep_offline: str = "conflict"
    ice_server: tuple[IceServer, ...] = ()
    auth_uri: str | None = field(default=None, repr=False)
    auth: str | None = field(default=None, repr=False)
    auth_lazy: bool = False
    auth_format: str = "vendor"
    auth_issuer: str | None = None
    #: In minutes.
    auth_ttl: float | None = None
    auth_server_protocol: str = "http://"
    auth_server_host: str = "localhost"
    auth_server_port: int = 3000
    auth_server_validate: str | None = None
    auth_server_invalidate: str | None = None
    simulate: bool = True
    fault: tuple[WrittenFault, ...] = ()
    seed: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    tls_host: tuple[str, ...] = ()
    tls_port: int | tuple[int, ...] = 5443
    otel_endpoint: str | None = field(default=None, repr=False)
    cluster: str | None = field(default=None, repr=False)
    roles: tuple[str, ...] = DEFAULT_ROLES
    node_id: str | None = None
    advertise: str | None = None
    region: str = "local"
    cluster_ttl: float = 9.0
    pull_linger: float = 10.0
    exit_with_parent: bool = False
    ready_file: Path | None = None
    detach: bool = False
    pid_file: Path | None = None
    log_file: Path | None = None
    log_level: str = "info"
    log_format: str = "text"
    proxy_enabled: bool = True
    default_app: str = "live"
    sdk_file: Path | None = None
    #: Directories of pages, each with its path.
    pages: tuple[tuple[str, Path], ...] = ()
    trust_proxy: tuple[IPv4Network | IPv6Network, ...] = ()

    def __post_init__(self) -> None:
        self._check_tls()
        self._check_media()
        self._check_cluster()
        self._check_nodes()
        self._check_access()
        self._check_pages()
        self._check_ports()
        self._check_hooks()

    def _check_tls(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key go together: give both, or --tls-self-signed")
        if self.tls_cert is not None and self.tls_self_signed:
            raise SettingsError("--tls-self-signed makes its own certificate: leave out --tls-cert and --tls-key")
        if self.tls_host and not self.tls_self_signed:
            raise SettingsError(
                "--tls-host names what --tls-self-signed makes a certificate for: give that too, or neither"
            )
        if self.tls_self_signed and self.in_memory:
            raise SettingsError(
                "--tls-self-signed keeps its authority in --data-dir: give a directory instead of :memory:"
            )

    def _check_media(self) -> None:
        if self.recordings is not None and os.path.exists(self.recordings) and not os.path.isdir(self.recordings):
            raise SettingsError(f"--recordings {self.recordings} is not a directory: give a directory")
        if self.media_timeout <= self.media_gap:
            raise SettingsError(
                f"--media-timeout {self.media_timeout:g} must be longer than --media-gap {self.media_gap:g}"
            )

    def _check_cluster(self) -> None:
        if self.cluster is None:
            if self.node_id or self.advertise or self.region != "local" or self.roles != DEFAULT_ROLES:
                raise SettingsError(
                    "--roles, --node-id, --region and --advertise are for a node of a cluster: give --cluster too"
                )
            if self.cluster_ttl != 9.0 or self.pull_linger != 10.0:
                raise SettingsError("--cluster-ttl and --pull-linger are for a node of a cluster: give --cluster too")
            return
        if self.origin:
            raise SettingsError(
                "--origin names origins that claim no names in a cluster: leave it out, or --cluster; "
                "nodes with --roles origin are found by themselves"
            )
        if not self.local_origin:
            raise SettingsError("--no-local-origin: a node of a cluster without an origin has --roles manager")

    def _check_nodes(self) -> None:
        if not self.nodes:
            if self.node_scenario is not None:
                raise SettingsError("--node-scenario changes simulated nodes: give --nodes N too")
            return
        for given, flag, why in (
            (not self.local_origin, "--no-local-origin", "starts none"),
            (self.cluster is not None, "--cluster", "has real nodes"),
            (self.media_tcp, "--media-tcp", "has one port for one origin"),
            (bool(self.media_address), "--media-address", "gives them all one address"),
        ):
            if given:
                raise SettingsError(f"--nodes starts nodes with addresses of their own, {flag} {why}: leave out one")

    def _check_access(self) -> None:
        if self.cluster is None and not self.local_origin and not self.origin and not self.allow_host:
            raise SettingsError("--no-local-origin leaves no origin to publish to: give --origin HOST[:PORT]")
        if self.auth is not None and self.auth_uri is not None:
            raise SettingsError("--auth and --auth-uri both decide who may publish: give one of them")

    def _check_pages(self) -> None:
        if self.sdk_file is not None and not os.path.isfile(self.sdk_file):
            raise SettingsError(
                f"--sdk-file {self.sdk_file}: there is no such file: give the path of red5pro-sdk.min.js"
            )
        for path, directory in self.pages:
            if not os.path.isdir(directory):
                raise SettingsError(f"--pages {directory}: there is no such directory: give one, or /PATH/=DIR")
            if path == f"/{self.default_app}/":
                raise SettingsError(f"--pages {path}={directory}: that is where the streams are: give another path")

    def _check_ports(self) -> None:
        if not self.ports or not self.tls_ports:
            raise SettingsError("no port is given: give --port and --tls-port a number, or 0 for a free one")
        twice = _given_twice(self.ports + (self.tls_ports if self.tls else ()))
        if twice is not None:
            raise SettingsError(f"port {twice} is given twice: give each --port and --tls-port a number of its own")

    def _check_hooks(self) -> None:
        if unknown := set(self.hook_events) - set(OptionalHook):
            raise SettingsError(f"--hook-events {min(unknown)}: there is none of this name: {', '.join(OptionalHook)}")
        for flag, given in (("--hook-format", self.hook_format), ("--hook-secret", self.hook_secret)):
            if len(given) not in {0, 1, len(self.hook_uri)}:
                raise SettingsError(
                    f"{flag} is given {len(given)} times for {len(self.hook_uri)} --hook-uri: give it once, or once for each"
                )

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of http and ws."""
        return _several(self.port)

    @property
    def tls_ports(self) -> tuple[int, ...]:
        """The ports of https and wss, if any are to be opened."""
        return _several(self.tls_port)

    @property
    def node_name(self) -> str:
        """The name of this node in its cluster."""
        name = re.sub("[^a-z0-9-]", "-", (self.node_id or socket.gethostname()).lower())[:32].strip("-")
        return name or "node"

    @property
    def node_number(self) -> int:
        """The number of this node in hooks.

        In a cluster it is the one that the name ends with, unless one is given.
        """
        digits = re.search("[0-9]{1,6}$", self.node_name) if self.cluster is not None and self.node == 1 else None
        return int(digits[0]) if digits else self.node

    @property
    def sinks(self) -> tuple[SinkSettings, ...]:
        """Where hooks go: each ``--hook-uri``, and the properties file's endpoint."""
        count = len(self.hook_uri)
        formats = self.hook_format * count if len(self.hook_format) == 1 else self.hook_format or ("envelope",) * count
        secrets = self.hook_secret * count if len(self.hook_secret) == 1 else self.hook_secret or (None,) * count
        sinks = [
            SinkSettings(uri=uri, format=name, secret=secret)
            for uri, name, secret in zip(self.hook_uri, formats, secrets, strict=True)
        ]
        if self.webhooks_endpoint is not None:
            sinks.append(SinkSettings(uri=self.webhooks_endpoint, format="red5"))
        return tuple(sinks)

    @property
    def in_memory(self) -> bool:
        """Whether nothing is to be kept on disk."""
        return str(self.data_dir) == ":memory:"

    @property
    def recordings_dir(self) -> Path | None:
        """Where recordings go; ``None`` when nothing is to be kept on disk and no place was named."""
        if self.recordings is not None:
            return self.recordings
        return None if self.in_memory else self.data_dir / "recordings"

    @property
    def tls(self) -> bool:
        """Whether everything is also served as https and wss."""
        return self.tls_self_signed or self.tls_cert is not None


def _several(port: int | tuple[int, ...]) -> tuple[int, ...]:
    return (port,) if isinstance(port, int) else port


def _given_twice(ports: tuple[int, ...]) -> int | None:
    """Return a port that is there twice; 0 stands for any free one."""
    return next((port for index, port in enumerate(ports) if port and port in ports[:index]), None)


def default_of(option: Option) -> str:
    """Return an option's default as a user would write it; empty when there is none."""
    value = getattr(Settings(), option.setting)
    if option.metavar is None and option.flag is not None:
        return "off"
    if value is None or value == ():
        return ""
    if option.metavar == "on|off":
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
