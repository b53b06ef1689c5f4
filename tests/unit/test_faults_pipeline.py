"""What faults can do to a relayed session, and a leg that keeps what it hears; without sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.manager.relay.delayed_leg import MAX_WAITING, DelayedLeg
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.frames import apply_mask, text_frame
from smproxy.manager.relay.scanner import FrameScanner
from smproxy.signaling.payloads import ConnectError

from tests.helpers import eventually
from tests.hooks_support import run_virtual


class Leg:
    """A leg that writes down what is said to it."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def send_frame(self, frame: bytes) -> bool:
        self.said.append(frame)
        return True


class Relayed:
    """A session that writes down how it is ended."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    def close(self, code: int, reason: str) -> None:
        self.ended.append((code, reason))

    def abort(self) -> None:
        self.ended.append("abort")


def idle() -> SignalingFault:
    """Make a fault that does nothing."""
    return SignalingFault({}, random.Random(1))


class Adding(SignalingFault):
    """Adds a letter to all that passes."""

    def __init__(self, letter: str) -> None:
        super().__init__({}, random.Random(1))
        self.letter = letter

    def from_client(self, message: Message) -> Sequence[Message]:
        return (Message(f"{message.text}{self.letter}"),)

    from_origin = from_client


class Failing(SignalingFault):
    """Fails at everything."""

    def opened(self) -> None:
        raise RuntimeError("opened")

    def from_origin(self, message: Message) -> Sequence[Message]:
        raise RuntimeError("message")


def pipeline(*faults: SignalingFault, **options: Any) -> tuple[FaultPipeline, Relayed, Leg, Leg, list[Any]]:
    """Make a pipeline of some faults, attached to a connection."""
    noted: list[Any] = []
    made = FaultPipeline([(fault, noted.append) for fault in faults], report_refusal=noted.append, **options)
    session, client, origin = Relayed(), Leg(), Leg()
    made.attach(session, client, origin, random.Random(1), None)  # type: ignore[arg-type]
    return made, session, client, origin, noted


def test_faults_in_their_order() -> None:
    """A message passes all faults, one after the other; what is unchanged keeps its very frames."""
    made, *_ = pipeline(Adding("a"), Adding("b"))
    assert made.from_origin(b"x", b"frames") == text_frame("xab")
    untouched, *_ = pipeline(idle())
    assert untouched.from_client(b"x", b"frames") == b"frames"
    assert untouched.from_origin(None, b"binary") == b"binary"


def test_to_the_origin_in_masked_frames() -> None:
    """What a fault says to the origin is masked, as a client's frames must be."""
    made, *_ = pipeline(Adding("a"))
    frame = made.from_client(b"x", b"frames")
    assert frame[1] == 0x80 | 2
    assert apply_mask(frame[6:], frame[2:6]) == b"xa"


def test_a_fault_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that raises is logged, and the message goes on as if there were none."""
    made, *_ = pipeline(Failing({}, random.Random(1)), idle())
    made.opened()
    assert made.from_origin(b"x", b"frames") == b"frames"
    assert caplog.text.count("a fault failed") == 2


def test_withheld_by_the_filter() -> None:
    """What an origin filter withholds, no fault sees."""
    made, *_ = pipeline(Adding("a"), origin_filter=lambda message: False)
    assert made.from_origin(b"x", b"frames") == b""


def test_what_a_fault_can_do() -> None:
    """A fault says, forwards, closes and notes; closing waits until the message in hand has passed."""

    async def main() -> None:
        fault = idle()
        made, session, client, origin, noted = pipeline(fault)
        fault.session.send("client", "hello")
        fault.session.forward("origin", [Message(b"x", b"kept")])
        fault.session.acted("once")
        fault.session.acted("twice")
        fault.session.close(4000, "enough")
        fault.session.report_refusal(ConnectError.REJECTED)
        assert (client.said, origin.said, session.ended) == ([text_frame("hello")], [b"kept"], [])
        await asyncio.sleep(0.1)
        assert session.ended == [(4000, "enough")]
        assert noted == ["once", ConnectError.REJECTED]
        fault.session.close(1006, "")
        await asyncio.sleep(0.1)
        assert session.ended[1:] == ["abort"]
        fault.session.later(5, lambda: noted.append("late"))
        made.stop()
        await asyncio.sleep(10)
        fault.session.send("client", "after the end")
        fault.session.later(0, lambda: noted.append("never"))
        fault.session.close(4000, "again")
        await asyncio.sleep(1)
        assert (len(client.said), len(session.ended), noted[2:]) == (1, 2, [])

    run_virtual(main())


class Transport:
    """A transport that can be paused."""

    def __init__(self) -> None:
        self.reading = True
        self.aborted = False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        pass


class Session:
    """A session that hears its leg."""

    def __init__(self, seconds: list[float]) -> None:
        self.heard: list[Any] = []
        reader = FrameScanner(masked=False, max_message=2**20)
        self.leg = DelayedLeg(self, "origin", reader, self.heard.append, lambda: seconds.pop(0))
        self.transport = Transport()
        self.leg.attach(self.transport, 1)  # type: ignore[arg-type]
        self.leg.write = self.heard.append
        self.leg.spliced = True

    def on_data_unspliced(self, leg: Any, data: bytes) -> None:
        self.heard.append(data)

    def on_reader_ended(self, leg: Any) -> None:
        self.heard.append("ended")

    def on_eof(self, leg: Any) -> bool:
        self.heard.append("eof")
        return False

    def on_lost(self, leg: Any) -> None:
        self.heard.append("lost")


def test_slow_leg_keeps_order() -> None:
    """Data, its end and the loss of the connection are heard late and in order, whatever each is delayed by."""

    async def main() -> None:
        session = Session([3.0, 1.0, 0.0, 0.0])
        leg = session.leg
        leg.data_received(text_frame("a"))
        leg.data_received(text_frame("b"))
        assert leg.eof_received()
        leg.connection_lost(None)
        await asyncio.sleep(2.9)
        assert session.heard == []
        await asyncio.sleep(0.2)
        assert [each for each in session.heard if each in (b"a", b"b", "eof", "lost")] == [b"a", b"b", "eof", "lost"]

    run_virtual(main())


def test_slow_leg_without_delay() -> None:
    """Without a delay everything is heard at once."""

    async def main() -> None:
        session = Session([0.0, 0.0])
        session.leg.data_received(text_frame("a"))
        session.leg.connection_lost(None)
        assert session.heard == [text_frame("a"), b"a", "lost"]

    run_virtual(main())


def test_slow_leg_is_bounded() -> None:
    """A leg is not read while too much waits, and read again after that."""

    async def main() -> None:
        session = Session([1.0] * 100)
        frame = text_frame("x" * 60_000)
        for _ in range(MAX_WAITING // len(frame) + 2):
            session.leg.data_received(frame)
        assert not session.transport.reading
        await asyncio.sleep(2)
        assert session.transport.reading

    run_virtual(main())


async def test_slow_leg_is_aborted() -> None:
    """Aborting drops what waits, but not the loss of the connection, which has happened already."""
    session = Session([100.0, 100.0])
    session.leg.data_received(text_frame("a"))
    session.leg.connection_lost(None)
    session.leg.abort()
    await eventually(lambda: session.heard == ["lost"])
    assert session.transport.aborted


def test_slow_leg_let_go() -> None:
    """A leg that its session has let go of has no timer, and hears nothing."""

    async def main() -> None:
        session = Session([1.0])
        session.leg.data_received(text_frame("a"))
        session.leg.detach()
        session.leg.data_received(text_frame("b"))
        session.leg.connection_lost(None)
        await asyncio.sleep(5)
        assert session.heard == []

    run_virtual(main())
