"""One session as the manager keeps it: its life, and what carries it now."""

from __future__ import annotations

import msgspec

from smproxy.hooks.event import Context
from smproxy.log_fields import About, about
from smproxy.manager.attempt import Attempt
from smproxy.manager.tracing import ClientTrace
from smproxy.signaling.node_channel import TrackStatistics
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Connection, Role, SessionMedia
from smproxy.signaling.session import Phase, SessionLife


class Session:
    """One session: its life, the attempt that carries it now, and what is known of its media."""

    __slots__ = (
        "_connection", "attempt", "epoch", "hooks", "joined", "life", "number", "params", "shown", "started_ms", "statistics",
        "trace", "watched",
    )  # fmt: skip

    def __init__(self, life: SessionLife, params: ConnectionParams) -> None:
        self.life = life
        #: The session number that hooks carry.
        self.number = life.number
        self.params = params
        self._connection = params.connection
        self.started_ms: int | None = None
        self.attempt: Attempt | None = None
        self.statistics: dict[str, TrackStatistics] = {}
        self.hooks = 0
        self.joined = False
        #: The stream that a subscriber watches, as its origin said.
        self.watched: str | None = None
        #: The stream that it is shown, which may be another after a switch.
        self.shown: str | None = None
        #: Of the claim on the stream's name, in a cluster.
        self.epoch: int | None = None
        #: Its trace, if there is one.
        self.trace: ClientTrace | None = None

    @property
    def role(self) -> Role:
        """What the client does: as its URL suggests, until its messages show it."""
        return self.attempt.role if self.attempt is not None else self.params.role

    @property
    def connection(self) -> Connection:
        """The connection as hooks have it."""
        known, role = self._connection, self.role
        if known.role is not role:
            self._connection = known = msgspec.structs.replace(known, role=role)
        return known

    @property
    def about(self) -> About:
        """The session, for the log."""
        stream = self.watched if self.role is Role.SUBSCRIBER else self.life.peer
        return about(self.number, self.params.id, self.params.customer_scope, stream)

    @property
    def context(self) -> Context:
        """The facts of the session that only other formats have."""
        subscriber = self.role is Role.SUBSCRIBER
        name = self.watched if subscriber else self.life.peer
        return Context(
            user_agent=self.attempt.client.user_agent if self.attempt is not None else None,
            stream=f"{self.life.scope}/{name}" if name is not None else None,
            watcher=self.life.peer if subscriber else None,
            joined=self.joined,
            epoch=self.epoch,
            remote_ip=self.life.remote_ip,
            traceparent=None if self.trace is None else self.trace.traceparent,
        )

    def media(self, duration_ms: int) -> SessionMedia:
        """Return what came of its media in its time, as its origin reported it."""
        reports = self.statistics.values()
        total = sum(report.bytes for report in reports)
        return SessionMedia(
            packets=sum(report.packets for report in reports),
            bytes=total,
            lost=sum(report.lost for report in reports),
            bitrate=round(total * 8000 / duration_ms) if duration_ms > 0 else 0,
        )

    @property
    def rtt_ms(self) -> float | None:
        """The round-trip time between client and origin, in milliseconds, if it is known."""
        known = [report.rtt_ms for report in self.statistics.values() if report.rtt_ms is not None]
        return max(known, default=None)

    @property
    def over(self) -> bool:
        """Whether the last hook of the session was published."""
        return self.life.phase is Phase.ENDED

    @property
    def watching(self) -> bool:
        """Whether this session may watch a stream."""
        return self.watched is not None and self.life.phase in {Phase.LIVE, Phase.STALLED}

    @property
    def publishing(self) -> bool:
        """Whether there is a stream of this session to watch."""
        return self.role is Role.PUBLISHER and self.life.phase in {Phase.LIVE, Phase.STALLED}
