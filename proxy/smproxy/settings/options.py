"""The options of ``smproxy serve``.

One table, from which flags, environment, help and documentation are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smproxy.hooks.formats.registry import FORMATS
from smproxy.nodes.node_spec import read_nodes
from smproxy.settings import option_values as values
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.urls import host_name


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
    Option("--host", "host", host_name, "address to listen on; 0.0.0.0 is every one of IPv4, :: every one", "HOST"),
    Option("--port", "port", values.port, "port of REST, pages and WebSocket; 0 takes a free one", "PORT", True),
    Option(
        "--config",
        "config",
        Path,
        "a file to take settings from: smproxy.toml, or a red5-web.properties of the real server",
        "FILE",
    ),
    Option(
        "--hook-uri",
        "hook_uri",
        values.hook_uri,
        "where lifecycle hooks go to, http(s):// or nats://; scope=NAME,URL for one customer scope",
        "URL",
        True,
    ),
    Option(
        "--hook-format",
        "hook_format",
        values.choice(*FORMATS),
        "form of the hooks, once for all URLs or once for each, in their order (else envelope)",
        "|".join(FORMATS),
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
        values.choice("fast", "standard"),
        "how long a failed delivery is retried: for 30 s, or for a day",
        "fast|standard",
    ),
    Option("--hook-insecure", "hook_insecure", values.flag, "do not verify the certificates of https receivers"),
    Option(
        "--hook-events",
        "hook_events",
        values.hook_events,
        "further hooks: mute, of tracks that are muted; statistics, the media of a session at its end; stats, the same every "
        "--stats-interval; route, how an origin is chosen; room, of rooms: the first peer, the last, empty for --room-timeout",
        f"{','.join(OptionalHook)}|all",
    ),
    Option("--room-timeout", "room_timeout", values.seconds, "seconds that a room is empty until it has stopped", "S"),
    Option(
        "--stats-interval", "stats_interval", values.positive_seconds, "seconds between a session's hooks stats", "S"
    ),
    Option("--hook-keep", "hook_keep", values.count, "how many hooks the journal keeps", "N"),
    Option("--hook-keep-days", "hook_keep_days", values.days, "for how many days the journal keeps hooks", "DAYS"),
    Option("--node", "node", values.node, "number of this node in hooks", "N"),
    Option(
        "--data-dir", "data_dir", Path, "directory of the hook journal and certificates; :memory: keeps nothing", "DIR"
    ),
    Option("--recordings", "recordings", Path, "directory of recordings (else in the data directory)", "DIR"),
    Option(
        "--recordings-limit",
        "recordings_limit",
        values.megabytes,
        "how much recordings may take together, in MB or with a unit such as 20GB",
        "SIZE",
    ),
    Option("--origin", "origin", values.address, "an external origin, for instance a real server", "HOST[:PORT]", True),
    Option(
        "--nodes",
        "nodes",
        read_nodes,
        "simulated nodes in this process, each with an address of its own (127.0.0.x)",
        "N|REGION[/edge]:N,…",
    ),
    Option("--node-start", "node_start", values.seconds, "how long a node that is added takes to start", "SECONDS"),
    Option(
        "--node-sunset",
        "node_sunset",
        values.seconds,
        "how long the sessions of a node that is taken out may last",
        "SECONDS",
    ),
    Option("--node-scenario", "node_scenario", Path, "what happens to the nodes when, in TOML", "FILE"),
    Option("--no-local-origin", "local_origin", values.no_flag, "start no origin in this process"),
    Option(
        "--pass-switch", "pass_switch", values.flag, "let clients of external origins leave the socket; hooks end there"
    ),
    Option(
        "--allow-host",
        "allow_host",
        values.pattern,
        "a host that `host=` may name without being registered",
        "PATTERN",
        True,
    ),
    Option(
        "--any-host", "any_host", values.flag, "send an unknown `host=` to a registered origin instead of refusing it"
    ),
    Option(
        "--admin-token",
        "admin_token",
        values.token,
        "token that admin calls must bring",
        "TOKEN",
        False,
        "rest.administratorToken",
    ),
    Option(
        "--customer-scope",
        "customer_scope",
        values.customer_scope,
        "the customer scope of a page that sends none; `required`: it is refused; `optional`: its hooks have none",
        "NAME|required|optional",
    ),
    Option(
        "--media-port",
        "media_port",
        values.port,
        "one UDP port for the media of all sessions; 0 takes a free one. Without it each session has ports of its own",
        "PORT",
    ),
    Option(
        "--media-address",
        "media_address",
        values.ip_address,
        "address that clients are told to send media to, instead of this machine's own",
        "IP",
        True,
    ),
    Option(
        "--capture",
        "capture",
        Path,
        "keep the packets of every session, and write them to this directory when it ends, for Wireshark",
        "DIR",
    ),
    Option(
        "--media-tcp",
        "media_tcp",
        values.flag,
        "also take media over TCP, on the port of the pages, from clients whose UDP is blocked (ICE-TCP)",
    ),
    Option("--turn", "turn", values.flag, "run a TURN server for tests (coturn, if installed), and name it to clients"),
    Option(
        "--media-gap", "media_gap", values.positive_seconds, "seconds of silence until a session is `reconnect`", "S"
    ),
    Option("--media-timeout", "media_timeout", values.positive_seconds, "seconds of silence until a peer is gone", "S"),
    Option(
        "--reconnect-window", "reconnect_window", values.seconds, "seconds in which a lost publisher may come back", "S"
    ),
    Option(
        "--takeover",
        "takeover",
        values.takeover,
        "whether a publisher may take a name that is live: never, always, or after so many seconds of it",
        "never|always|after=S",
    ),
    Option(
        "--whep-offline",
        "whep_offline",
        values.choice("conflict", "not-found", "wait"),
        "what a WHEP client gets when nobody publishes: 409, 404, or an answer and the stream when it comes",
        "conflict|not-found|wait",
    ),
    Option(
        "--ice-server",
        "ice_server",
        values.ice_server,
        "a STUN or TURN server that WHIP and WHEP clients are told of, for TURN as turn:HOST:PORT,USER,PASSWORD",
        "URL",
        True,
    ),
    Option(
        "--auth-uri",
        "auth_uri",
        values.back_end,
        "ask a back end who may publish and subscribe: POST /validateCredentials and /invalidateCredentials below this",
        "URL",
    ),
    Option(
        "--auth",
        "auth",
        values.auth,
        "decide who may publish and subscribe by a JSON Web Token, a digest token, or a file of users and passwords",
        "jwt:SECRET|digest:SECRET|file:PATH",
    ),
    Option(
        "--auth-lazy", "auth_lazy", values.flag, "let a client in at once, and end its session when the verdict is no"
    ),
    Option(
        "--auth-format",
        "auth_format",
        values.choice("vendor", "extended"),
        "what the back end is sent: the vendor's five keys, or also action, transport, address, origin and parameters",
        "vendor|extended",
    ),
    Option("--auth-issuer", "auth_issuer", str, "issuer that a JSON Web Token must have", "NAME", key="jwt.issuer"),
    Option(
        "--auth-ttl",
        "auth_ttl",
        values.minutes,
        "minutes that a JSON Web Token may still be valid for; one for longer is refused",
        "MINUTES",
        key="jwt.ttl.minutes",
    ),
    Option(
        "--simulate", "simulate", values.on_off, "whether a connection may ask for faults with `simulate=`", "on|off"
    ),
    Option(
        "--fault",
        "fault",
        values.fault,
        "a fault that is on from the start, as in `simulate=`; also id, customerScope, role, app, count, ttl",
        "KIND[:KEY=VALUE…]",
        True,
    ),
    Option(
        "--seed",
        "seed",
        values.seed,
        "makes session numbers, faults, and uuids but for the time in them, the same in every run",
        "N",
    ),
    Option("--tls-cert", "tls_cert", Path, "certificate chain (PEM) for https and wss", "FILE"),
    Option("--tls-key", "tls_key", Path, "private key (PEM) of the certificate", "FILE"),
    Option(
        "--tls-self-signed", "tls_self_signed", values.flag, "make an authority and a certificate for localhost, once"
    ),
    Option(
        "--tls-host",
        "tls_host",
        host_name,
        "another name or address for the certificate that is made",
        "NAME",
        True,
    ),
    Option("--tls-port", "tls_port", values.port, "port of https and wss", "PORT", True),
    Option(
        "--trust-proxy",
        "trust_proxy",
        values.network,
        "a reverse proxy in front, whose X-Forwarded-For, -Proto and -Host tell who the client is",
        "ADDRESS[/BITS]",
        True,
    ),
    Option(
        "--pages",
        "pages",
        values.pages,
        "a directory of your own pages, served at PATH, else at /webrtcexamples/",
        "[PATH=]DIR",
        True,
    ),
    Option("--cluster", "cluster", values.registry, "join the cluster whose registry is this NATS server", "nats://…"),
    Option("--roles", "roles", values.roles, "what this node does in its cluster", "manager,origin"),
    Option(
        "--node-id", "node_id", values.node_id, "name of this node in its cluster (else the machine's name)", "NAME"
    ),
    Option(
        "--advertise", "advertise", host_name, "address at which the other nodes reach this one (else --host)", "HOST"
    ),
    Option("--region", "region", values.region, "region of this node in its cluster (default local)", "NAME"),
    Option(
        "--cluster-ttl", "cluster_ttl", values.cluster_ttl, "seconds until a node that is silent is dead", "SECONDS"
    ),
    Option(
        "--pull-linger",
        "pull_linger",
        values.seconds,
        "seconds for which a stream of another node stays after its last subscriber here (default 10)",
        "SECONDS",
    ),
    Option("--exit-with-parent", "exit_with_parent", values.flag, "stop when the process that started it has ended"),
    Option("--detach", "detach", values.flag, "return when it is ready, and leave it running until `smproxy stop`"),
    Option(
        "--pid-file", "pid_file", Path, "a file with its process number (with --detach in the data directory)", "FILE"
    ),
    Option("--log-file", "log_file", Path, "where log lines go instead of stderr; with --detach all output", "FILE"),
    Option("--ready-file", "ready_file", Path, "a file in JSON that is there while it is ready", "FILE"),
    Option("--sdk-file", "sdk_file", Path, "the vendor's red5pro-sdk.min.js, for /publish to use it", "FILE"),
    Option(
        "--log-level", "log_level", values.choice("debug", "info", "warning", "error"), "least level logged", "LEVEL"
    ),
    Option("--log-format", "log_format", values.choice("text", "json"), "form of the log lines on stderr", "text|json"),
    Option(
        "--otel-endpoint",
        "otel_endpoint",
        values.http_url,
        "send OpenTelemetry traces to this OTLP receiver, for instance http://localhost:4318",
        "URL",
    ),
    Option(None, "auth_server_protocol", values.protocol, "protocol of the back end", key="server.protocol"),
    Option(None, "auth_server_host", host_name, "host of the back end", key="server.host"),
    Option(None, "auth_server_port", values.port, "port of the back end", key="server.port"),
    Option(None, "auth_server_validate", values.path, "path of the question", key="server.validateCredentialsEndPoint"),
    Option(None, "auth_server_invalidate", values.path, "path of the end", key="server.invalidateCredentialsEndPoint"),
    Option(None, "proxy_enabled", values.flag, "whether the WebSocket proxy serves", key="proxy.enabled"),
    Option(None, "webhooks_endpoint", values.endpoint, "where hooks go in Red5's own format", key="webhooks.endpoint"),
    Option(None, "default_app", values.app, "application of a URL without `app`", key="default.server.application"),
)
