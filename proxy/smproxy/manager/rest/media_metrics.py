"""Metrics of sessions and their media. No label names a session or a stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from smproxy.manager.history import History
from smproxy.manager.media_totals import MediaTotals
from smproxy.manager.rest.metric_buckets import buckets
from smproxy.manager.scope_labels import ScopeLabels
from smproxy.manager.session import Session
from smproxy.manager.session_totals import SessionTotals
from smproxy.manager.sessions import Sessions

_PAIR = ("app", "customer_scope")


@dataclass(frozen=True, slots=True)
class MediaMetrics:
    """Makes the metrics of sessions, media and recordings from what is counted of them."""

    sessions: Sessions
    history: History
    labels: ScopeLabels
    media: MediaTotals
    totals: SessionTotals

    def collect(self) -> Iterator[Metric]:
        """Make the metrics as they are now."""
        yield self._clients("publishers", "Streams that are live.", self.sessions.publishing())
        yield self._clients("subscribers", "Sessions that watch a stream.", self.sessions.subscribing())
        yield from self._media()
        yield self._bitrate()
        rtt = HistogramMetricFamily(
            "smproxy_media_rtt_seconds", "Round-trip times, one a session and second.", labels=("role",)
        )
        for role, times in self.media.rtt.items():
            rtt.add_metric([role.value], buckets(times.bounds, times.counts), times.total)
        yield rtt
        yield from self._outcomes()
        yield from self._recordings()

    def _pair(self, session: Session) -> tuple[str, str]:
        return self.labels.of(session.params.app, session.params.customer_scope)

    def _clients(self, name: str, text: str, sessions: list[Session]) -> Metric:
        counts = Counter((session.params.transport, *self._pair(session)) for session in sessions)
        gauge = GaugeMetricFamily(f"smproxy_{name}", text, labels=("transport", *_PAIR))
        for labels, count in counts.items():
            gauge.add_metric(labels, count)
        return gauge

    def _media(self) -> Iterator[Metric]:
        for name, text in (
            ("packets", "RTP packets that publishers sent and subscribers were sent."),
            ("bytes", "Bytes of them."),
            ("lost", "RTP packets that did not arrive, as RTCP has them."),
        ):
            counter = CounterMetricFamily(f"smproxy_media_{name}", text, labels=("role", *_PAIR))
            for labels, count in self.media.counts.items():
                counter.add_metric(labels, getattr(count, name))
            yield counter

    def _bitrate(self) -> Metric:
        rates: Counter[tuple[str, str, str]] = Counter()
        for session in self.history.living():
            if tracks := self.history.tracks(session):
                rates[session.role.value, *self._pair(session)] += sum(track.bitrate for track in tracks)
        gauge = GaugeMetricFamily(
            "smproxy_media_bits_per_second", "Bitrate of the media of live sessions.", labels=("role", *_PAIR)
        )
        for labels, rate in rates.items():
            gauge.add_metric(labels, rate)
        return gauge

    def _outcomes(self) -> Iterator[Metric]:
        ended = CounterMetricFamily("smproxy_sessions_ended", "Sessions that ended.", labels=("reason",))
        for reason, count in self.totals.ended.items():
            ended.add_metric([reason], count)
        yield ended
        failed = CounterMetricFamily("smproxy_connect_errors", "Clients that never connected.", labels=("error",))
        for error, count in self.totals.failed.items():
            failed.add_metric([error], count)
        yield failed
        connect = HistogramMetricFamily(
            "smproxy_connect_seconds", "From a client's request to its media connection.", labels=("transport",)
        )
        for transport, times in self.totals.connect.items():
            connect.add_metric([transport], buckets(times.bounds, times.counts), times.total)
        yield connect

    def _recordings(self) -> Iterator[Metric]:
        totals = self.totals
        yield GaugeMetricFamily("smproxy_recordings", "Recordings that are being written.", totals.recording)
        ended = CounterMetricFamily("smproxy_recordings_ended", "Recordings that ended.", labels=("result",))
        for result, count in totals.recordings.items():
            ended.add_metric([result], count)
        yield ended
        yield CounterMetricFamily("smproxy_recorded_bytes", "Bytes of saved recordings.", totals.recorded_bytes)
        yield CounterMetricFamily("smproxy_recorded_seconds", "Length of saved recordings.", totals.recorded_ms / 1000)
