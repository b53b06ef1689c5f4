"""What is counted for metrics: bounded labels, and sums that outlive their sessions."""

from __future__ import annotations

import random

from smproxy.manager.media_totals import MediaTotals
from smproxy.manager.scope_labels import OTHER, ScopeLabels
from smproxy.manager.session import Session
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import TrackStatistics
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Reason, Role
from smproxy.signaling.session import SessionLife


def session(customer_scope: str = "acme") -> Session:
    """Make a session of a publisher that was accepted."""
    life = SessionLife(random.getrandbits(50) + 1, peer="s1", scope="live", remote_ip="127.0.0.1", clock=Clock())
    life.accept()
    return Session(life, ConnectionParams(id="s1", app="live", customer_scope=customer_scope))


def report(attempt: str, packets: int, track: str = "video_main", rtt_ms: float | None = None) -> TrackStatistics:
    return TrackStatistics(attempt, track, "VP8", packets, packets * 1000, packets // 10, rtt_ms=rtt_ms)


def test_clients_cannot_make_series_without_end() -> None:
    """The first pairs keep their labels for ever; whatever clients send after them has one label."""
    labels = ScopeLabels(limit=2)
    first = [labels.of("live", "acme"), labels.of("live", None)]
    assert first == [("live", "acme"), ("live", "")]
    assert {labels.of("live", f"c{number}") for number in range(1000)} == {OTHER}
    assert [labels.of("live", "acme"), labels.of("live", None)] == first


def test_counts_grow_with_each_report_and_stay_after_the_end() -> None:
    """Each report counts once, whatever else changes in the session; the last one, at its end, too, and nothing after it."""
    totals, one = MediaTotals(ScopeLabels()), session()
    for packets in (100, 150):
        one.statistics["video_main"] = report("a", packets)
        totals.session_changed(one)
        totals.session_changed(one)
    one.statistics["video_main"] = report("a", 170)
    one.life.end(Reason.USER_ACTION)
    totals.session_changed(one)
    totals.session_changed(one)  # its recording was saved
    (count,) = totals.counts.values()
    assert (count.packets, count.bytes, count.lost) == (170, 170_000, 17)
    assert not totals._last


def test_a_publisher_that_comes_back_counts_on() -> None:
    """The counters of another attempt of the same session begin at 0 and are added."""
    totals, one = MediaTotals(ScopeLabels()), session()
    for attempt, packets in (("a", 100), ("b", 40), ("b", 60)):
        one.statistics["video_main"] = report(attempt, packets)
        totals.session_changed(one)
    assert totals.counts["publisher", "live", "acme"].packets == 160


def test_round_trip_times_count_once_a_session_and_second() -> None:
    """Of the tracks of a session one brings the round-trip time."""
    totals, one = MediaTotals(ScopeLabels()), session()
    for track in ("audio_main", "video_main"):
        one.statistics[track] = report("a", 10, track, rtt_ms=20.0)
    totals.session_changed(one)
    times = totals.rtt[Role.PUBLISHER]
    assert (sum(times.counts), times.total, times.counts[times.bounds.index(0.025)]) == (1, 0.02, 1)
