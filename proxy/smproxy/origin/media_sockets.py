"""Where clients' media comes in: a port for each client, or one port for all of them."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from smproxy.origin import stun
from smproxy.origin.candidates import LOOPBACK, LOOPBACK_6, HostAddresses, HostCandidate
from smproxy.origin.ice import IceLite
from smproxy.origin.ice_paths import Address
from smproxy.origin.impaired_path import Datagrams, DelayLine, Receiver
from smproxy.origin.local_socket import LocalSocket, OwnSocket
from smproxy.origin.settings import OriginSettings
from smproxy.origin.udp_sender import UdpSender

_log = logging.getLogger(__name__)

#: Bytes that a socket asks the system to keep until they are read.
_BUFFER = 1 << 20
_SHARED_BUFFER = 4 << 20
#: Sockets of the shared port on each address, over which Linux spreads the clients. It keeps 208 KiB for a socket unless
#: ``net.core.rmem_max`` is more, and what does not fit is lost: pictures of 60 publishers fill that in some 10 ms.
_SHARED_SOCKETS = 8 if sys.platform == "linux" else 1


class MediaSockets(Protocol):
    """Gives ICE agents their sockets."""

    @property
    def port(self) -> int | None:
        """The port of all of them, if it is one."""

    async def open(self, ice: IceLite) -> None:
        """Have an agent listen.

        Raises:
            OSError: no address could be bound.
        """

    def close(self) -> None:
        """Close what agents share."""


class OwnPorts:
    """A port of its own for each client, on each address.

    ``announced`` are the addresses that candidates have instead of those that are listened on.
    """

    port: None = None

    def __init__(self, addresses: Callable[[], tuple[str, ...]], announced: tuple[str, ...] = ()) -> None:
        self._addresses = addresses
        self._announced = announced

    async def open(self, ice: IceLite) -> None:
        """Bind one socket for each address; those that cannot be bound are left out.

        Raises:
            OSError: none could be bound.
        """
        sockets: list[OwnSocket] = []
        failure = OSError("no address to listen on")
        for address in self._addresses():
            try:
                local = OwnSocket(ice)
                sender, port = await _bind(local, address, 0, _BUFFER)
            except OSError as error:
                failure = error
                continue
            local.send_by(sender)
            local.candidate = HostCandidate(address, port, len(sockets))
            sockets.append(local)
        if not sockets:
            raise failure
        ice.listen(sockets, announce([each.candidate for each in sockets if each.candidate], self._announced))

    def close(self) -> None:
        """Do nothing: agents share nothing."""


class SharedPort:
    """One UDP port for all clients. Made by :meth:`start`, ended by :meth:`close`.

    A client is known by the user name fragment in its checks (RFC 8445, 7.3), then by its address.
    """

    def __init__(self, port: int, addresses: Callable[[], tuple[str, ...]], announced: tuple[str, ...] = ()) -> None:
        self.port = port
        self._addresses = addresses
        self._announced = announced
        self._open: dict[str, _PortSocket] = {}
        self._agents: dict[str, dict[_PortSocket, SharedSocket]] = {}
        self._closed = False

    @classmethod
    async def start(
        cls, port: int, addresses: Callable[[], tuple[str, ...]], announced: tuple[str, ...] = ()
    ) -> SharedPort:
        """Bind the port on each address, or on those on which it can be bound.

        Port 0: any that is free.

        Raises:
            OSError: none could be bound.
        """
        shared = cls(port, addresses, announced)
        await shared._bind_all()
        return shared

    async def _bind_all(self) -> None:
        failure = OSError("no address to listen on")
        for address in self._addresses():
            if address in self._open:
                continue
            bound = _PortSocket(self._agents)
            try:
                self.port = _free_port(address, self.port)
                for _ in range(_SHARED_SOCKETS):
                    sender, _ = await _bind(bound, address, self.port, _SHARED_BUFFER, shared=True)
                    bound.add(sender)
            except OSError as error:
                bound.close()
                failure = error
                _log.debug("no media on %s port %d: %s", address, self.port, error)
                continue
            if self._closed:
                bound.close()
                raise OSError("closed while it was opened")
            self._open[address] = bound
        if not self._open:
            raise failure

    async def open(self, ice: IceLite) -> None:
        """Have an agent listen on the port, also on addresses that the machine has got since.

        Raises:
            OSError: the port is closed.
        """
        await self._bind_all()
        sockets: dict[_PortSocket, SharedSocket] = {}
        for address in self._addresses():
            if (bound := self._open.get(address)) is not None:
                sockets[bound] = SharedSocket(ice, bound, HostCandidate(address, self.port, len(sockets)))
        ufrags: list[str] = []

        def add(ufrag: str) -> None:
            ufrags.append(ufrag)
            self._agents[ufrag] = sockets

        def remove() -> None:
            for ufrag in ufrags:
                self._agents.pop(ufrag, None)

        ice.on_ufrag, ice.on_closed = add, remove
        add(ice.local.ufrag)
        ice.listen(list(sockets.values()), announce([each.candidate for each in sockets.values()], self._announced))

    def close(self) -> None:
        """Close the port."""
        self._closed = True
        for bound in self._open.values():
            bound.close()
        self._open.clear()


class _PortSocket(asyncio.DatagramProtocol):
    """The shared port on one address: gives each datagram to its client's agent.

    It may have several sockets, of which the first one sends.
    """

    transport: Datagrams

    def __init__(self, agents: dict[str, dict[_PortSocket, SharedSocket]]) -> None:
        self._agents = agents
        self._senders: list[Datagrams] = []
        #: Each client's, by the addresses that its signed checks came from.
        self.routes: dict[Address, SharedSocket] = {}

    def add(self, sender: Datagrams) -> None:
        self._senders.append(sender)
        self.transport = self._senders[0]

    def close(self) -> None:
        for each in self._senders:
            each.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        # A check names its agent: an address may have got another client since its last one.
        if data and not data[0] and (ufrag := stun.read_ufrag(data)) is not None:
            local = self._agents.get(ufrag, {}).get(self)
        else:
            local = self.routes.get(addr)
        if local is not None:
            local.receiver.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        _log.debug("UDP error: %s", exc)


class SharedSocket(LocalSocket):
    """One client's part of a shared port, on one address."""

    transport: Datagrams
    candidate: HostCandidate

    def __init__(self, agent: IceLite, bound: _PortSocket, candidate: HostCandidate) -> None:
        super().__init__(agent)
        self._bound = bound
        self._routes: list[Address] = []
        self.transport = bound.transport
        self.candidate = candidate
        #: Where datagrams come to: straight to this, or over a bad network.
        self.receiver: Receiver = self

    def checked(self, addr: Address) -> None:
        """Take what comes from this address from now on."""
        if self._bound.routes.get(addr) is not self:
            self._bound.routes[addr] = self
            self._routes.append(addr)
            if len(self._routes) > 2 * MAX_ROUTES:
                self._forget(MAX_ROUTES)

    def _forget(self, count: int) -> None:
        oldest, self._routes = self._routes[:count], self._routes[count:]
        for addr in oldest:
            if self._bound.routes.get(addr) is self:
                del self._bound.routes[addr]

    def impair(self, up: DelayLine | None, down: DelayLine | None) -> None:
        """Have all that comes go over ``up``, and all that goes over ``down``."""
        self.receiver = self._receiver(up)
        self.transport = self._sender(self._bound.transport, down)

    def close(self) -> None:
        """Take and send nothing any more; the port goes on for the others."""
        self._forget(len(self._routes))
        self.receiver = _NOBODY


#: Addresses of one client that are remembered: as many as its agent listens to.
MAX_ROUTES = 64


class _Nobody:
    """Drops all datagrams."""

    def datagram_received(self, data: bytes, addr: object) -> None:
        pass

    def error_received(self, exc: Exception) -> None:
        pass


_NOBODY = _Nobody()


def _free_port(address: str, port: int) -> int:
    """Return the port, or for 0 any that is free; sockets of this process may share it.

    Raises:
        OSError: another process has it, even one that would share it.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, port))
        found = probe.getsockname()[1]
        assert isinstance(found, int)
        return found


async def _bind(
    protocol: asyncio.DatagramProtocol, address: str, port: int, buffer: int, *, shared: bool = False
) -> tuple[UdpSender, int]:
    """Have a socket give its datagrams to ``protocol``; return what sends from it, and its port.

    Raises:
        OSError: the address or the port is not to be had.
    """
    udp = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if shared:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        udp.bind((address, port))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=udp)
    except BaseException:
        udp.close()
        raise
    # uvloop sets this, and then another process could take the port as well.
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    if hasattr(transport, "max_size"):
        # asyncio would allocate 256 KiB for every datagram.
        transport.max_size = 2048
    return UdpSender(transport, udp), udp.getsockname()[1]


def announce(local: Sequence[HostCandidate], announced: Iterable[str]) -> tuple[HostCandidate, ...]:
    """Return the candidates to send to a client.

    They are the local ones, or the ``announced`` addresses with the ports of the local ones of their family, as behind a port
    mapping. The loopback's ports are left out then, unless there are no others. One that is a local one has that one's port.
    """
    told: dict[tuple[str, int], HostCandidate] = {}
    for address in announced:
        same = [each for each in local if (":" in each.address) == (":" in address)] or list(local)
        exact = [each for each in same if each.address == address]
        mapped = exact or [each for each in same if each.address not in (LOOPBACK, LOOPBACK_6)] or same
        for each in mapped:
            told.setdefault((address, each.port), HostCandidate(address, each.port, len(told)))
    return tuple(told.values()) or tuple(local)


def own_addresses(settings: OriginSettings, monotonic: Callable[[], float]) -> Callable[[], tuple[str, ...]]:
    """Return what tells the addresses that media comes to."""
    if settings.media_hosts:
        return lambda: settings.media_hosts
    return HostAddresses(monotonic, ipv6_loopback=settings.ipv6_loopback)


async def open_media(settings: OriginSettings, addresses: Callable[[], tuple[str, ...]]) -> MediaSockets:
    """Open what an origin's settings ask for.

    Raises:
        OSError: the media port is not to be had.
    """
    if settings.media_port is None:
        return OwnPorts(addresses, settings.media_addresses)
    return await SharedPort.start(settings.media_port, addresses, settings.media_addresses)
