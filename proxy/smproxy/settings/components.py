"""Make the settings of manager, origin and sinks from those of the command."""

from __future__ import annotations

import dataclasses
import ssl

from smproxy.hooks.sink import Sink
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.manager.settings import AdmissionRules, ManagerSettings
from smproxy.origin.settings import OriginSettings, WhepOffline
from smproxy.settings.auth import make_scheme
from smproxy.settings.option_values import takeover_after
from smproxy.settings.settings import Settings
from smproxy.signaling.clock import Clock
from smproxy.signaling.optional_hooks import OptionalHook
from smproxy.signaling.whip import IceServer


def make_sinks(settings: Settings, clock: Clock) -> list[Sink]:
    """Make the sinks of the hooks, which are not started yet.

    Raises:
        ValueError: a URL cannot be used.
    """
    return [
        parse_hook_uri(
            sink.uri, clock=clock, format=sink.format, secret=sink.secret, verify_tls=not settings.hook_insecure
        )
        for sink in settings.sinks
    ]


def make_manager_settings(
    settings: Settings, tls_context: ssl.SSLContext | None, clock: Clock, ice_servers: tuple[IceServer, ...]
) -> ManagerSettings:
    """Make the manager's settings.

    Raises:
        SettingsError: the authentication scheme cannot be used.
    """
    named = settings.customer_scope not in ("required", "optional")
    return ManagerSettings(
        host=settings.host,
        names=settings.tls_host,
        node_name=None if settings.cluster is None else settings.node_name,
        ports=settings.ports,
        tls_ports=settings.tls_ports,
        tls_context=tls_context,
        rules=AdmissionRules(
            disabled_by=_disabled_by(settings),
            default_app=settings.default_app,
            customer_scope_required=settings.customer_scope == "required",
            default_customer_scope=settings.customer_scope if named else None,
            pass_switch=settings.pass_switch,
        ),
        admin_token=settings.admin_token,
        allow_hosts=settings.allow_host,
        ice_servers=ice_servers,
        any_host=settings.any_host,
        reconnect_window=settings.reconnect_window,
        hook_events=frozenset(map(OptionalHook, settings.hook_events)),
        room_timeout=settings.room_timeout,
        stats_interval=settings.stats_interval,
        simulate=settings.simulate,
        sdk_file=settings.sdk_file,
        recordings=settings.recordings_dir,
        auth=make_scheme(settings, clock),
        auth_lazy=settings.auth_lazy,
        trusted_proxies=settings.trust_proxy,
        pages=settings.pages,
        capture=settings.capture,
    )


def _disabled_by(settings: Settings) -> str | None:
    if settings.cluster is not None and "manager" not in settings.roles:
        return f"--roles {','.join(settings.roles)}"
    return None if settings.proxy_enabled else f"proxy.enabled in {settings.config}"


def make_origin_settings(settings: Settings, ice_servers: tuple[IceServer, ...]) -> OriginSettings:
    """Make the settings of the origin in this process."""
    return OriginSettings(
        host="127.0.0.1" if settings.cluster is None else settings.host,
        address="127.0.0.1" if settings.cluster is None else settings.node_name,
        announce_wait=0.0 if settings.cluster is None else 5.0,
        media_gap=settings.media_gap,
        media_timeout=settings.media_timeout,
        media_port=settings.media_port,
        media_addresses=settings.media_address,
        ipv6_loopback=settings.host in ("::", "::1", "localhost"),
        media_tcp=settings.media_tcp,
        capture=settings.capture is not None,
        recordings=settings.recordings_dir,
        recordings_limit=settings.recordings_limit * 1_000_000,
        region=settings.region,
        pull_linger=settings.pull_linger,
        takeover=takeover_after(settings.takeover),
        whep_offline=WhepOffline(settings.whep_offline),
        ice_servers=ice_servers,
    )


def make_node_settings(settings: OriginSettings, address: str, region: str) -> OriginSettings:
    """Make the settings of a simulated node's origin, which has everything on its own address."""
    return dataclasses.replace(settings, host=address, address=address, region=region, media_hosts=(address,))
