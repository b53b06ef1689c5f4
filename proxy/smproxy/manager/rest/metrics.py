"""``/metrics``: counters and gauges for Prometheus, read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.status import SinkStatus
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.query import Parameters
from smproxy.manager.sessions import Sessions
from smproxy.manager.verdict_log import VerdictLog

#: The labels of everything that is counted per sink.
_SINK = ("sink",)


class MetricsRoutes:
    """The route, and a registry of its own."""

    def __init__(
        self,
        dispatcher: HookDispatcher,
        sessions: Sessions,
        broadcast: HookBroadcast,
        sockets: ClientLimit,
        verdicts: VerdictLog,
        packaged: Callable[[], Collection[object]] = tuple,
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(dispatcher, sessions, broadcast, sockets, verdicts, packaged))

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/metrics", self.metrics)]

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Write every metric, in the format that the scraper asks for."""
        Parameters(request.query, ())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


class _Collector(Collector):
    """Reads the state of everything; nothing is counted here."""

    def __init__(
        self,
        dispatcher: HookDispatcher,
        sessions: Sessions,
        broadcast: HookBroadcast,
        sockets: ClientLimit,
        verdicts: VerdictLog,
        packaged: Callable[[], Collection[object]],
    ) -> None:
        self._packaged = packaged
        self._verdicts = verdicts
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._broadcast = broadcast
        self._sockets = sockets

    def collect(self) -> Iterator[Metric]:
        yield from self._served()
        yield from self._journal()
        yield from _of_sinks(self._dispatcher.status())

    def _served(self) -> Iterator[Metric]:
        relays = sum(attempt.relayed for attempt in self._sessions.attempts)
        yield GaugeMetricFamily("smproxy_sessions", "Sessions that live.", len(self._sessions))
        yield GaugeMetricFamily("smproxy_relays", "Connections through the WebSocket proxy.", relays)
        yield GaugeMetricFamily("smproxy_hls_streams", "Live streams that are packaged as HLS.", len(self._packaged()))
        yield GaugeMetricFamily("smproxy_webhook_listeners", "Listeners on the webhook socket.", self._sockets.taken)
        yield CounterMetricFamily(
            "smproxy_webhook_listeners_dropped", "Listeners dropped for being slow.", self._broadcast.dropped
        )
        verdicts = CounterMetricFamily("smproxy_auth_verdicts", "Verdicts on clients by result.", labels=("result",))
        for result, count in self._verdicts.counts.items():
            verdicts.add_metric([result], count)
        yield verdicts
        total = sum(self._verdicts.counts.values())
        yield SummaryMetricFamily(
            "smproxy_auth_seconds", "How long verdicts took.", count_value=total, sum_value=self._verdicts.seconds
        )

    def _journal(self) -> Iterator[Metric]:
        journal = self._dispatcher.journal
        if journal is None:
            return
        status = journal.status()
        for name, text, value in (
            ("journalled", "Events given to the journal.", status.journalled),
            ("committed", "Events written to the journal.", status.committed),
            ("journal_failures", "Writes to the journal that failed.", status.failures),
            ("journal_lost", "Events that the journal was not able to keep.", status.lost),
            ("journal_forced", "Events deleted for room although a sink still needed them.", status.forced),
        ):
            yield CounterMetricFamily(f"smproxy_hooks_{name}", text, value)
        for name, text, value in (
            ("journal_healthy", "1 while what is published survives a crash.", status.healthy),
            ("journal_waiting", "Events that are not written yet.", status.waiting),
            ("journal_events", "Events that the journal holds.", status.events),
            ("journal_bytes", "Size of the journal on disk.", status.bytes),
        ):
            yield GaugeMetricFamily(f"smproxy_hooks_{name}", text, value)


def _of_sinks(sinks: Iterable[SinkStatus]) -> Iterator[Metric]:
    """Make the metrics that each sink has."""
    known = list(sinks)
    counters: tuple[tuple[str, str, Callable[[SinkStatus], float]], ...] = (
        ("delivered", "Events that the sink took.", lambda sink: sink.delivered),
        ("dropped", "Events that were refused for want of room.", lambda sink: sink.dropped),
        ("skipped", "Events that have no place in the sink's format.", lambda sink: sink.skipped),
        ("dead_letters", "Events that were given up.", lambda sink: sink.dead),
    )
    gauges: tuple[tuple[str, str, Callable[[SinkStatus], float]], ...] = (
        ("backlog", "Events that the sink has yet to get.", lambda sink: sink.backlog),
        ("retrying", "Sessions whose next attempt is waited for.", lambda sink: sink.retrying),
        ("oldest_seconds", "Age of the oldest event that is waiting in memory.", lambda sink: sink.oldest or 0),
        ("sink_disabled", "1 when the sink said that it wants no more (410).", lambda sink: sink.disabled),
    )
    for name, text, read in counters:
        counter = CounterMetricFamily(f"smproxy_hooks_{name}", text, labels=_SINK)
        for sink in known:
            counter.add_metric([sink.name], read(sink))
        yield counter
    for name, text, read in gauges:
        gauge = GaugeMetricFamily(f"smproxy_hooks_{name}", text, labels=_SINK)
        for sink in known:
            gauge.add_metric([sink.name], read(sink))
        yield gauge
    attempts = CounterMetricFamily("smproxy_hooks_attempts", "Attempts by outcome.", labels=(*_SINK, "outcome"))
    latency = SummaryMetricFamily("smproxy_hooks_latency_seconds", "From the event to its delivery.", labels=_SINK)
    for sink in known:
        for outcome, count in sorted(sink.outcomes.items()):
            attempts.add_metric([sink.name, outcome], count)
        latency.add_metric([sink.name], sink.latency_count, sink.latency_sum)
    yield attempts
    yield latency
