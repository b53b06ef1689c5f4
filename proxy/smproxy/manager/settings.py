"""The manager's settings."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from smproxy.auth.scheme import Scheme
from smproxy.manager.trusted_proxies import Network
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.whip import IceServer


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """What holds for every client.

    ``disabled_by`` names the setting that has switched the proxy off, where one has; ``default_customer_scope`` is
    that of a client that sends none, where none is required.
    """

    disabled_by: str | None = None
    default_app: str = "live"
    customer_scope_required: bool = True
    default_customer_scope: str | None = None
    pass_switch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """The manager's settings; times are in seconds.

    ``names``: others than ``host`` that the server is known by.
    """

    host: str = "127.0.0.1"
    #: The name of this node in its cluster, if it is in one.
    node_name: str | None = None
    names: tuple[str, ...] = ()
    ports: tuple[int, ...] = (0,)
    tls_ports: tuple[int, ...] = (0,)
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    rules: AdmissionRules = field(default_factory=AdmissionRules)
    admin_token: str | None = field(default=None, repr=False)
    allow_hosts: tuple[str, ...] = ()
    any_host: bool = False
    reconnect_window: float = 0.0
    #: The hooks beside those of each session's life.
    hook_events: frozenset[OptionalHook] = frozenset()
    #: How long a room is empty until it has ended, and how often there are statistics of each session.
    room_timeout: float = 10.0
    stats_interval: float = 10.0
    simulate: bool = True
    ice_servers: tuple[IceServer, ...] = ()
    sdk_file: Path | None = None
    recordings: Path | None = None
    #: Who may publish and subscribe; everybody without one.
    auth: Scheme | None = field(default=None, repr=False)
    auth_lazy: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    #: Directories of a user's pages, by the path below which they are served.
    pages: tuple[tuple[str, Path], ...] = ()
    #: Where the packets of each session are written when it ends.
    capture: Path | None = None
