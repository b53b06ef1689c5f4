"""Media faults at the origin: which datagrams are lost, and faults that come before their attempt."""

from __future__ import annotations

import random
import time

import pytest
from smproxy.faults.media.network import Network
from smproxy.faults.media.packet_loss import BurstLoss
from smproxy.faults.parameter import FaultError
from smproxy.log_fields import about
from smproxy.origin.ice import Credentials, IceLite
from smproxy.origin.injected_faults import MAX_ATTEMPTS, InjectedFaults
from smproxy.origin.media_sockets import OwnPorts
from smproxy.signaling.node_channel import Inject, Lift
from smproxy.signaling.payloads import ConnectError, Reason

from tests.helpers import eventually

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
        self.about = about()
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
    return Inject(attempt, "f1", "packet-loss", {"percent": percent, "burst": burst}, 7)


@pytest.mark.parametrize(("percent", "burst"), [(0, 1), (10, 1), (30, 5), (90, 3), (100, 1)])
def test_loss(percent: float, burst: int) -> None:
    """About the wished part is lost, in bursts of the wished length, the same packets for the same seed, and never RTCP."""

    def passed() -> list[bool]:
        sieve = BurstLoss(percent, burst, random.Random(3))
        return [sieve(RTP) for _ in range(4000)]

    outcome = passed()
    assert outcome == passed()
    lost = 100 * outcome.count(False) / len(outcome)
    assert abs(lost - percent) < 6
    runs = "".join("x" if not each else " " for each in outcome).split()
    if 0 < percent < 100:
        assert all(len(run) % burst == 0 for run in runs[:-1])
    assert all(BurstLoss(100, 1, random.Random(1))(RTCP) for _ in range(100))


def test_fault_waits_for_its_attempt() -> None:
    """A fault that comes before the origin knows the attempt acts when it does, and on no other."""
    faults = InjectedFaults()
    faults.inject(loss(), None)
    other, session = Session("b"), Session("a")
    faults.negotiating(other)
    faults.negotiating(session)
    assert other.take(RTP, RTCP) == 2
    assert session.take(RTP, RTCP) == 1


def test_lift() -> None:
    """A fault that is lifted acts no more; another one on the same attempt goes on."""
    faults, session = InjectedFaults(), Session()
    faults.inject(loss(), session)
    faults.inject(Inject("a", "f2", "ice-never-completes", {}, 1), session)
    assert session.take(RTP) == 0
    faults.lift(Lift("a", "f2"), session)
    assert session.take(RTP) == 0
    faults.lift(Lift("a", "f1"), session)
    assert session.take(RTP) == 1
    faults.lift(Lift("x", "f1"), None)


async def test_faults_act_together() -> None:
    """Each fault of an attempt acts whatever the others do, and takes with it only what it did itself."""
    faults, session = InjectedFaults(), Session()
    faults.inject(Inject("a", "f1", "packet-loss", {"percent": 0.0}, 1), session)
    faults.inject(Inject("a", "f2", "media-stops", {"after": 0.0, "what": "rtp"}, 1), session)
    await eventually(lambda: session.take(RTP, RTCP) == 1)
    faults.lift(Lift("a", "f1"), session)
    assert session.take(RTP, RTCP) == 1
    faults.lift(Lift("a", "f2"), session)
    assert session.take(RTP, RTCP) == 2


async def test_the_latest_network_holds_for_each_direction() -> None:
    """Of several bad networks the latest holds, by direction; with its end the one before it is back."""
    faults, session = InjectedFaults(), Session()
    ice = session.transport.ice
    await OwnPorts(lambda: ("127.0.0.1",)).open(ice)

    def delays() -> tuple[float | None, float | None]:
        return tuple(None if line is None else line.link.conditions.delay for line in (ice._up, ice._down))

    faults.inject(Inject("a", "f1", "network", {"delay": 10}, 1), session)
    assert delays() == (10, 10)
    faults.inject(Inject("a", "f2", "network", {"profile": "satellite", "direction": "up", "rate": 0}, 1), session)
    assert delays() == (280, 10)
    faults.lift(Lift("a", "f1"), session)
    assert delays() == (280, None)
    faults.inject(Inject("a", "f3", "network", {"scenario": "0 delay=5;0.02 4g;0.04 delay=7", "repeat": 2}, 1), session)
    await eventually(lambda: delays() == (5, 5))
    await eventually(lambda: delays() == (7, 7))
    await eventually(lambda: delays() == (5, 5), 10)
    faults.ended("a")
    ice.close()
    assert delays() == (None, None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"profile": "5g"}, "good, 2g, 3g"),
        ({"delay": 20_000}, "from -1 to 10000"),
        ({"scenario": "5 5g"}, "no profile '5g'"),
        ({"scenario": "5 3g", "repeat": 3}, "repeat=3"),
        ({"repeat": 3}, "repeat=3"),
    ],
)
def test_mistakes_of_a_network(given: dict[str, object], says: str) -> None:
    """What cannot be is refused when the fault is switched on, with what is allowed."""
    with pytest.raises(FaultError, match=says):
        Network.read(given)


async def test_end_of_an_attempt() -> None:
    """Nothing happens any more to an attempt that is over, and nothing is kept of it."""
    faults, session = InjectedFaults(), Session()
    faults.inject(Inject("a", "f1", "peer-dies", {"after": 0.0}, 1), session)
    faults.ended("a")
    faults.stop()
    assert not faults._attempts
    assert session.fell == []


def test_bounded() -> None:
    """Faults for attempts that never come do not pile up."""
    faults = InjectedFaults()
    for number in range(MAX_ATTEMPTS + 10):
        faults.inject(loss(attempt=str(number)), None)
    assert len(faults._attempts) == MAX_ATTEMPTS


def test_unknown_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A fault or a value that the origin does not know is logged and does nothing."""
    session = Session()
    for fault, parameters in (("flood", {}), ("latency", {}), ("packet-loss", {"percent": 101})):
        InjectedFaults().inject(Inject("a", "f1", fault, parameters, 1), session)
        assert fault in caplog.text
    assert session.take(RTP) == 1
