"""Media faults at the origin: which datagrams are lost, and faults that come before their attempt."""

from __future__ import annotations

import random
import time

import pytest
from smproxy.origin.ice import Credentials, IceLite
from smproxy.origin.impairments import MAX_ATTEMPTS, Impairments, Loss
from smproxy.signaling.node import Inject, Lift
from smproxy.signaling.payloads import ConnectError, Reason

RTP = bytes([0x80, 111]) + bytes(20)
RTCP = bytes([0x80, 200]) + bytes(20)


class Peer:
    """A peer connection with a network of its own."""

    def __init__(self) -> None:
        self.ice = IceLite(Credentials("u", "p"), random.Random(1), time.monotonic)
        self.media: list[bytes] = []
        self.ice.take_media(self.media.append)


class Session:
    """A session."""

    def __init__(self, attempt: str = "a", *, up: bool = True) -> None:
        self.attempt = attempt
        self.up = up
        self.transport = Peer()
        self.fell: list[Reason] = []

    def break_connection(self, reason: Reason, error: ConnectError) -> None:
        self.fell.append(reason)

    def take(self, *datagrams: bytes) -> int:
        """Have datagrams come; return how many got through."""
        peer = self.transport
        peer.media.clear()
        for datagram in datagrams:
            peer.ice.on_media(datagram)
        return len(peer.media)


def loss(percent: float = 100.0, burst: int = 1, attempt: str = "a") -> Inject:
    """Ask for packet loss."""
    return Inject(attempt, "packet-loss", {"percent": percent, "burst": burst}, 7)


@pytest.mark.parametrize(("percent", "burst"), [(0, 1), (10, 1), (30, 5), (90, 3), (100, 1)])
def test_loss(percent: float, burst: int) -> None:
    """About the wished part is lost, in bursts of the wished length, the same packets for the same seed, and never RTCP."""

    def passed() -> list[bool]:
        sieve = Loss(percent, burst, random.Random(3))
        return [sieve(RTP) for _ in range(4000)]

    outcome = passed()
    assert outcome == passed()
    lost = 100 * outcome.count(False) / len(outcome)
    assert abs(lost - percent) < 6
    runs = "".join("x" if not each else " " for each in outcome).split()
    if 0 < percent < 100:
        assert all(len(run) % burst == 0 for run in runs[:-1])
    assert all(Loss(100, 1, random.Random(1))(RTCP) for _ in range(100))


def test_fault_waits_for_its_attempt() -> None:
    """A fault that comes before the origin knows the attempt acts when it does, and on no other."""
    impairments = Impairments()
    impairments.inject(loss(), None)
    other, session = Session("b"), Session("a")
    impairments.negotiating(other)
    impairments.negotiating(session)
    assert other.take(RTP, RTCP) == 2
    assert session.take(RTP, RTCP) == 1


def test_lift() -> None:
    """A fault that is lifted acts no more; another one on the same attempt goes on."""
    impairments, session = Impairments(), Session()
    impairments.inject(loss(), session)
    impairments.inject(Inject("a", "ice-never-completes", {}, 1), session)
    assert session.take(RTP) == 0
    impairments.lift(Lift("a", "ice-never-completes"), session)
    assert session.take(RTP) == 0
    impairments.lift(Lift("a", "packet-loss"), session)
    assert session.take(RTP) == 1
    impairments.lift(Lift("x", "packet-loss"), None)


async def test_end_of_an_attempt() -> None:
    """Nothing happens any more to an attempt that is over, and nothing is kept of it."""
    impairments, session = Impairments(), Session()
    impairments.inject(Inject("a", "peer-dies", {"after": 0.0}, 1), session)
    impairments.ended("a")
    impairments.stop()
    assert not impairments._faults
    assert not impairments._timers
    assert session.fell == []


def test_bounded() -> None:
    """Faults for attempts that never come do not pile up."""
    impairments = Impairments()
    for number in range(MAX_ATTEMPTS + 10):
        impairments.inject(loss(attempt=str(number)), None)
    assert len(impairments._faults) == MAX_ATTEMPTS


def test_unknown_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that the origin does not know is logged and does nothing."""
    session = Session()
    Impairments().inject(Inject("a", "flood", {}, 1), session)
    assert session.take(RTP) == 1
    assert "flood" in caplog.text
