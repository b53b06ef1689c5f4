"""What a session needs of its origin."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from proxy.origin.adapter import Identity
from proxy.origin.impairments import Impairments
from proxy.origin.keep import Keeper
from proxy.origin.settings import OriginSettings
from proxy.origin.streams import Streams
from proxy.origin.tasks import Tasks
from proxy.signaling.clock import Clock
from proxy.signaling.node import ReportTo

if TYPE_CHECKING:
    from proxy.origin.session import Session


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
    passthrough: bool
    draining: bool
    impairments: Impairments

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that media is taken on."""

    def changed(self, session: Session) -> None:
        """Note that a session took an offer, or ended, or is gone."""
