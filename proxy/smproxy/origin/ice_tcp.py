"""Media over TCP: passive candidates of ICE-TCP (RFC 6544), framed as RFC 4571 has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from smproxy.origin import stun
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.ice import IceLite
from smproxy.origin.ice_paths import Address
from smproxy.origin.impaired_path import DelayLine, ImpairedStream, ImpairedStreamReceiver, Receiver
from smproxy.origin.local_socket import LocalSocket
from smproxy.origin.media_sockets import MediaSockets

_log = logging.getLogger(__name__)

#: Connections that have not shown yet that they are a client's, and seconds that they have for it.
MAX_STRANGERS = 256
STRANGERS_FOR = 5.0
#: Bytes of one datagram, as over UDP.
MAX_DATAGRAM = 2048
#: Bytes that wait for a client that does not read; what would come on top is lost, as over UDP.
MAX_UNSENT = 512 << 10
#: Seconds for the last datagrams to go out.
CLOSE_FOR = 2.0
_WILDCARDS = {"0.0.0.0": 4, "::": 6}  # noqa: S104 - compared, not bound


class MediaStreams:
    """Gives TCP connections to the agents that their first checks name. Ended by ``close``.

    Candidates are passive ones at the addresses that :meth:`listening` was called with.
    """

    def __init__(self, addresses: Callable[[], tuple[str, ...]], announced: tuple[str, ...] = ()) -> None:
        self._addresses = addresses
        self._announced = announced
        self._listening: tuple[Address, ...] = ()
        self._agents: dict[str, IceLite] = {}
        self._strangers: dict[MediaStream, asyncio.TimerHandle] = {}
        self._closed = False

    def listening(self, addresses: Sequence[Address]) -> None:
        """Note where connections are accepted."""
        self._listening = tuple(addresses)

    def accept(self, transport: asyncio.Transport, lost: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol of an accepted connection; ``lost`` is called when it is closed."""
        stream = MediaStream(self, transport, lost)
        if self._closed:
            transport.abort()
            return stream
        if len(self._strangers) >= MAX_STRANGERS:
            next(iter(self._strangers)).abort()
        loop = asyncio.get_running_loop()
        self._strangers[stream] = loop.call_later(STRANGERS_FOR, stream.abort)
        return stream

    def attach(self, ice: IceLite) -> None:
        """Have an agent listen here, too, as the last choice of its client."""
        ufrags: list[str] = []
        also_add, also_remove = ice.on_ufrag, ice.on_closed

        def add(ufrag: str) -> None:
            ufrags.append(ufrag)
            self._agents[ufrag] = ice
            also_add(ufrag)

        def remove() -> None:
            for ufrag in ufrags:
                self._agents.pop(ufrag, None)
            also_remove()

        ice.on_ufrag, ice.on_closed = add, remove
        ufrags.append(ice.local.ufrag)
        self._agents[ice.local.ufrag] = ice
        ice.candidates += self._candidates()

    def agent_of(self, check: bytes) -> IceLite | None:
        """Return the agent that a check is addressed to."""
        ufrag = stun.read_ufrag(check)
        return None if ufrag is None else self._agents.get(ufrag)

    def known(self, stream: MediaStream) -> None:
        """Note that a connection is a client's, or is over."""
        timer = self._strangers.pop(stream, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Close what is no client's; the agents close the rest."""
        self._closed = True
        for stream in list(self._strangers):
            stream.abort()

    def _candidates(self) -> tuple[HostCandidate, ...]:
        found: dict[Address, None] = {}
        for address, port in self._listening:
            for each in self._announced or self._behind(address):
                found[each, port] = None
        return tuple(HostCandidate(address, port, n, tcp=True) for n, (address, port) in enumerate(found))

    def _behind(self, address: str) -> tuple[str, ...]:
        """Return the addresses that a listening socket's one stands for."""
        version = _WILDCARDS.get(address)
        if version is None:
            return (address,)
        own = [each for each in self._addresses() if (6 if ":" in each else 4) == version]
        return tuple(own)


class WithStreams:
    """Sockets for datagrams, and TCP beside them."""

    def __init__(self, datagrams: MediaSockets, streams: MediaStreams) -> None:
        self._datagrams = datagrams
        self._streams = streams

    @property
    def port(self) -> int | None:
        """The one UDP port, if there is one."""
        return self._datagrams.port

    async def open(self, ice: IceLite) -> None:
        """Have an agent listen.

        Raises:
            OSError: no address could be bound.
        """
        await self._datagrams.open(ice)
        self._streams.attach(ice)

    def close(self) -> None:
        """Close what agents share."""
        self._datagrams.close()
        self._streams.close()


class MediaStream(asyncio.Protocol):
    """One TCP connection: unframes what comes, and hands it to its agent as datagrams.

    What begins with anything but a check for a client that is here, or has a datagram too long, is cut off.
    """

    def __init__(self, streams: MediaStreams, transport: asyncio.Transport, lost: Callable[[], None]) -> None:
        self._streams = streams
        self._transport = transport
        self._lost = lost
        self._buffer = bytearray()
        self._socket: StreamSocket | None = None
        peer = transport.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104 - not listened on
        # A UDP socket of the client may have the same address and port.
        self._addr = cast(Address, (peer[0], peer[1], "tcp"))

    def data_received(self, data: bytes) -> None:
        """Take the datagrams that are whole."""
        buffer = self._buffer
        buffer += data
        at, end = 0, len(buffer)
        while end - at >= 2:
            length = buffer[at] << 8 | buffer[at + 1]
            if length > MAX_DATAGRAM:
                self.abort()
                return
            if end - at < 2 + length:
                break
            datagram = bytes(buffer[at + 2 : at + 2 + length])
            at += 2 + length
            if not self._take(datagram):
                self.abort()
                return
        del buffer[:at]

    def _take(self, datagram: bytes) -> bool:
        if self._socket is None:
            agent = self._streams.agent_of(datagram)
            if agent is None:
                return False
            socket = StreamSocket(agent, self._transport, lambda: self._streams.known(self))
            if not agent.add(socket):
                return False
            self._socket = socket
        self._socket.receiver.datagram_received(datagram, self._addr)
        return True

    def eof_received(self) -> None:
        """Close: a client that has ended its side sends no more checks."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the agent."""
        self._streams.known(self)
        if self._socket is not None:
            self._socket.lost()
        self._lost()

    def abort(self) -> None:
        """Cut the connection off."""
        self._streams.known(self)
        self._buffer.clear()
        self._transport.abort()


class StreamSocket(LocalSocket):
    """One client's TCP connection, as a socket of its agent."""

    def __init__(self, agent: IceLite, transport: asyncio.Transport, known: Callable[[], None]) -> None:
        super().__init__(agent)
        self._ice = agent
        self._connection = transport
        self._real = _Framed(transport)
        self._known = known
        self.transport = self._real
        here = transport.get_extra_info("sockname") or ("0.0.0.0", 0)  # noqa: S104 - not listened on
        self.candidate = HostCandidate(here[0], here[1], 0, tcp=True)
        #: Where datagrams come to: straight to this, or over a bad network.
        self.receiver: Receiver = self

    def checked(self, addr: Address) -> None:
        """Note that a check was signed: the connection is the client's."""
        self._known()

    def impair(self, up: DelayLine | None, down: DelayLine | None) -> None:
        """Have all that comes go over ``up`` and all that goes over ``down``.

        It comes late, but all of it does, as TCP has it. Not over links of UDP only.
        """
        up, down = (None if line is None or line.link.udp_only else line for line in (up, down))
        self.receiver = self if up is None else ImpairedStreamReceiver(self, up, self._connection)
        self.transport = self._real if down is None else ImpairedStream(self._real, down)

    def lost(self) -> None:
        """Leave the agent: the connection is closed."""
        self._ice.remove(self)

    def close(self) -> None:
        """Close the connection."""
        self._real.close()


class _Framed:
    """Writes datagrams to a TCP connection; those that do not fit any more are lost."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def sendto(self, data: bytes, addr: Any) -> None:
        transport = self._transport
        if not transport.is_closing() and transport.get_write_buffer_size() < MAX_UNSENT:
            transport.write(len(data).to_bytes(2, "big") + data)

    def send_all(self, datagrams: Sequence[bytes], addr: Any) -> None:
        for each in datagrams:
            self.sendto(each, addr)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        # The last datagrams still go out, if the client takes them.
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(CLOSE_FOR, self._transport.abort)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)
