"""Whom a media port listens to: real sockets on the loopback, checks written by aioice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice import stun as reference
from smproxy.network import Conditions, NetworkLink
from smproxy.origin.ice import Credentials, IceLite
from smproxy.origin.impaired_path import MAX_ON_THE_WAY
from smproxy.origin.media_sockets import OwnPorts

from tests.helpers import eventually

REMOTE = Credentials("wxyz", "q" * 24)
MEDIA = bytes.fromhex("8060000100000001000000ff") + bytes(20)
DTLS_ALERT = bytes.fromhex("15fefd00000000000000000002") + b"\x02\x28"


class Sender(asyncio.DatagramProtocol):
    """A socket that sends to one agent."""

    transport: asyncio.DatagramTransport

    def __init__(self, agent: IceLite) -> None:
        self.agent = agent
        self.received: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)

    def send(self, data: bytes) -> None:
        self.transport.sendto(data)

    async def check(self) -> None:
        """Make a check and wait for its answer."""
        before = len(self.received)
        self.send(check(self.agent))
        await eventually(lambda: len(self.received) > before)

    async def settle(self) -> None:
        """Wait until the agent has read what was sent before: its answer to a signed check proves it."""
        await self.check()


def check(
    agent: IceLite, password: str = "", *, username: str = "", nominate: bool = True, priority: bool = True
) -> bytes:
    """Write a check for the agent as aioice does, a nominating one."""
    request = reference.Message(reference.Method.BINDING, reference.Class.REQUEST)
    request.attributes["USERNAME"] = username or f"{agent.local.ufrag}:{REMOTE.ufrag}"
    if priority:
        request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLING"] = 7
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity((password or agent.local.password).encode())
    return bytes(request)


def reply(transaction: bytes, kind: reference.Class = reference.Class.RESPONSE) -> bytes:
    """Write an unsigned reply."""
    return bytes(reference.Message(reference.Method.BINDING, kind, transaction_id=transaction))


async def sender_to(agent: IceLite) -> Sender:
    """Open a sender to an agent's first candidate."""
    _, sender = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Sender(agent), remote_addr=("127.0.0.1", agent.candidates[0].port)
    )
    return sender


@asynccontextmanager
async def agent_and(
    count: int, clock: Callable[[], float] | None = None
) -> AsyncIterator[tuple[IceLite, list[Sender], list[bytes]]]:
    """Open an agent, ``count`` senders to it, and a list of the media it takes."""
    agent = IceLite(REMOTE, random.Random(1), clock or time.monotonic)
    await OwnPorts(lambda: ("127.0.0.1",)).open(agent)
    media: list[bytes] = []
    agent.take_media(media.append)
    senders: list[Sender] = []
    for _ in range(count):
        senders.append(await sender_to(agent))
    try:
        yield agent, senders, media
    finally:
        agent.close()
        for sender in senders:
            sender.transport.close()


@pytest.mark.parametrize(
    "datagram", [MEDIA, DTLS_ALERT, b"garbage!", b"", b"\x00", reply(b"t" * 12), bytes(20), bytes(range(64, 128))]
)
async def test_a_stranger_is_not_heard(datagram: bytes) -> None:
    """Nothing but a signed check counts or is passed on from an address that made no such check."""
    async with agent_and(2) as (agent, (peer, stranger), media):
        await peer.check()
        counted = agent.datagrams
        stranger.send(datagram)
        stranger.send(check(agent, password="x" * 24))
        stranger.send(datagram)
        await peer.settle()
        assert agent.datagrams == counted + 1
        assert media == []
        assert agent._waiting.empty()
        assert stranger.received == []


async def test_a_checked_address_is_heard() -> None:
    """Media and DTLS of an address that made a signed check are taken and count."""
    async with agent_and(1) as (agent, (peer,), media):
        await peer.check()
        peer.send(MEDIA)
        peer.send(DTLS_ALERT)
        await eventually(lambda: agent.datagrams == 3)
        assert media == [MEDIA]
        assert await agent._recv() == DTLS_ALERT


@pytest.mark.parametrize("kind", [reference.Class.RESPONSE, reference.Class.ERROR])
async def test_only_the_answer_to_a_probe_counts(kind: reference.Class) -> None:
    """The peer's answer to our probe is one sign of life; another answer, or the same again, is none."""
    async with agent_and(2) as (agent, (peer, stranger), _):
        await peer.check()
        agent.probe()
        await eventually(lambda: len(peer.received) == 2)
        transaction = reference.parse_message(peer.received[-1]).transaction_id
        stranger.send(reply(transaction, kind))
        peer.send(reply(b"t" * 12, kind))
        await peer.settle()
        counted = agent.datagrams
        peer.send(reply(transaction, kind))
        peer.send(reply(transaction, kind))
        await peer.settle()
        assert agent.datagrams == counted + 2  # the answer and the check of settle()
        assert counted == 2


async def test_the_known_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address whose last check is the oldest is forgotten; one that goes on checking stays."""
    monkeypatch.setattr("smproxy.origin.ice_paths.MAX_CHECKED", 3)
    async with agent_and(5) as (agent, senders, media):
        first, second, *others = senders
        await first.check()
        await second.check()
        for other in others:
            await other.check()
            await first.check()
        assert len(agent.paths.checked) == 3
        second.send(b"\x80second" + bytes(20))
        first.send(MEDIA)
        await eventually(lambda: media)
        assert media == [MEDIA]


async def test_a_copied_check_opens_nothing() -> None:
    """M7: a stranger that repeats a signed nomination gets no answer, is not listened to, and is sent nothing."""
    async with agent_and(2) as (agent, (peer, stranger), media):
        copied = check(agent)
        peer.send(copied)
        await eventually(lambda: peer.received)
        stranger.send(copied)
        stranger.send(MEDIA)
        await peer.settle()
        agent.send(MEDIA)
        await eventually(lambda: MEDIA in peer.received)
        assert stranger.received == []
        assert media == []


async def test_a_client_whose_port_changed_is_sent_to() -> None:
    """M7: checks without a nomination and authentic media from a new address, and silence from the old one, move the client."""
    now = 0.0
    async with agent_and(2, lambda: now) as (agent, (old, new), _):
        agent.take_media(lambda _: True)
        await old.check()
        new.send(check(agent, nominate=False))
        await eventually(lambda: new.received)
        for _ in range(2):
            before = agent.datagrams
            new.send(MEDIA)
            await eventually(lambda before=before: agent.datagrams > before)  # type: ignore[misc]
            now += 1
        agent.send(b"\x80for the client")
        await eventually(lambda: b"\x80for the client" in new.received)
        assert b"\x80for the client" not in old.received


async def test_media_that_is_not_authentic_moves_nothing() -> None:
    """M7: what cannot be decrypted is no sign of the client, from whatever address it comes."""
    now = 0.0
    async with agent_and(2, lambda: now) as (agent, (old, new), _):
        agent.take_media(lambda _: False)
        await old.check()
        new.send(check(agent, nominate=False))
        for _ in range(5):
            before = agent.datagrams
            new.send(MEDIA)
            await eventually(lambda before=before: agent.datagrams > before)  # type: ignore[misc]
            now += 10
        assert agent.peer == old.transport.get_extra_info("sockname")


async def test_a_check_without_a_priority_passes() -> None:
    """FFmpeg 8 sends none, and a lite agent needs none."""
    async with agent_and(1) as (agent, (peer,), _):
        peer.send(check(agent, priority=False))
        await eventually(lambda: peer.received)
        assert agent.peer == peer.transport.get_extra_info("sockname")


async def test_new_credentials_hold_from_their_first_check_on() -> None:
    """W11: after a restart old and new credentials pass until the client has used the new ones; the port stays."""
    async with agent_and(1) as (agent, (peer,), _):
        await peer.check()
        old, port = agent.local, agent.candidates[0].port
        following = Credentials("newu", "n" * 24)
        local = agent.restart(following)
        assert local != old
        await peer.check()
        assert agent.local == old
        username = f"{local.ufrag}:{following.ufrag}"
        before = len(peer.received)
        peer.send(check(agent, password=local.password, username=username))
        await eventually(lambda: len(peer.received) > before)
        assert agent.local == local
        assert agent.remote == following
        assert agent.candidates[0].port == port
        counted = agent.datagrams
        peer.send(check(agent, password=old.password, username=f"{old.ufrag}:{REMOTE.ufrag}"))
        peer.send(check(agent, password=local.password, username=username))
        await eventually(lambda: agent.datagrams > counted)
        assert agent.datagrams == counted + 1


async def test_a_bad_network_has_everything() -> None:
    """Over links checks, answers, DTLS and media come in order and late; what a link loses is lost; the end is at once."""
    async with agent_and(1) as (agent, (peer,), media):
        up, down = (NetworkLink(Conditions(delay=30), random.Random(1)) for _ in range(2))
        agent.impair(up, down)
        peer.send(MEDIA)
        peer.send(check(agent, nominate=True))
        for number in range(20):
            peer.send(MEDIA + bytes([number]))
        peer.send(DTLS_ALERT)
        await eventually(lambda: len(media) == 20)
        assert media == [MEDIA + bytes([number]) for number in range(20)], "the first came before the check"
        assert await agent._recv() == DTLS_ALERT
        await eventually(lambda: len(peer.received) == 1)
        assert (up.counts.offered, down.counts.offered) == (23, 1)
        agent.send(DTLS_ALERT)
        await eventually(lambda: len(peer.received) == 2)
        up.change(Conditions(loss=100))
        peer.send(MEDIA)
        await eventually(lambda: up.counts.lost == 1)
        agent.impair(None, None)
        peer.send(MEDIA)
        agent.send(DTLS_ALERT)
        await eventually(lambda: len(media) == 21 and len(peer.received) == 3)
        assert (up.counts.offered, down.counts.offered) == (24, 2)


async def test_a_bad_network_is_bounded_and_ends_with_the_agent() -> None:
    """At most 4096 datagrams are on their way in one direction, and none is sent or taken once the agent is closed."""
    async with agent_and(1) as (agent, (peer,), media):
        await peer.check()
        agent.impair(None, NetworkLink(Conditions(delay=10_000), random.Random(1)))
        for _ in range(MAX_ON_THE_WAY + 10):
            agent.send(DTLS_ALERT)
        assert agent._down is not None
        assert len(agent._down) == MAX_ON_THE_WAY
        line = agent._down
        agent.close()
        assert len(line) == 0
        assert media == []


async def test_packets_that_are_sent_together_come_in_order() -> None:
    """They go where single ones do, straight or over a bad network, without those that are to be lost; before there is an
    address and after the end none is sent.
    """
    picture = [bytes([0x80, number]) + bytes(1000 if number < 5 else 100) for number in range(6)]
    async with agent_and(1) as (agent, (peer,), _):
        agent.send_all([b"\x80early"])
        await peer.check()
        peer.received.clear()
        agent.send_all(picture)
        agent.send(b"\x80alone")
        await eventually(lambda: peer.received == [*picture, b"\x80alone"])
        peer.received.clear()
        agent.impair(None, NetworkLink(Conditions(delay=20), random.Random(1)))
        agent.send_all(picture)
        assert peer.received == []
        await eventually(lambda: peer.received == picture)
        agent.impair(None, None)
        peer.received.clear()
        agent.set_packet_filter(lambda datagram: datagram[1] % 2 == 0)
        agent.send_all(picture)
        agent.send_all(picture[1:2])
        await eventually(lambda: peer.received == picture[::2])
        agent.close()
        agent.send_all(picture)
        assert peer.received == picture[::2]
