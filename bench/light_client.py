"""A client of the media benches that costs next to nothing, with real ICE checks, DTLS and SRTP keys.

aiortc does the handshake; ICE is the little that a controlling agent with one candidate needs. One process carries hundreds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from aioice import stun
from aiortc import RTCDtlsFingerprint, RTCDtlsParameters
from smproxy.origin.aiortc_dtls import DtlsTransport, Identity

TRANSPORT = """c=IN IP4 {address}
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=candidate:1 1 udp 2130706431 {address} {port} typ host
a=end-of-candidates"""

#: Gives an offer to a server and returns the answer.
Exchange = Callable[[str], Awaitable[str]]


class LightClient(ABC):
    """One client at an address of this machine. ``open`` connects it, ``close`` ends it."""

    role = "controlling"  # read by the DTLS transport, for which this is the ICE transport

    def __init__(self, identity: Identity, rng: random.Random, address: str) -> None:
        self._rng = rng
        self._identity = identity
        self._ufrag, self._password = f"{rng.getrandbits(40):010x}", f"{rng.getrandbits(120):030x}"
        self._remote = ("", "")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._dtls = DtlsTransport(self, [identity])  # type: ignore[arg-type]
        self._checked = asyncio.Event()

    @abstractmethod
    def _offer(self) -> str:
        """Write the offer."""

    @abstractmethod
    def _media(self, data: bytes) -> None:
        """Take an SRTP or SRTCP datagram."""

    def _described(self, sections: str, **values: object) -> str:
        """Fill the lines about the transport, and others, into an offer."""
        address, port = self._socket.getsockname()
        transport = TRANSPORT.format(
            ufrag=self._ufrag,
            password=self._password,
            fingerprint=self._identity.fingerprint,
            address=address,
            port=port,
        )
        text = sections.format(
            session=self._rng.getrandbits(60), address=address, port=port, transport=transport, **values
        )
        return text.replace("\n", "\r\n")

    async def open(self, exchange: Exchange) -> None:
        """Offer, check the way, shake hands."""
        answer = await exchange(self._offer())
        lines = answer.splitlines()

        def value(name: str) -> str:
            return next(line.partition(":")[2] for line in lines if line.startswith(f"a={name}:"))

        self._remote = value("ice-ufrag"), value("ice-pwd")
        candidates = [line.split() for line in lines if line.startswith("a=candidate:") and " udp " in line.lower()]
        usable = [(each[4], int(each[5])) for each in candidates if ":" not in each[4]]
        self._socket.connect(next((each for each in usable if each[0] == self._socket.getsockname()[0]), usable[0]))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        for _ in range(100):
            self._socket.send(self._check())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._checked.wait(), 0.1)
                break
        self._dtls._set_role("server" if value("setup") == "active" else "client")
        algorithm, _, digest = value("fingerprint").partition(" ")
        await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm.lower(), digest)]))
        if self._dtls.state != "connected":
            raise RuntimeError("the handshake failed")

    async def close(self) -> None:
        """Say goodbye and close the socket."""
        await self._dtls.stop()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _check(self) -> bytes:
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self._remote[0]}:{self._ufrag}"
        message.attributes["PRIORITY"] = 1845501695
        message.attributes["ICE-CONTROLLING"] = 1
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._remote[1].encode())
        return bytes(message)

    def _readable(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(2048):
                if data[0] < 2:
                    self._stun(data)
                elif data[0] < 64:
                    self._waiting.put_nowait(data)
                else:
                    self._media(data)

    def _stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class is not stun.Class.REQUEST:
            self._checked.set()
            return
        reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = self._socket.getpeername()
        reply.add_message_integrity(self._password.encode())
        self._socket.send(bytes(reply))

    async def _recv(self) -> bytes:
        return await self._waiting.get()

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            self._socket.send(data)
