"""The sending peer between its tracks and its socket, without a network."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Sequence
from typing import Any

from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.forward import TrackForwarder
from smproxy.origin.play.answer import read_answer
from smproxy.origin.play.offer import plan_offer
from smproxy.origin.play.subscriber_transport import MAX_UNSENT, SubscriberTransport
from smproxy.origin.rtcp_receiver import write_nack, write_pli, write_receiver_report
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind
from smproxy.tasks import Tasks

from tests.fake_clock import FakeTime
from tests.unit.test_play_offer import VP8, answered

KEY = bytes.fromhex("1050b4019d012a8002e001")
INTER = bytes.fromhex("10b1b401")


class Network:
    """A datagram transport that takes all, or nothing."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.waiting = 0

    def sendto(self, data: bytes, _addr: Any) -> None:
        self.sent.append(data)

    def send_all(self, datagrams: Sequence[bytes], _addr: Any) -> None:
        self.sent += datagrams

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def close(self) -> None: ...

    def set_protocol(self, _protocol: asyncio.BaseProtocol) -> None: ...


class Nobody:
    """Takes the events of a transport."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None


class Rig:
    """A peer with one video slot, whose SRTP is left open so that its packets can be read."""

    def __init__(self) -> None:
        self.clock, self.network = FakeTime(), Network()
        self.track = Track("video_main", Kind.VIDEO, "VP8", 90000, self.clock)
        self.forwarder = TrackForwarder(self.track)
        rng = random.Random(1)
        plan = plan_offer({Kind.VIDEO: VP8}, data=False, rng=rng)
        identity = Identity.generateCertificate()
        self.peer = SubscriberTransport(plan, Nobody(), identity=identity, monotonic=self.clock, rng=rng, tasks=Tasks())
        self.peer.accept(read_answer(answered(plan), plan))
        self.peer._protect = list
        self.peer._unprotect_rtcp = lambda data: data
        self.peer._transport.ice._send_by(self.network, ("192.0.2.9", 9))
        (self.sender,) = self.peer.senders.values()
        self.sequence = 0

    def packet(self, payload: bytes, ssrc: int = 7) -> None:
        header = struct.pack("!BBHII", 0x80, 0x80 | 96, self.sequence, self.sequence * 3000, ssrc)
        self.sequence += 1
        self.track.packet(header + payload)


def numbers(sent: list[bytes]) -> list[int]:
    return [int.from_bytes(each[2:4], "big") for each in sent]


def test_feedback_reaches_its_slot() -> None:
    """A NACK brings the packet again, a PLI asks the publisher, a report is noted; another source's feedback is nobody's."""
    rig = Rig()
    rig.sender.attach(rig.forwarder)
    rig.packet(KEY)
    rig.packet(INTER)
    assert len(rig.network.sent) == 2
    last = numbers(rig.network.sent)[-1]
    rig.clock.now += 1
    rig.peer._receive_media(write_nack(1, rig.sender.ssrc ^ 1, [last]))
    assert len(rig.network.sent) == 2
    rig.peer._receive_media(write_nack(1, rig.sender.ssrc, [last]))
    assert rig.network.sent[2] == rig.network.sent[1]
    rig.track.wants_key_frame = False
    rig.peer._receive_media(write_pli(1, rig.sender.ssrc))
    assert rig.track.wants_key_frame
    block = struct.pack("!IB3sIIII", rig.sender.ssrc, 64, (9).to_bytes(3, "big"), 0, 0, 0, 0)
    rig.peer._receive_media(write_receiver_report(1, [block]))
    assert (rig.sender.lost, rig.sender.fraction_lost) == (9, 0.25)


def test_a_full_socket_is_not_written_to() -> None:
    """While the network takes nothing no packet is sent and none is queued; afterwards video goes on at a key frame."""
    rig = Rig()
    rig.sender.attach(rig.forwarder)
    rig.packet(KEY)
    rig.network.waiting = MAX_UNSENT + 1
    for _ in range(2000):
        rig.packet(INTER)
    assert len(rig.network.sent) == 1
    rig.network.waiting = 0
    rig.packet(KEY)
    rig.packet(INTER)
    assert rig.sender.dropped > 0
    sequence = numbers(rig.network.sent)
    assert sequence == list(range(sequence[0], sequence[0] + 3))
    assert rig.network.sent[1][12:] == KEY


def test_the_sources_of_a_client_are_counted() -> None:
    """What claims to come from ever more sources is not opened: each would cost a context."""
    rig = Rig()
    opened: list[bytes] = []
    rig.peer._unprotect_rtcp = lambda data: opened.append(data) or data  # type: ignore[func-returns-value]
    for source in range(100):
        rig.peer._receive_media(write_pli(source, rig.sender.ssrc))
    assert len(opened) == SubscriberTransport.MAX_SOURCES
    for rubbish in (b"", b"\x80", b"\x80\xce", b"\x80\x60" + bytes(40), bytes(100)):
        rig.peer._receive_media(rubbish)
    assert len(opened) == SubscriberTransport.MAX_SOURCES


def test_a_mute_before_the_answer_is_remembered() -> None:
    """A page may go to standby while its connection is being made: nothing is sent until it says so."""
    rng, clock = random.Random(2), FakeTime()
    plan = plan_offer({Kind.VIDEO: VP8}, data=False, rng=rng)
    identity = Identity.generateCertificate()
    peer = SubscriberTransport(plan, Nobody(), identity=identity, monotonic=clock, rng=rng, tasks=Tasks())
    peer.pause(Kind.VIDEO, True)
    peer.pause(Kind.AUDIO, True)
    peer.pause(Kind.AUDIO, False)
    peer.accept(read_answer(answered(plan), plan))
    (sender,) = peer.senders.values()
    assert sender.paused
    peer.pause(Kind.VIDEO, False)
    assert not sender.paused
