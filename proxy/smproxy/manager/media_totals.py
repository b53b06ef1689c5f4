"""Media of all sessions since the start: packets, bytes, losses, round-trip times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smproxy.manager.histogram import Histogram
from smproxy.manager.scope_labels import ScopeLabels
from smproxy.manager.session import Session
from smproxy.signaling.node_channel import TrackStatistics
from smproxy.signaling.payloads import Role

#: Upper bounds of round-trip times, in seconds.
RTT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)

#: Role, app and customer scope.
MediaLabels = tuple[str, str, str]


@dataclass(slots=True)
class MediaCount:
    """What the sessions with the same labels have sent or were sent."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0


class MediaTotals:
    """Adds up what origins report of tracks, also of sessions that have ended."""

    def __init__(self, labels: ScopeLabels) -> None:
        #: Each second's round-trip time of each session, in seconds, by role.
        self.rtt: Mapping[Role, Histogram] = {role: Histogram(RTT_BOUNDS) for role in Role}
        self._labels = labels
        self._counts: dict[MediaLabels, MediaCount] = {}
        #: The last report on each track of the sessions that live.
        self._last: dict[int, dict[str, TrackStatistics]] = {}

    @property
    def counts(self) -> Mapping[MediaLabels, MediaCount]:
        """The counts by role, app and customer scope."""
        return self._counts

    def session_changed(self, session: Session) -> None:
        """Take in new reports.

        One comes each second for each track, and is the same object until the next.
        """
        last = self._last.get(session.number)
        if last is None:
            if session.over or not session.statistics:
                return
            last = self._last[session.number] = {}
        for track, report in session.statistics.items():
            if last.get(track) is not report:
                self._add(session, last.get(track), report)
                last[track] = report
        if session.over:
            del self._last[session.number]

    def _add(self, session: Session, before: TrackStatistics | None, report: TrackStatistics) -> None:
        role = session.role
        count = self._counts.setdefault(
            (role.value, *self._labels.of(session.params.app, session.params.customer_scope)), MediaCount()
        )
        if before is None or before.attempt != report.attempt:  # a publisher that came back counts from 0
            before = TrackStatistics(report.attempt, report.track, "", 0, 0, 0)
        count.packets += max(0, report.packets - before.packets)
        count.bytes += max(0, report.bytes - before.bytes)
        count.lost += max(0, report.lost - before.lost)
        if report.rtt_ms is not None and report.track == next(iter(session.statistics)):
            self.rtt[role].add(report.rtt_ms / 1000)
