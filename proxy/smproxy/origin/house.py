"""What a session needs of its origin."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from smproxy.origin.aiortc_adapter import Identity
from smproxy.origin.impairments import Impairments
from smproxy.origin.outputs import Keeper
from smproxy.origin.settings import OriginSettings
from smproxy.origin.streams import Streams
from smproxy.origin.tasks import Tasks
from smproxy.signaling.clock import Clock
from smproxy.signaling.node import ReportTo

if TYPE_CHECKING:
    from smproxy.origin.client_session import Session


class House(Protocol):
    """What a session needs of its origin."""

    settings: OriginSettings
    clock: Clock
    rng: random.Random
    report: ReportTo
    streams: Streams
    keeper: Keeper
    tasks: Tasks
    identity: Identity
    draining: bool
    impairments: Impairments

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that media is taken on."""

    def changed(self, session: Session) -> None:
        """Note that a session took an offer, or ended, or is gone."""
