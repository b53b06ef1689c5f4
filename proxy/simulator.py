"""The whole simulator as one object that starts and stops everything."""

from __future__ import annotations

import datetime
import logging
import random
import ssl
from contextlib import AsyncExitStack
from types import TracebackType

from proxy.certificates import CertificateFiles, self_signed, server_context
from proxy.hooks.event import EventFactory
from proxy.hooks.hub import Hub
from proxy.hooks.interceptor import Interceptor
from proxy.hooks.journal import FILE_NAME, Journal, JournalError, Retention
from proxy.hooks.journal.recovery import end_unfinished
from proxy.hooks.retry import PROFILES
from proxy.hooks.sinks.uris import parse_hook_uri
from proxy.manager.admission import AdmissionRules
from proxy.manager.manager import Manager, ManagerSettings
from proxy.manager.registry import Node
from proxy.options import Address
from proxy.settings import Settings, SettingsError
from proxy.signaling.clock import Clock
from proxy.signaling.node import Hello, Report

logger = logging.getLogger(__name__)

#: Seconds for which hooks are still delivered when the simulator stops.
FLUSH = 2.0


class Simulator:
    """A stream manager with its proxy, its origin and its hooks, in this process.

    Use it as an async context manager, or call ``start`` and ``stop``. ``start`` raises ``SettingsError`` for what the user
    can mend: a port in use, an unreadable certificate.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, rng: random.Random | None = None) -> None:
        self.settings = settings
        self._clock = clock or Clock()
        self._rng = rng or random.SystemRandom()
        self._running = AsyncExitStack()
        self._manager: Manager | None = None
        self._hub: Hub | None = None
        self._certificates: CertificateFiles | None = None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def manager(self) -> Manager:
        """The running manager."""
        assert self._manager is not None, "the simulator has not been started"
        return self._manager

    @property
    def hub(self) -> Hub:
        """The running hook delivery."""
        assert self._hub is not None, "the simulator has not been started"
        return self._hub

    @property
    def port(self) -> int:
        """The port of REST, pages and WebSocket."""
        return self.manager.port

    @property
    def tls_port(self) -> int | None:
        """The port of https and wss, if any."""
        return self.manager.tls_port

    @property
    def authority(self) -> CertificateFiles | None:
        """The local authority, with ``tls_self_signed``."""
        return self._certificates

    @property
    def url(self) -> str:
        """The URL of the WebSocket proxy."""
        return f"ws://{url_host(self.settings.host)}:{self.port}/streammanager"

    @property
    def rest_url(self) -> str:
        """The base URL of REST and pages."""
        return f"http://{url_host(self.settings.host)}:{self.port}"

    async def start(self) -> None:
        """Start everything, from the sinks up to the ports, which open last."""
        async with AsyncExitStack() as stack:
            interceptor = Interceptor()
            events = EventFactory(node=self.settings.node, clock=self._clock, rng=self._rng)
            self._hub = hub = await self._start_hub(stack, interceptor, events)
            self._manager = manager = self._make_manager(hub, interceptor, events)
            stack.push_async_callback(manager.stop)
            for address in self.settings.origin:
                manager.registry.attach(_external(address))
            if self.settings.local_origin:
                await self._start_origin(stack, manager)
            stack.push_async_callback(manager.refuse_new)
            try:
                await manager.start()
            except OSError as error:
                raise SettingsError(_cannot_listen(self.settings, error)) from None
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Refuse what is new, end what lives with its hooks, deliver them for at most ``FLUSH`` seconds."""
        await self._running.aclose()

    async def _start_hub(self, stack: AsyncExitStack, interceptor: Interceptor, events: EventFactory) -> Hub:
        """Start the journal and what reads from it; what a process before this one left unfinished is ended first."""
        settings = self.settings
        path = None if settings.in_memory else settings.data_dir / FILE_NAME
        try:
            sinks = [
                parse_hook_uri(
                    sink.uri,
                    clock=self._clock,
                    format=sink.format,
                    secret=sink.secret,
                    verify_tls=not settings.hook_insecure,
                )
                for sink in settings.sinks
            ]
            retention = Retention(events=settings.hook_keep, days=settings.hook_keep_days)
            journal = await Journal.start(path, clock=self._clock, retention=retention)
            stack.push_async_callback(journal.stop)
            hub = await Hub.start(
                sinks,
                clock=self._clock,
                rng=self._rng,
                profile=PROFILES[settings.hook_retries],
                taps=[interceptor],
                journal=journal,
            )
            stack.push_async_callback(hub.stop, FLUSH)
            await end_unfinished(journal, events, hub.publish)
        except (JournalError, ValueError) as error:
            raise SettingsError(str(error)) from None
        return hub

    def _make_manager(self, hub: Hub, interceptor: Interceptor, events: EventFactory) -> Manager:
        settings = self.settings
        disabled_by = None if settings.proxy_enabled else f"proxy.enabled in {settings.config}"
        manager_settings = ManagerSettings(
            host=settings.host,
            port=settings.port,
            tls_port=settings.tls_port,
            tls_context=self._tls_context(),
            rules=AdmissionRules(
                disabled_by=disabled_by,
                default_app=settings.default_app,
                scope_required=settings.customer_scope == "required",
                pass_switch=settings.pass_switch,
            ),
            admin_token=settings.admin_token,
            allow_hosts=settings.allow_host,
            any_host=settings.any_host,
            reconnect_window=settings.reconnect_window,
        )
        return Manager(
            manager_settings, hub=hub, interceptor=interceptor, events=events, clock=self._clock, rng=self._rng
        )

    async def _start_origin(self, stack: AsyncExitStack, manager: Manager) -> None:
        # Imported here because aiortc takes a third of a second, which --no-local-origin and --help need not pay.
        from proxy.origin.origin import Origin, OriginSettings

        node: Node | None = None

        def report(report: Report) -> None:
            if node is not None:
                manager.sessions.report(node, report)

        settings = OriginSettings(
            address="127.0.0.1", media_gap=self.settings.media_gap, media_timeout=self.settings.media_timeout
        )
        origin = await Origin.start(settings, report, clock=self._clock, rng=self._rng)
        stack.push_async_callback(origin.stop)
        node = manager.registry.attach(origin.hello, origin.command)

    def _tls_context(self) -> ssl.SSLContext | None:
        settings = self.settings
        if not settings.tls:
            return None
        certificate, key = settings.tls_cert, settings.tls_key
        try:
            if settings.tls_self_signed:
                now = datetime.datetime.fromtimestamp(self._clock.wall(), datetime.UTC)
                self._certificates = self_signed(settings.data_dir / "tls", settings.host, now)
                certificate, key = self._certificates.certificate, self._certificates.key
            assert certificate is not None
            assert key is not None
            return server_context(certificate, key)
        except ValueError as error:
            raise SettingsError(f"TLS: {error}") from None
        except OSError as error:
            raise SettingsError(f"TLS: {error.filename}: {error.strerror}: give a writable --data-dir") from None


def url_host(host: str) -> str:
    """Return a host as a URL on this machine has it: a wildcard becomes loopback, IPv6 gets brackets."""
    if host in {"0.0.0.0", "127.0.0.1", "localhost"}:  # noqa: S104 - compared, not bound
        return "localhost"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _external(address: Address) -> Hello:
    return Hello(address=str(address), host=address.host, port=address.port)


def _cannot_listen(settings: Settings, error: OSError) -> str:
    ports = f"port {settings.port}" + (f" or {settings.tls_port}" if settings.tls else "")
    reason = (error.strerror or str(error)).lower()
    return f"cannot listen on {settings.host}, {ports}: {reason}: choose another with --port or --host (0 takes a free port)"
