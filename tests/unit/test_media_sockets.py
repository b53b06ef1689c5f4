"""One UDP port for all clients: who gets which datagram, and what candidates say."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from smproxy.network import Conditions, NetworkLink
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.ice import Credentials, IceLite
from smproxy.origin.media_sockets import MAX_ROUTES, OwnPorts, SharedPort, announce

from tests.helpers import eventually
from tests.unit.test_origin_ice import DTLS_ALERT, MEDIA, REMOTE, Sender, check, sender_to

LOOP = ("127.0.0.1",)


class Client:
    """An agent at the origin and the client that belongs to it, each with its own sender."""

    def __init__(self, agent: IceLite, sender: Sender) -> None:
        self.agent = agent
        self.sender = sender
        self.media: list[bytes] = []
        agent.take_media(self.media.append)


@asynccontextmanager
async def shared(addresses: tuple[str, ...] = LOOP) -> AsyncIterator[tuple[SharedPort, list[Client]]]:
    """Open a port with two clients on it."""
    port = await SharedPort.start(0, lambda: addresses)
    clients: list[Client] = []
    for seed in (1, 2):
        agent = IceLite(REMOTE, random.Random(seed), time.monotonic)
        await port.open(agent)
        clients.append(Client(agent, await sender_to(agent)))
    try:
        yield port, clients
    finally:
        for client in clients:
            client.agent.close()
            client.sender.transport.close()
        port.close()


async def test_each_client_gets_its_own() -> None:
    """On one port each client's checks, media and DTLS come to its own agent, and answers go back to it alone."""
    async with shared() as (port, (first, second)):
        assert {each.port for one in (first, second) for each in one.agent.candidates} == {port.port}
        for number, client in enumerate((first, second)):
            client.sender.send(check(client.agent, nominate=True))
            client.sender.send(MEDIA + bytes([number]))
            client.sender.send(DTLS_ALERT)
        await eventually(lambda: first.media and second.media)
        assert (first.media, second.media) == ([MEDIA + b"\x00"], [MEDIA + b"\x01"])
        assert await first.agent._recv() == await second.agent._recv() == DTLS_ALERT
        second.agent.send(b"to the second")
        await eventually(lambda: b"to the second" in second.sender.received)
        assert b"to the second" not in first.sender.received


async def test_a_stranger_reaches_nobody() -> None:
    """What comes from an address without a signed check, or names no agent, is dropped."""
    async with shared() as (_, (first, second)):
        second.sender.send(MEDIA)
        second.sender.send(b"")
        second.sender.send(b"\x00\x01" + bytes(18))
        second.sender.send(check(first.agent, password="x" * 24))
        second.sender.send(MEDIA)
        await second.sender.settle()
        await first.sender.settle()
        assert first.media == second.media == []


async def test_an_address_changes_its_client() -> None:
    """A check from an address that another client had gives it, and its media, to the one that the check names."""
    async with shared() as (_, (first, second)):
        first.sender.send(check(first.agent, nominate=True))
        first.sender.send(check(second.agent, nominate=True))
        first.sender.send(MEDIA)
        await eventually(lambda: second.media == [MEDIA])
        assert first.media == []
        first.agent.close()
        first.sender.send(MEDIA)
        await eventually(lambda: len(second.media) == 2)


async def test_after_the_end_nothing_is_left() -> None:
    """An agent that closes leaves no route and no name at the port, and gets nothing any more; others go on."""
    async with shared() as (port, (first, second)):
        for client in (first, second):
            client.sender.send(check(client.agent, nominate=True))
        await eventually(lambda: first.sender.received and second.sender.received)
        first.agent.restart(Credentials("new", "n" * 24))
        assert len(port._agents) == 3
        first.agent.close()
        first.sender.send(MEDIA)
        second.sender.send(MEDIA)
        await eventually(lambda: second.media == [MEDIA])
        assert first.media == []
        assert list(port._agents) == [second.agent.local.ufrag]
        (bound,) = port._open.values()
        assert len(bound.routes) == 1


async def test_routes_are_bounded() -> None:
    """A client that checks from ever new addresses has at most twice as many routes as its agent listens to."""
    async with shared() as (port, (first, _)):
        (local, *_) = first.agent._sockets
        for number in range(1_000):
            local.checked(("127.0.0.1", number + 1))
        (bound,) = port._open.values()
        assert len(bound.routes) <= 2 * MAX_ROUTES


async def test_a_bad_network_for_one_of_them() -> None:
    """Conditions are one client's: what the other sends on the same port comes at once."""
    async with shared() as (_, (first, second)):
        link = NetworkLink(Conditions(loss=100), random.Random(1))
        first.agent.impair(link, None)
        for client in (first, second):
            client.sender.send(check(client.agent, nominate=True))
            client.sender.send(MEDIA)
        await eventually(lambda: second.media == [MEDIA] and link.counts.offered == 1)
        first.agent.impair(None, None)
        first.sender.send(check(first.agent, nominate=True))
        first.sender.send(MEDIA)
        await eventually(lambda: first.media == [MEDIA])


async def test_a_port_that_is_taken() -> None:
    """A port that somebody has on every address cannot be shared."""
    port = await SharedPort.start(0, lambda: LOOP)
    with pytest.raises(OSError, match="in use"):
        await SharedPort.start(port.port, lambda: LOOP)
    port.close()


async def test_nobody_takes_a_clients_port() -> None:
    """A port of a client's own cannot be opened by another process, not even by one that would share it."""
    agent = IceLite(REMOTE, random.Random(1), time.monotonic)
    await OwnPorts(lambda: LOOP).open(agent)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", agent.candidates[0].port))
    agent.close()


async def test_packets_that_are_sent_together_on_one_port() -> None:
    """Each client's come to it alone, in their order."""
    pictures = [[b"\x80" + bytes([client, number]) * 500 for number in range(6)] for client in (1, 2)]
    async with shared() as (_, clients):
        for client in clients:
            client.sender.send(check(client.agent, nominate=True))
        await eventually(lambda: all(each.sender.received for each in clients))
        for client, picture in zip(clients, pictures, strict=True):
            client.agent.send_all(picture)
        await eventually(lambda: [each.sender.received[1:] for each in clients] == pictures)


@pytest.mark.parametrize(
    ("local", "announced", "told"),
    [
        (["192.0.2.7:9", "127.0.0.1:9"], [], ["192.0.2.7:9", "127.0.0.1:9"]),
        (["192.0.2.7:9", "127.0.0.1:9"], ["203.0.113.1"], ["203.0.113.1:9"]),
        (["192.0.2.7:9", "127.0.0.1:9"], ["127.0.0.1", "203.0.113.1"], ["127.0.0.1:9", "203.0.113.1:9"]),
        (["192.0.2.7:8", "127.0.0.1:9"], ["203.0.113.1"], ["203.0.113.1:8"]),
        (["127.0.0.1:9"], ["203.0.113.1"], ["203.0.113.1:9"]),
        (["192.0.2.7:8", "2001:db8::1:9"], ["2001:db8::9"], ["2001:db8::9:9"]),
        (["192.0.2.7:8"], ["2001:db8::9"], ["2001:db8::9:8"]),
    ],
)
def test_announced_addresses(local: list[str], announced: list[str], told: list[str]) -> None:
    """Candidates have the announced addresses with the ports of their family, the machine's own ones otherwise."""
    candidates = [HostCandidate(*_split(each), number) for number, each in enumerate(local)]
    result = announce(candidates, announced)
    assert [f"{each.address}:{each.port}" for each in result] == told
    assert [each.order for each in result] == list(range(len(told)))


def _split(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)
