"""A running simulator, a receiver of its hooks, and publishers, for tests of the whole."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from smproxy.origin.origin import Origin, OriginSettings
from smproxy.settings import Settings
from smproxy.settings.option_values import Address
from smproxy.signaling.clock import Clock
from smproxy.simulator import Simulator
from smproxy.testing import Publisher, WebhookReceiver

from tests.helpers import eventually

StartSimulator = Callable[..., Awaitable[Simulator]]
MakePublisher = Callable[..., Publisher]


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A real HTTP server that keeps what is posted to it."""
    async with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
async def start_simulator(tmp_path: Path) -> AsyncIterator[StartSimulator]:
    """Starts simulators on free ports and stops them after the test."""
    number = itertools.count()
    async with AsyncExitStack() as stack:

        async def start(receiver: WebhookReceiver | None = None, **settings: Any) -> Simulator:
            directory = tmp_path / f"data-{next(number)}"
            settings = {"port": 0, "tls_port": 0, "data_dir": directory} | settings
            if receiver is not None:
                settings["hook_uri"] = (receiver.url,)
            return await stack.enter_async_context(Simulator(Settings(**settings)))

        yield start


@dataclass
class LoneOrigin:
    """An origin by itself, that a manager knows by its address only."""

    origin: Origin

    @property
    def address(self) -> Address:
        """Its address for ``--origin``."""
        return Address(self.origin.hello.host, self.origin.hello.port)

    @property
    def url(self) -> str:
        """The URL of its scope "live"."""
        return f"ws://{self.address}/live"


@pytest.fixture
async def lone_origin() -> AsyncIterator[LoneOrigin]:
    """An origin without a manager, which takes everybody."""
    settings = OriginSettings(open_to_all=True)
    origin = await Origin.start(settings, lambda _: None, clock=Clock(), rng=random.Random(1))
    yield LoneOrigin(origin)
    await origin.stop()


async def published(simulator: Simulator, stream: Publisher) -> None:
    """Publish, and wait until the manager knows it: a transport is up at one end a moment before it is at the other."""
    await stream.publish()
    await eventually(lambda: stream.stream in [each.life.peer for each in simulator.manager.sessions.publishing()], 10)


@pytest.fixture
async def publisher() -> AsyncIterator[MakePublisher]:
    """Makes publishers and closes them after the test."""
    made: list[Publisher] = []

    def make(simulator: Simulator, stream: str = "s", **options: Any) -> Publisher:
        options["params"] = {"customerScope": "acme"} | options.get("params", {})
        made.append(Publisher(options.pop("url", simulator.url), stream=stream, **options))
        return made[-1]

    yield make
    for publisher in made:
        await publisher.close()
