"""Faults that a user writes: one class, switched on without being added anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from smproxy.faults import FaultError, Layer, Parameter
from smproxy.faults.admission_fault import AdmissionFault, HttpError
from smproxy.faults.hook_fault import HookEventView, HookFault
from smproxy.faults.media_fault import MediaFault
from smproxy.faults.origin_fault import OriginFault
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.testing import PublishRejected, PublishTimeout, WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.lives import last, spell

PAGE = Path(__file__).parents[2] / "docs" / "add-a-fault.md"


async def test_the_example_of_the_documentation(start_simulator: StartSimulator, publisher: MakePublisher) -> None:
    """The class in docs/add-a-fault.md can be switched on as written there, and does what it says."""
    simulator = await start_simulator()
    (*_, example) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"simulator": simulator}
    exec(example, names)
    with pytest.raises(PublishTimeout, match="starting"):
        await publisher(simulator, "s1", timeout=0.7).publish()
    assert names["fault"].injected == 1
    assert [(entry.fault, entry.detail) for entry in simulator.faults.log()] == [("wrong-name", "s2")]
    await published(simulator, publisher(simulator, "s3"))


class Teapot(AdmissionFault):
    """Refuse with a status of its own."""

    name = "teapot"
    layer = Layer.SIGNALING
    effect = "The upgrade is refused."
    publish = "rejects"

    status = Parameter(418, "HTTP status", 400, 599)

    def refuse(self) -> HttpError:
        return HttpError(self.status)


class Deaf(SignalingFault):
    """Lose what the client asks first."""

    name = "deaf"
    effect = "`isAvailable` never reaches the origin."
    publish = "stays pending"

    def from_client(self, message: Message) -> Sequence[Message]:
        self.session.acted()
        return ()


class LoseAtOnce(OriginFault):
    """Lose the first session."""

    name = "lose-at-once"
    effect = "An origin loses its sessions soon."
    publish = "resolves"

    def first_session(self) -> None:
        self.origin.later(0.5, self.origin.lose_sessions)


class Twice(HookFault):
    """Deliver everything twice."""

    name = "twice"
    effect = "Every event comes twice."
    publish = "resolves"

    def take(self, event: HookEventView) -> int:
        return 2


async def test_a_class_for_each_layer(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """What admits, what relays, what loses origins and what delivers hooks carry out any class of their layer."""
    simulator = await start_simulator(receiver)
    simulator.faults.add(Teapot, id="a", status="410")  # type: ignore[arg-type]
    simulator.faults.add(Deaf, id="b")
    simulator.faults.add(LoseAtOnce, id="c")
    simulator.faults.add(Twice, id="c")
    with pytest.raises(PublishRejected, match="HTTP 410"):
        await publisher(simulator, "a").publish()
    with pytest.raises(PublishTimeout, match="isAvailable"):
        await publisher(simulator, "b", timeout=0.7).publish()
    await published(simulator, publisher(simulator, "c"))
    await eventually(lambda: receiver.events and last(receiver).get("state") == "disconnected", 10)
    own = [spell(hook.event) for hook in receiver.hooks if hook.event["connection"]["id"] == "c"]
    assert own[:4] == ["connecting", "connecting", "connected", "connected"]
    assert {entry.fault for entry in simulator.faults.log()} == {"teapot", "deaf", "lose-at-once"}


async def test_origins_know_their_catalog(start_simulator: StartSimulator) -> None:
    """A media fault of one's own is refused: it would be carried out elsewhere, by its name."""

    class Mine(MediaFault):
        name = "mine"

    simulator = await start_simulator()
    with pytest.raises(FaultError, match="origins know only"):
        simulator.faults.add(Mine)
