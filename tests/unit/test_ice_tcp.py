"""Framed datagrams over TCP, and the candidates that say where they come to."""

from __future__ import annotations

import asyncio
import random

from smproxy.network import Conditions, NetworkLink
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.ice import IceLite
from smproxy.origin.ice_tcp import MAX_DATAGRAM, MAX_UNSENT, MediaStreams, StreamSocket
from smproxy.origin.impaired_path import MAX_ON_THE_WAY

from tests.helpers import eventually
from tests.unit.test_origin_ice import REMOTE, check


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


class _Peer:
    """A client's end of a connection that an agent's streams accept."""

    def __init__(self) -> None:
        self.ice = IceLite(REMOTE, random.Random(1), asyncio.get_running_loop().time)
        self.streams = MediaStreams(lambda: ("192.0.2.1", "2001:db8::1"))
        self.lost = 0
        self.media: list[bytes] = []

    async def open(self) -> None:
        self.streams.attach(self.ice)
        self.ice.take_media(self._take)
        loop = asyncio.get_running_loop()

        class Accept(asyncio.Protocol):
            def connection_made(accepting, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                self.accepted = transport
                transport.set_protocol(self.streams.accept(transport, self._gone))

        self.server = await loop.create_server(Accept, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)

    def _take(self, datagram: bytes) -> bool:
        self.media.append(datagram)
        return True

    def _gone(self) -> None:
        self.lost += 1

    def check(self) -> bytes:
        """Make a signed check of the client, a nominating one."""
        return check(self.ice)

    async def close(self) -> None:
        self.ice.close()
        self.streams.close()
        self.writer.close()
        self.server.close()
        await eventually(lambda: self.lost == 1, 5)


async def test_datagrams_in_any_pieces() -> None:
    """Datagrams come through whole, however the stream is cut; the agent's answers are framed."""
    peer = _Peer()
    await peer.open()
    stream = _framed(peer.check()) + b"".join(_framed(bytes([128, n, *range(n)])) for n in range(1, 40))
    for n in range(0, len(stream), 7):
        peer.writer.write(stream[n : n + 7])
        await peer.writer.drain()
    await eventually(lambda: len(peer.media) == 39, 5)
    assert peer.media == [bytes([128, n, *range(n)]) for n in range(1, 40)]
    length = int.from_bytes(await peer.reader.readexactly(2), "big")
    assert (await peer.reader.readexactly(length))[:2] == b"\x01\x01"
    await peer.close()


async def test_a_datagram_that_is_too_long() -> None:
    """A length above that of a datagram over UDP ends the connection, also of a known client."""
    peer = _Peer()
    await peer.open()
    peer.writer.write(_framed(peer.check()) + (MAX_DATAGRAM + 1).to_bytes(2, "big"))
    await eventually(lambda: peer.lost == 1, 5)
    await peer.close()


async def test_a_client_that_does_not_read() -> None:
    """What waits for a client that does not read is bounded; what comes on top is lost."""
    peer = _Peer()
    await peer.open()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    peer.writer.write(_framed(peer.check()))
    await eventually(lambda: peer.ice.peer is not None, 5)
    for _ in range(20_000):
        peer.ice.send(b"\x80" + bytes(1000))
    assert MAX_UNSENT - 2000 < peer.ice.unsent() < MAX_UNSENT + 2000
    peer.writer.transport.abort()  # type: ignore[attr-defined]
    await eventually(lambda: peer.lost == 1, 5)
    await peer.close()


async def test_a_bad_network_loses_nothing_of_a_stream() -> None:
    """Over TCP all media comes through a bad network, in order, in both directions, also when the network is well again."""
    peer = _Peer()
    await peer.open()
    peer.writer.write(_framed(peer.check()))
    await eventually(lambda: peer.ice.peer is not None, 5)
    length = int.from_bytes(await peer.reader.readexactly(2), "big")
    await peer.reader.readexactly(length)
    conditions = Conditions().changed(
        {"loss": 30, "burst": 2, "reorder": 20, "duplicate": 20, "delay": 5, "outage": 60}
    )
    up, down = (NetworkLink(conditions, random.Random(seed)) for seed in (1, 2))
    peer.ice.impair(up, down)
    count = 2 * MAX_ON_THE_WAY  # more than may be on the way
    sent = [b"\x80" + number.to_bytes(2, "big") for number in range(count)]
    peer.writer.writelines(map(_framed, sent))
    for datagram in sent[:1000]:
        peer.ice.send(datagram)
    for datagram in sent[:500]:
        assert await peer.reader.readexactly(5) == _framed(datagram)
    await eventually(lambda: len(peer.media) > 500, 20)
    peer.ice.impair(None, None)  # what was on its way is handed on
    for datagram in sent[500:1000]:
        assert await peer.reader.readexactly(5) == _framed(datagram)
    await eventually(lambda: len(peer.media) == count, 20)
    assert peer.media == sent
    assert up.counts.lost > 100
    assert down.counts.lost > 100
    await peer.close()


def test_candidates() -> None:
    """A candidate of TCP is passive (RFC 6544) and ranks below every one of UDP; wildcards stand for own addresses."""
    tcp, udp = str(HostCandidate("192.0.2.1", 5080, 0, tcp=True)), str(HostCandidate("192.0.2.1", 5080, 9))
    assert tcp.endswith(" 192.0.2.1 5080 typ host tcptype passive")
    assert tcp.split()[2] == "tcp"
    assert int(tcp.split()[3]) < int(udp.split()[3])
    streams = MediaStreams(lambda: ("192.0.2.1", "2001:db8::1", "127.0.0.1"))
    for listening, told in (
        ("0.0.0.0", ["192.0.2.1", "127.0.0.1"]), ("::", ["2001:db8::1"]), ("127.0.0.2", ["127.0.0.2"]),
    ):  # fmt: skip
        ice = IceLite(None, random.Random(1), lambda: 0.0)
        streams.listening([(listening, 5080)])
        streams.attach(ice)
        assert [each.address for each in ice.candidates] == told


def test_a_closed_agent_takes_no_stream() -> None:
    """An agent that is closed, or has enough sockets, refuses a connection."""
    ice = IceLite(None, random.Random(1), lambda: 0.0)
    ice.close()
    assert not ice.add(StreamSocket.__new__(StreamSocket))
