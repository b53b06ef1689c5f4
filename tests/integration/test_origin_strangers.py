"""Datagrams from elsewhere to a publisher's media ports, and forged ones from its own address."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from smproxy.signaling.node_channel import PeerEnded
from smproxy.signaling.payloads import Reason

from tests.helpers import eventually
from tests.integration.origin_client import Client, client, running

#: What could be taken for media, DTLS, a check, an answer to one, and nothing at all.
KINDS = (
    b"garbage!",
    bytes.fromhex("8060000100000001000000ff") + bytes(40),
    bytes.fromhex("80c8000100000001") + bytes(40),
    b"\x16\xfe\xfd" + bytes(50),
    bytes.fromhex("000100002112a442") + bytes(12),
    bytes.fromhex("010100002112a442") + bytes(12),
    b"",
)
ALERT = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
HELLO = b"\x16\xfe\xff" + bytes(8) + b"\x00\x30\x01" + bytes(range(47))
MAX_SOURCES = 32


@contextmanager
def stranger() -> Iterator[socket.socket]:
    """Open a socket that nobody knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setblocking(False)
        yield opened


async def ports(publisher: Client) -> list[tuple[str, int]]:
    """Return the IPv4 candidates of the answer."""
    reply = await publisher.hear(lambda each: "sdp" in each.get("data", {}))
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+)", reply["data"]["sdp"]["sdp"])
    assert found
    return sorted({(address, int(port)) for address, port in found})


def forged(count: int, payload_type: int) -> list[bytes]:
    """Write RTP packets of as many sources, which nobody signed."""
    header = bytes([0x80, payload_type]) + bytes.fromhex("000100000001")
    return [header + source.to_bytes(4, "big") + bytes(30) for source in range(1, count + 1)]


def send_before_dtls(publisher: Client, datagrams: list[bytes]) -> None:
    """Let the client send these from its own address just before its first DTLS datagram."""
    waiting = list(datagrams)
    for transceiver in publisher.pc.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            real: Callable[[bytes, Any], None] = protocol.transport.sendto

            def sendto(data: bytes, addr: Any, real: Callable[[bytes, Any], None] = real) -> None:
                if waiting and 19 < data[0] < 64:
                    for each in waiting:
                        real(each, addr)
                    waiting.clear()
                real(data, addr)

            protocol.transport.sendto = sendto


async def test_strangers_do_not_keep_a_vanished_client_alive() -> None:
    """Whatever others send to its ports, a client that has vanished shows a gap and is then lost."""
    async with running(media_gap=0.4, media_timeout=1.2) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", data=True)
        await publisher.switch()
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        targets = await ports(publisher)
        publisher.vanish()
        with stranger() as other:

            def noise() -> bool:
                for target in targets:
                    for datagram in KINDS:
                        other.sendto(datagram, target)
                return "PeerEnded" in reports.kinds()

            await eventually(noise, 6)
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.TIMEOUT, True)
        assert reports.kinds().count("MediaGap") == 1
        assert "MediaBack" not in reports.kinds()


@pytest.mark.parametrize("datagrams", [[ALERT], [HELLO], [bytes([20]) + os.urandom(60)] * 300, list(KINDS) * 40])
async def test_strangers_cannot_disturb_the_handshake(datagrams: list[bytes]) -> None:
    """Plaintext alerts, false handshakes and floods from elsewhere before the handshake do not hinder a publish."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.offer("s1")
        with stranger() as other:
            for target in await ports(publisher):
                for datagram in datagrams:
                    other.sendto(datagram, target)
        await publisher.accept()
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        assert reports.kinds()[0] == "TransportUp"


async def test_forged_sources_take_no_place() -> None:
    """More unsigned RTP sources than there are places, from the client's own address, do not keep its tracks from starting."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.offer("s1")
        reply = await publisher.hear(lambda each: "sdp" in each.get("data", {}))
        found = re.search(r"a=rtpmap:(\d+) VP8", reply["data"]["sdp"]["sdp"])
        assert found is not None
        send_before_dtls(publisher, forged(MAX_SOURCES + 8, int(found[1])))
        await publisher.accept()
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        await eventually(lambda: all(each.packets > 5 for each in origin.statistics()))


async def test_the_real_client_is_heard_in_a_flood() -> None:
    """While strangers flood its ports, a client's stream goes on and none of the noise is counted as media."""
    async with running(media_gap=0.6, media_timeout=20) as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", audio=False)
        await reports.until("TrackStarted")
        targets = await ports(publisher)
        with stranger() as other:

            def flood() -> bool:
                for target in targets:
                    for datagram in (*KINDS, ALERT, HELLO):
                        other.sendto(datagram, target)
                return origin.statistics()[0].packets > 30

            await eventually(flood, 10)
        assert origin.statistics()[0].lost == 0
        assert not {"MediaGap", "PeerEnded"} & set(reports.kinds())
        await publisher.say(unpublish="s1")
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, False)
        await asyncio.wait_for(publisher.pc.close(), 5)
