"""An ICE lite agent for one peer (RFC 8445, 2.5): it only answers checks on host candidates.

Anybody can send to an open port, so only addresses that passed a check signed with our password are listened to: what comes
from elsewhere is dropped and is no sign of life. No media and no DTLS comes from the client before such a check.

Why not aioice: a server that is reached at its own addresses needs no checks of its own, no pacing, no candidates of the
client (so no mDNS) and no end of candidates; and media can go from the socket straight to its receiver, without a queue
and a task in between. To aiortc's DTLS transport this object is the ICE transport.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smproxy.network import NetworkLink
from smproxy.origin import stun
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.ice_paths import Address, Paths, Sign
from smproxy.origin.impaired_path import Datagrams, DelayLine
from smproxy.origin.local_socket import LocalSocket
from smproxy.origin.packet_tap import PacketTap

_log = logging.getLogger(__name__)

#: DTLS datagrams that wait for the handshake or for SCTP; more are dropped, as on a network, and sent again by the peer.
MAX_WAITING = 256
#: Media datagrams that come before the handshake is done at our side; a first key frame must not be lost.
MAX_EARLY = 128
#: Sockets of one client, its TCP connections among them.
MAX_SOCKETS = 16
#: Probes of ours that wait for an answer.
_MAX_PROBES = 32


@dataclass(frozen=True, slots=True)
class Credentials:
    """ICE user name fragment and password of one side."""

    ufrag: str
    password: str

    def __repr__(self) -> str:
        """Hide the password."""
        return f"Credentials({self.ufrag!r})"

    @classmethod
    def draw(cls, rng: random.Random) -> Credentials:
        """Make new credentials; 8 and 24 characters are 48 and 144 bits."""
        # The characters of base64 are those that ICE may use (RFC 8839, 5.4); drawing each was 90 calls.
        drawn = base64.b64encode(rng.getrandbits(192).to_bytes(24, "big")).decode()
        return cls(drawn[:8], drawn[8:])


#: A datagram that waits to be read, and where it came from.
_Waiting = tuple[bytes, LocalSocket, Address]


class IceLite:
    """ICE lite agent and datagram pipe.

    ``datagrams`` counts what came from the peer; the watchdog compares it.
    """

    # More attributes than an object of Python keeps without a dictionary (30): slots are faster, and smaller.
    __slots__ = (
        "_closed",
        "_down",
        "_drops_inbound",
        "_early",
        "_monotonic",
        "_next",
        "_passes",
        "_probes",
        "_read",
        "_rng",
        "_sockets",
        "_taker",
        "_tie_breaker",
        "_up",
        "_waiting",
        "_way",
        "_way_from",
        "candidates",
        "datagrams",
        "local",
        "on_closed",
        "on_media",
        "on_moved",
        "on_nominated",
        "on_ufrag",
        "paths",
        "peer",
        "remote",
        "role",
        "rtt",
        "tap",
        "unsent",
    )

    def __init__(self, remote: Credentials | None, rng: random.Random, monotonic: Callable[[], float]) -> None:
        self.local = Credentials.draw(rng)
        #: The client's; ``None`` until its answer has come, which its first checks may overtake (RFC 8445, 7.3).
        self.remote = remote
        self.datagrams = 0
        #: Seconds from the last check of ours that was answered to its answer.
        self.rtt: float | None = None
        self._monotonic = monotonic
        self.paths: Paths[LocalSocket] = Paths(monotonic)
        #: The address that is sent to, while it is listened to.
        self.peer: Address | None = None
        self.candidates: tuple[HostCandidate, ...] = ()
        self._early: deque[bytes] = deque(maxlen=MAX_EARLY)
        #: Takes SRTP and SRTCP datagrams; set by :meth:`take_media`. Until there are keys, the last few wait. True: it is the
        #: client's for certain.
        self.on_media: Callable[[bytes], object] = self._early.append
        #: Called once, when the client has nominated a pair.
        self.on_nominated: Callable[[], None] = _nothing
        #: Called when the client sends from another address.
        self.on_moved: Callable[[], None] = _nothing
        #: Called with each user name fragment that the client may use from now on; and once, when all is closed.
        self.on_ufrag: Callable[[str], object] = _ignore
        self.on_closed: Callable[[], object] = _nothing
        #: W3C name of the role; aiortc derives "DTLS client" from it when it must.
        self.role = "controlled"
        self._rng = rng
        self._tie_breaker = rng.getrandbits(64)
        self._sockets: list[LocalSocket] = []
        self._waiting: asyncio.Queue[_Waiting | None] = asyncio.Queue(MAX_WAITING)
        self._read: _Waiting | None = None
        #: Where to send to.
        self._way: tuple[Datagrams, Address] | None = None
        #: Returns the bytes that wait because the network did not take them; no property, since it is asked often.
        self.unsent: Callable[[], int] = _zero
        self._way_from: LocalSocket | None = None
        self._up: DelayLine | None = None
        self._down: DelayLine | None = None
        #: Credentials of both sides that hold from the first check on that is signed with them.
        self._next: tuple[Credentials, Credentials] | None = None
        #: When each of them was sent.
        self._probes: dict[bytes, float] = {}
        self._closed = False
        self._drops_inbound = False
        self._taker: Callable[[bytes], object] | None = None
        self._passes: Callable[[bytes], bool] | None = None
        #: Takes all packets for a capture, the media among them from where it is opened and sealed.
        self.tap: PacketTap | None = None

    def listen(self, sockets: Sequence[LocalSocket], candidates: Sequence[HostCandidate]) -> None:
        """Take what comes to these sockets, and have the client come to these candidates.

        Raises:
            OSError: the agent was closed meanwhile; the sockets are closed, too.
        """
        self._sockets.extend(sockets)
        if self._closed:
            self._close_sockets()
            raise OSError("closed while it was opened")
        for each in sockets:
            if self._up is not None or self._down is not None:
                each.impair(self._up, self._down)
        self.candidates = tuple(candidates)

    def add(self, socket: LocalSocket) -> bool:
        """Take what comes to another socket, too.

        False: there are as many as there may be, or all is closed.
        """
        if self._closed or len(self._sockets) >= MAX_SOCKETS:
            return False
        self._sockets.append(socket)
        if self._up is not None or self._down is not None:
            socket.impair(self._up, self._down)
        return True

    def remove(self, socket: LocalSocket) -> None:
        """Forget a socket that was closed by the client."""
        if socket in self._sockets:
            self._sockets.remove(socket)

    def handle(self, arrived_at: LocalSocket, data: bytes, addr: Address) -> None:
        """Take a datagram from an address of the client.

        DTLS is queued for its reader, STUN is checked, the rest is dropped.
        """
        if not data:
            return
        if 19 < data[0] < 64:
            self._count(addr)
            if self.tap is not None:
                self.tap.received(data, arrived_at.endpoint, addr)
            with contextlib.suppress(asyncio.QueueFull):
                self._waiting.put_nowait((data, arrived_at, addr))
        elif 127 < data[0] < 192:
            self._count(addr)
            if self.tap is not None:
                self.tap.ours, self.tap.theirs = arrived_at.endpoint, addr
            if self.on_media(data) is True:
                self._sign(Sign.MEDIA, arrived_at, addr)
        elif (transaction := stun.read_reply(data)) is None:
            self.check(arrived_at, data, addr)
        elif (sent := self._probes.pop(transaction, None)) is not None:
            self.rtt = self._monotonic() - sent
            self._count(addr)
            if self.tap is not None:
                self.tap.received(data, arrived_at.endpoint, addr)

    def check(self, arrived_at: LocalSocket, data: bytes, addr: Address) -> None:
        """Answer a connectivity check and remember where it came from.

        What is no check, not signed, or a copy is dropped.
        """
        if self._drops_inbound:
            return
        if self.tap is not None and stun.kind_of(data) is not None:
            self.tap.received(data, arrived_at.endpoint, addr)
        request = self._read_check(data)
        transport = arrived_at.transport
        if request is None or transport is None or self._closed or not self.paths.check(request.transaction, addr):
            return
        self._count(addr)
        arrived_at.checked(addr)
        peer = (addr[0], addr[1])
        if request.controlled:
            self._reply(arrived_at, stun.write_role_conflict(request.transaction, self.local.password), addr)
            return
        self._reply(arrived_at, stun.write_response(request.transaction, peer, self.local.password), addr)
        selected = self.paths.selected
        if request.use_candidate:
            self.paths.select(arrived_at, addr)
            self._send_there(arrived_at, addr)
            if selected is None:
                self.on_nominated()
        elif selected is not None and selected[1] == addr:
            self.peer = addr
        else:
            self._sign(Sign.CHECK, arrived_at, addr)

    def _reply(self, local: LocalSocket, data: bytes, addr: Address) -> None:
        if self.tap is not None:
            self.tap.sent(data, local.endpoint, addr)
        if local.transport is not None:
            local.transport.sendto(data, addr)

    def _read_check(self, data: bytes) -> stun.BindingRequest | None:
        remote = None if self.remote is None else self.remote.ufrag
        request = stun.read_request(data, self.local.ufrag, remote, self.local.password)
        if request is None and self._next is not None:
            local, following = self._next
            request = stun.read_request(data, local.ufrag, following.ufrag, local.password)
            if request is not None:
                self.local, self.remote = self._next
                self._next = None
        return request

    def restart(self, remote: Credentials) -> Credentials:
        """Return new credentials for an ICE restart (RFC 8445, 9); the port stays.

        The old ones, and the address that is sent to, hold until the client makes a check with the new ones.
        """
        local = Credentials.draw(self._rng)
        self._next = (local, remote)
        self.on_ufrag(local.ufrag)
        return local

    @property
    def candidates_for_restart(self) -> tuple[HostCandidate, ...]:
        """The candidate in use: the others are closed soon after the client has chosen one."""
        selected = self.paths.selected
        in_use = None if selected is None else selected[0].candidate
        return self.candidates if in_use is None or in_use not in self.candidates else (in_use,)

    @property
    def missing(self) -> str:
        """What a connection that did not come about still waits for."""
        if not self.datagrams:
            return "no STUN check came from the client"
        if self.paths.selected is None:
            return "the client nominated no candidate pair"
        return "the DTLS handshake did not finish"

    def _count(self, addr: Address) -> None:
        self.datagrams += 1
        if addr != self.peer:
            self.paths.elsewhere += 1

    def _sign(self, sign: Sign, arrived_at: LocalSocket, addr: Address) -> None:
        if addr != self.peer and self.paths.sign(sign, arrived_at, addr, self.datagrams):
            self.on_moved()
            self._send_there(arrived_at, addr)

    def _send_there(self, local: LocalSocket, addr: Address) -> None:
        self.peer = addr
        local.used = True
        self._way_from = local
        if self.tap is not None:
            self.tap.ours, self.tap.theirs = local.endpoint, addr
        if local.transport is not None:
            self._send_by(local.transport, addr)

    def _send_by(self, transport: Datagrams, addr: Address) -> None:
        self._way = (transport, addr)
        self.unsent = transport.get_write_buffer_size

    def confirm(self) -> None:
        """Take what was read last for the client's own: it was decrypted and understood."""
        if self._read is not None:
            _, local, addr = self._read
            self._sign(Sign.MESSAGE, local, addr)

    def take_media(self, taker: Callable[[bytes], object]) -> None:
        """Give media to ``taker`` from now on, beginning with what came early."""
        self._taker = taker
        self.on_media = taker if self._passes is None else self._filtered
        while self._early:
            self.on_media(self._early.popleft())

    def _filtered(self, datagram: bytes) -> object:
        if self._taker is not None and self._passes is not None and self._passes(datagram):
            return self._taker(datagram)
        return None

    def capture(self, tap: PacketTap) -> None:
        """Give all packets to a capture from now on."""
        self.tap = tap
        if self._way is not None and self._way_from is not None:
            tap.ours, tap.theirs = self._way_from.endpoint, self._way[1]

    # for faults -------------------------------------------------------------------------------------------------------

    def drop_inbound(self, drop: bool = True) -> None:
        """Receive nothing of the client, not even its checks, or receive again."""
        self._drops_inbound = drop
        if drop:
            self.paths.checked.clear()
            self.peer = None

    def set_packet_filter(self, passes: Callable[[bytes], bool] | None) -> None:
        """Lose the media, coming and going, that does not pass; ``None``: lose none."""
        self._passes = passes
        if self._taker is not None and not self._closed:
            self.on_media = self._taker if passes is None else self._filtered

    def impair(self, up: NetworkLink | None, down: NetworkLink | None) -> None:
        """Have datagrams from the client (up) and to it (down) go over links, or straight.

        What is on its way over a link that goes on to be used arrives; datagrams on the way over another one are lost.
        """
        if self._closed:
            return
        self._up, self._down = _line(self._up, up), _line(self._down, down)
        for each in self._sockets:
            each.impair(self._up, self._down)
        if self._way is not None and self._way_from is not None and self._way_from.transport is not None:
            self._send_by(self._way_from.transport, self._way[1])

    # the other direction ----------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Send a STUN check: to a peer that sends nothing, or to learn the round-trip time.

        The answer to it counts, and no answer that was not asked for.
        """
        if self.remote is not None and (way := self._way) is not None:
            transaction = self._rng.randbytes(12)
            username = f"{self.remote.ufrag}:{self.local.ufrag}"
            self._probes[transaction] = self._monotonic()
            while len(self._probes) > _MAX_PROBES:
                del self._probes[next(iter(self._probes))]
            check = stun.write_request(transaction, username, self.remote.password, self._tie_breaker)
            if self.tap is not None:
                self.tap.sent(check, self.tap.ours, way[1])
            way[0].sendto(check, way[1])

    def send(self, data: bytes) -> None:
        """Send a datagram to the selected address; before there is one it is dropped."""
        way = self._way
        if way is not None and not self._closed:
            if self._passes is not None and 127 < data[0] < 192 and not self._passes(data):
                return
            way[0].sendto(data, way[1])

    def send_all(self, datagrams: Sequence[bytes]) -> None:
        """Send media datagrams to the selected address, in their order."""
        way = self._way
        if way is not None and not self._closed:
            if self._passes is not None:
                datagrams = [each for each in datagrams if self._passes(each)]
            if len(datagrams) == 1:
                way[0].sendto(datagrams[0], way[1])
            else:
                way[0].send_all(datagrams, way[1])

    def close_unused(self) -> None:
        """Close the sockets that the client did not choose; one peer then costs one file descriptor."""
        for other in [each for each in self._sockets if not each.used]:
            self._sockets.remove(other)
            other.close()

    def close(self) -> None:
        """Close all sockets; pending reads raise ``ConnectionError``."""
        if self._closed:
            return
        self._closed = True
        self.on_media = _drop
        self._early.clear()
        self.on_nominated = _nothing
        self._close_sockets()
        self.on_closed()
        for line in (self._up, self._down):
            if line is not None:
                line.clear(closed=True)
        self._up = self._down = None
        while self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)
        self._let_go()

    def _let_go(self) -> None:
        """Drop all that refers back to this: a session ends too fast for the cycle collector."""
        self._taker = self._read = self._way = self._way_from = self.paths.selected = None
        self.unsent = _zero
        self.on_moved = self.on_closed = _nothing
        self.on_ufrag = _ignore

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    # what aiortc's RTCDtlsTransport asks of its ICE transport ---------------------------------------------------------

    async def _recv(self) -> bytes:
        if self._closed:
            raise ConnectionError("ICE is closed")
        waiting = await self._waiting.get()
        if waiting is None:
            raise ConnectionError("ICE is closed")
        self._read = waiting
        return waiting[0]

    async def _send(self, data: bytes) -> None:
        if self._closed or self._way is None:
            raise ConnectionError("no address to send to")
        if self.tap is not None:
            self.tap.sent(data, self.tap.ours, self._way[1])
        self.send(data)


def _line(line: DelayLine | None, link: NetworkLink | None) -> DelayLine | None:
    """Return the line of a link: the one that there is, if it is that link's."""
    if line is not None and line.link is link:
        return line
    if line is not None:
        line.clear()
    return None if link is None else DelayLine(link)


def _zero() -> int:
    return 0


def _ignore(_ufrag: str) -> None:
    pass


def _drop(_datagram: bytes) -> None:
    pass


def _nothing() -> None:
    pass
