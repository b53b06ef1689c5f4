"""What a session asks of its client's role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smproxy.origin.effects import Effect, MakeOffer, TakeAnswer, TakeOffer, Via
from smproxy.origin.ice import IceLite
from smproxy.signaling.node import Report, TrackStatistics
from smproxy.signaling.payloads import ConnectError


class Talk(Protocol):
    """A conversation, as far as it is the same for both roles."""

    switched: bool
    draining: bool

    def receive(self, frame: str | bytes, via: Via) -> list[Effect]:
        """Take a frame of the client."""

    def timed_out(self) -> list[Effect]:
        """No connection came about."""

    def channel_opened(self, label: str) -> list[Effect]:
        """The data channel is open."""

    def kicked(self) -> list[Effect]:
        """The client is to go."""

    def over(self) -> None:
        """Nothing more is started."""


class ClientPeer(Protocol):
    """A peer connection, as far as it is the same for both roles."""

    @property
    def ice(self) -> IceLite:
        """Its way through the network."""

    @property
    def datagrams(self) -> int:
        """How many datagrams the client sent, for the watchdog."""

    def probe(self) -> None:
        """Ask the silent client for a sign of life."""

    def send(self, text: str) -> bool:
        """Say something on the data channel; False when it cannot be said."""

    async def flush(self, seconds: float) -> None:
        """Wait until what was said on the data channel has arrived, at most so long."""

    async def close(self) -> None:
        """Say goodbye and close the sockets. Does not raise."""


class Part(Protocol):
    """A role: what a session does as publisher or as subscriber."""

    @property
    def talk(self) -> Talk:
        """The client's conversation."""

    @property
    def peer(self) -> ClientPeer | None:
        """The client's peer connection, once there is one."""

    @property
    def unfinished(self) -> ConnectError:
        """Why the attempt failed when the client leaves before its transport is up."""

    async def negotiate(self, effect: TakeOffer | MakeOffer | TakeAnswer) -> None:
        """Make or take an offer or an answer."""

    def do(self, effect: Effect) -> None:
        """Do what only this role does."""

    def connected(self) -> None:
        """The transport is up, and that was reported."""

    def sweep(self, now: float) -> None:
        """Do what is due, several times a second."""

    def statistics(self) -> list[TrackStatistics]:
        """Return the counters of all tracks."""

    def farewell(self) -> Sequence[Report]:
        """Return what is to be reported before the peer's end."""

    def release(self) -> None:
        """Leave the stream: no name is kept and no media flows."""
