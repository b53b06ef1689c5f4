"""One local candidate's socket, as the ICE agent of one client has it."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Container
from typing import Protocol, cast

from smproxy.origin.candidates import HostCandidate
from smproxy.origin.ice_paths import Address
from smproxy.origin.impaired_path import Datagrams, DelayLine, ImpairedReceiver, ImpairedTransport, Receiver

_log = logging.getLogger(__name__)


class CheckedAddresses(Protocol):
    """The addresses that a signed check came from."""

    @property
    def checked(self) -> Container[Address]:
        """Those of now."""


class SocketOwner(Protocol):
    """The ICE agent, as its sockets know it."""

    peer: Address | None
    datagrams: int

    @property
    def paths(self) -> CheckedAddresses:
        """Which addresses are the client's."""

    def on_media(self, datagram: bytes, /) -> object:
        """Take media of the client."""

    def handle(self, arrived_at: LocalSocket, data: bytes, addr: Address) -> None:
        """Take a datagram from an address of the client."""

    def check(self, arrived_at: LocalSocket, data: bytes, addr: Address) -> None:
        """Answer a connectivity check."""


class LocalSocket(asyncio.DatagramProtocol):
    """Takes the datagrams of one client at one address of ours, and sends from there."""

    def __init__(self, agent: SocketOwner) -> None:
        self._agent = agent
        #: Where to send to: the socket itself, or what has its datagrams go over a bad network.
        self.transport: Datagrams | None = None
        self.candidate: HostCandidate | None = None
        self.used = False

    @property
    def endpoint(self) -> Address:
        """Our address."""
        return ("0.0.0.0", 0) if self.candidate is None else (self.candidate.address, self.candidate.port)  # noqa: S104

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take a datagram."""
        # The hot path: one comparison decides whether it comes from where we send to.
        agent = self._agent
        if addr == agent.peer and data and 127 < data[0] < 192:
            agent.datagrams += 1
            agent.on_media(data)
        elif addr in agent.paths.checked:
            agent.handle(self, data, addr)
        else:
            agent.check(self, data, addr)

    def error_received(self, exc: Exception) -> None:
        """Ignore a closed port at the other end.

        Whether the peer lives is decided by what still comes.
        """
        _log.debug("UDP error: %s", exc)

    def checked(self, addr: Address) -> None:
        """Note an address that is the client's."""

    @abstractmethod
    def impair(self, up: DelayLine | None, down: DelayLine | None) -> None:
        """Have all that comes go over ``up``, and all that goes over ``down``; ``None``: straight."""

    @abstractmethod
    def close(self) -> None:
        """Take and send nothing any more."""

    def _receiver(self, up: DelayLine | None) -> Receiver:
        return self if up is None else ImpairedReceiver(self, up)

    @staticmethod
    def _sender(real: Datagrams, down: DelayLine | None) -> Datagrams:
        return real if down is None else ImpairedTransport(real, down)


class OwnSocket(LocalSocket):
    """A socket with a port of its own, for one client."""

    def __init__(self, agent: SocketOwner) -> None:
        super().__init__(agent)
        self._real: Datagrams | None = None

    def send_by(self, real: Datagrams) -> None:
        """Send by this, which is the socket."""
        self.transport = self._real = real

    def impair(self, up: DelayLine | None, down: DelayLine | None) -> None:
        """Have all that comes go over ``up``, and all that goes over ``down``."""
        if (real := self._real) is not None:
            real.set_protocol(cast(asyncio.BaseProtocol, self._receiver(up)))
            self.transport = self._sender(real, down)

    def close(self) -> None:
        """Close the socket."""
        if self.transport is not None:
            self.transport.close()
