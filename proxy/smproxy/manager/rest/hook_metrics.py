"""Metrics of hooks: the journal, and each sink's deliveries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from smproxy.hooks.journal.journal import Journal
from smproxy.hooks.status import LATENCY_BOUNDS, SinkStatus
from smproxy.manager.rest.metric_buckets import buckets

#: The labels of everything that is counted per sink.
_SINK = ("sink",)


def journal_metrics(journal: Journal) -> Iterator[Metric]:
    """Make the metrics of the journal."""
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


def sink_metrics(sinks: Iterable[SinkStatus]) -> Iterator[Metric]:
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
    latency = HistogramMetricFamily("smproxy_hooks_latency_seconds", "From the event to its delivery.", labels=_SINK)
    for sink in known:
        for outcome, count in sorted(sink.outcomes.items()):
            attempts.add_metric([sink.name, outcome], count)
        counts = sink.latency_counts or [0] * (len(LATENCY_BOUNDS) + 1)
        latency.add_metric([sink.name], buckets(LATENCY_BOUNDS, counts), sink.latency_sum)
    yield attempts
    yield latency
