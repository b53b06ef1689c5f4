"""``/metrics``: counters, gauges and histograms for Prometheus, read when somebody asks."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

import smproxy
from smproxy.manager.node_extension import NodeExtension
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import json_response
from smproxy.manager.rest.hook_metrics import journal_metrics, sink_metrics
from smproxy.manager.rest.media_metrics import MediaMetrics
from smproxy.manager.rest.query import Parameters
from smproxy.manager.services import Services


class Metrics:
    """All metrics, in a registry of its own."""

    def __init__(
        self,
        services: Services,
        sockets: ClientLimit,
        packaged: Callable[[], Collection[object]] = tuple,
        extension: NodeExtension | None = None,
    ) -> None:
        self._extension = extension
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(services, sockets, packaged, extension))

    async def targets(self, request: web.Request) -> web.StreamResponse:
        """List where there are metrics, for Prometheus: at every node of a cluster, else here."""
        Parameters(request.query, ())
        here = [{"targets": [request.host], "labels": {}}]
        return json_response(here if self._extension is None else self._extension.scrape_targets())

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Write every metric, in the format that the scraper asks for."""
        Parameters(request.query, ())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


class _Collector(Collector):
    """Reads the state of everything; nothing is counted here."""

    def __init__(
        self,
        services: Services,
        sockets: ClientLimit,
        packaged: Callable[[], Collection[object]],
        extension: NodeExtension | None,
    ) -> None:
        self._extension = extension
        self._services = services
        self._sockets = sockets
        self._packaged = packaged
        self._media = MediaMetrics(
            services.sessions, services.history, services.scope_labels, services.media_totals, services.session_totals
        )

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "smproxy_build",
            "What runs.",
            {"version": smproxy.__version__, "python": platform.python_version()},
        )
        yield from self._served()
        yield from self._media.collect()
        dispatcher = self._services.dispatcher
        if dispatcher.journal is not None:
            yield from journal_metrics(dispatcher.journal)
        yield from sink_metrics(dispatcher.status())
        if self._extension is not None:
            yield from self._extension.metrics()

    def _served(self) -> Iterator[Metric]:
        services = self._services
        relays = sum(attempt.relayed for attempt in services.sessions.attempts)
        yield GaugeMetricFamily("smproxy_sessions", "Sessions that live.", len(services.sessions))
        yield GaugeMetricFamily("smproxy_relays", "Connections through the WebSocket proxy.", relays)
        yield GaugeMetricFamily("smproxy_hls_streams", "Live streams that are packaged as HLS.", len(self._packaged()))
        pulls = GaugeMetricFamily("smproxy_pulled_streams", "Streams that a node has from others.", labels=["node"])
        for node in services.registry.nodes:
            if node.pulls_others:
                pulls.add_metric([node.id], node.load.pulls)
        yield pulls
        yield GaugeMetricFamily("smproxy_webhook_listeners", "Listeners on the webhook socket.", self._sockets.taken)
        yield CounterMetricFamily(
            "smproxy_webhook_listeners_dropped", "Listeners dropped for being slow.", services.broadcast.dropped
        )
        verdicts = CounterMetricFamily("smproxy_auth_verdicts", "Verdicts on clients by result.", labels=("result",))
        for result, count in services.verdicts.counts.items():
            verdicts.add_metric([result], count)
        yield verdicts
        total = sum(services.verdicts.counts.values())
        yield SummaryMetricFamily(
            "smproxy_auth_seconds", "How long verdicts took.", count_value=total, sum_value=services.verdicts.seconds
        )
