"""Datagrams that are sent together arrive as they are, in their order, whatever the system takes of them."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.udp_sender import MAX_BYTES, MAX_SEGMENTS, UdpSender, runs

from tests.helpers import eventually

SO_NO_CHECK = 11
PICTURE = [bytes([number]) * 1200 for number in range(5)] + [b"end" * 20]


@given(st.lists(st.one_of(st.binary(max_size=6), st.integers(1100, 1400).map(bytes)), max_size=200))
def test_runs_are_all_datagrams_in_their_order(datagrams: list[bytes]) -> None:
    """Each run has one size but for a shorter end, and is as long as the system takes; together they are what was given."""
    found = runs(datagrams)
    assert [each for run in found for each in run] == datagrams
    for run in found:
        size = len(run[0])
        assert all(len(each) == size for each in run[:-1])
        assert len(run[-1]) <= size
        assert len(run) <= MAX_SEGMENTS
        assert sum(map(len, run)) <= MAX_BYTES
        assert all(run) or len(run) == 1, "an empty one would be lost"


@given(st.lists(st.integers(1, 3).map(bytes), min_size=1, max_size=2 * MAX_SEGMENTS))
def test_runs_are_as_few_as_may_be(datagrams: list[bytes]) -> None:
    """No run could have the first datagram of the next one, too."""
    for before, after in pairwise(runs(datagrams)):
        full = len(before) == MAX_SEGMENTS
        assert full or len(before[-1]) < len(before[0]) or len(after[0]) > len(before[0])


class Observed(socket.socket):
    """A real socket that counts the calls for several datagrams, and may refuse them with an error."""

    calls = 0
    refusal: int | None = None

    def sendmsg(self, *arguments: Any) -> int:  # type: ignore[override]
        self.calls += 1
        if self.refusal is not None:
            raise OSError(self.refusal, "refused")
        return super().sendmsg(*arguments)


class Unable(socket.socket):
    """A socket of a system that cannot cut datagrams."""

    def getsockopt(self, level: int, option: int, *length: int) -> Any:  # type: ignore[override]
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    def sendmsg(self, *arguments: Any) -> int:  # type: ignore[override]
        raise AssertionError("it was asked to all the same")


class Waiting:
    """A transport in which something may wait for the network."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.waiting = 0

    def sendto(self, data: bytes, _addr: Any) -> None:
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def close(self) -> None: ...

    def set_protocol(self, _protocol: asyncio.BaseProtocol) -> None: ...


class Arrivals(asyncio.DatagramProtocol):
    """Notes what arrives."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []

    def datagram_received(self, data: bytes, _addr: Any) -> None:
        self.datagrams.append(data)


@asynccontextmanager
async def sending(udp: socket.socket, host: str = "127.0.0.1") -> AsyncIterator[tuple[UdpSender, Arrivals, Any]]:
    """Open a sender and a receiver; yield them and the receiver's address."""
    loop = asyncio.get_running_loop()
    udp.bind((host, 0))
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=udp)
    receiving, arrivals = await loop.create_datagram_endpoint(Arrivals, local_addr=(host, 0))
    try:
        yield UdpSender(transport, udp), arrivals, receiving.get_extra_info("sockname")
    finally:
        transport.close()
        receiving.close()


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_all_arrive_in_their_order(family: socket.AddressFamily, host: str) -> None:
    """Whatever their sizes, by IPv4 and IPv6: the receiver gets the same datagrams, mixed with those that go by themselves."""
    rng = random.Random(1)
    sent: list[bytes] = []
    async with sending(Observed(family, socket.SOCK_DGRAM), host) as (sender, arrivals, addr):
        for _ in range(10):
            batch = [rng.randbytes(rng.choice([1, 90, 1199, 1200, 1200, 1200, 1400])) for _ in range(rng.randrange(20))]
            sender.send_all(batch, addr)
            sender.sendto(b"alone", addr)
            sent += [*batch, b"alone"]
        await eventually(lambda: len(arrivals.datagrams) == len(sent))
        assert arrivals.datagrams == sent


async def test_a_picture_is_one_call() -> None:
    """Packets of one size and a last shorter one leave with one system call; one alone needs none of that kind."""
    udp = Observed(socket.AF_INET, socket.SOCK_DGRAM)
    async with sending(udp) as (sender, arrivals, addr):
        sender.send_all(PICTURE, addr)
        sender.send_all([b"alone"], addr)
        sender.send_all([], addr)
        await eventually(lambda: arrivals.datagrams == [*PICTURE, b"alone"])
        assert udp.calls == 1


async def test_where_the_system_cannot_each_goes_by_itself() -> None:
    """Without the option, as on macOS, nothing else is tried."""
    async with sending(Unable(socket.AF_INET, socket.SOCK_DGRAM)) as (sender, arrivals, addr):
        sender.send_all(PICTURE, addr)
        await eventually(lambda: arrivals.datagrams == PICTURE)


async def test_what_the_system_refuses_together_goes_one_by_one() -> None:
    """A real refusal (Linux cuts nothing of a socket without checksums) loses nothing."""
    udp = Observed(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    async with sending(udp) as (sender, arrivals, addr):
        sender.send_all(PICTURE, addr)
        await eventually(lambda: arrivals.datagrams == PICTURE)
        assert udp.calls == 1


@pytest.mark.parametrize(
    ("refusal", "tried"), [(errno.EMSGSIZE, 2), (errno.EINVAL, 2), (errno.EIO, 1), (errno.EOPNOTSUPP, 1)]
)
async def test_a_refusal_for_good_is_not_asked_for_again(refusal: int, tried: int) -> None:
    """A path whose packets must be smaller is one address's, a device that cannot is the socket's; nothing is lost."""
    udp = Observed(socket.AF_INET, socket.SOCK_DGRAM)
    udp.refusal = refusal
    async with sending(udp) as (sender, arrivals, addr):
        for _ in range(2):
            sender.send_all(PICTURE, addr)
        await eventually(lambda: arrivals.datagrams == PICTURE * 2)
        assert udp.calls == tried


async def test_nothing_overtakes_what_waits() -> None:
    """When the network takes no more, and while something waits for it, all goes the same way, in its order."""
    transport: Any = Waiting()
    with Observed(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.refusal = errno.EAGAIN
        sender = UdpSender(transport, udp)
        sender.send_all(PICTURE, ("127.0.0.1", 9))
        assert transport.sent == PICTURE
        udp.refusal, transport.waiting = None, 1
        sender.send_all(PICTURE, ("127.0.0.1", 9))
        assert transport.sent == PICTURE * 2
        assert udp.calls == 1
