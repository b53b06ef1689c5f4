"""What a client's role is to its session, and what it may use of its session and its origin."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smproxy.log_fields import About
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.captures import Captures
from smproxy.origin.client_transport import ClientTransport
from smproxy.origin.effects import Effect, Negotiation
from smproxy.origin.injected_faults import InjectedFaults
from smproxy.origin.kept_pictures import KeptPictures
from smproxy.origin.media_sockets import MediaSockets
from smproxy.origin.outputs import Outputs
from smproxy.origin.pull.pulls import Pulls
from smproxy.origin.role_signaling import RoleSignaling
from smproxy.origin.settings import OriginSettings
from smproxy.origin.shared_names import SharedNames
from smproxy.origin.shared_objects import SharedObjects
from smproxy.origin.streams import Streams
from smproxy.origin.transport import TransportEvents
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import Report, ReportTo, TrackStatistics
from smproxy.signaling.payloads import ConnectError, Reason, Role
from smproxy.tasks import Tasks


@dataclass(slots=True, eq=False)
class OriginServices:
    """What all sessions of an origin share."""

    settings: OriginSettings
    clock: Clock
    rng: random.Random
    report: ReportTo
    identity: Identity
    streams: Streams
    kept: KeptPictures
    outputs: Outputs
    faults: InjectedFaults
    captures: Captures
    shared_objects: SharedObjects
    tasks: Tasks
    #: Where media comes in.
    sockets: MediaSockets
    #: New streams and subscribers are refused.
    draining: bool = False
    #: The names of the cluster, if there is one.
    names: SharedNames | None = None
    #: The streams of other nodes that are watched here, if there are other nodes.
    pulls: Pulls | None = None


class RoleSession(TransportEvents, Protocol):
    """What a role may use of its session."""

    attempt: str
    scope: str
    recording: bool
    ended: bool

    @property
    def about(self) -> About:
        """The session, for the log."""

    def report(self, report: Report) -> None:
        """Send a report to the manager."""

    async def perform(self, effects: list[Effect]) -> None:
        """Perform what follows from the client's own message."""

    def perform_now(self, effects: list[Effect]) -> None:
        """Perform what follows from any other event."""

    def count_as(self, role: Role) -> None:
        """Count as load of this role from now on."""

    def negotiating(self) -> None:
        """Give the client its time to connect, from now on."""

    def leave(self) -> None:
        """End because the client asked for it."""

    def kick(self, reason: Reason) -> None:
        """End the stream so that its client notices."""

    def fail(self) -> None:
        """End because of an error of ours, which was logged."""


class ClientRole(Protocol):
    """What a session does as publisher or as subscriber."""

    @property
    def signaling(self) -> RoleSignaling:
        """The signaling with the client."""

    @property
    def transport(self) -> ClientTransport | None:
        """The client's peer connection, once there is one."""

    @property
    def error_if_client_leaves(self) -> ConnectError:
        """Why the attempt failed when the client leaves before its transport is up."""

    async def negotiate(self, effect: Negotiation) -> None:
        """Make or take an offer or an answer."""

    def perform(self, effect: Effect) -> None:
        """Perform an effect that only this role knows."""

    def connected(self) -> None:
        """Act on the transport being up, which was reported."""

    def sweep(self, now: float) -> None:
        """Do what is due, several times a second."""

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all tracks."""

    def final_reports(self) -> Sequence[Report]:
        """Return what is to be reported before the end of the peer."""

    async def freed(self) -> None:
        """Return once the name of the stream that this client published is free on every node."""

    def release(self) -> None:
        """Leave the stream: keep no name and let no media flow."""

    def let_go(self) -> None:
        """Drop the session, which is gone."""
