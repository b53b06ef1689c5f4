"""An origin whose media stack is imported when it is needed: what is there before, and what happens to those who wait."""

from __future__ import annotations

import asyncio
import logging
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection

import pytest
from smproxy.origin.front import OriginFront
from smproxy.origin.late_origin import LateOrigin
from smproxy.origin.origin import Origin
from smproxy.origin.settings import OriginSettings
from smproxy.origin.unfit_library import UnfitLibraryError
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import ATTEMPT_HEADER, Announce, Drain, Evict, Kick
from smproxy.signaling.payloads import Reason
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.helpers import eventually, scaled

MEDIA = {"aiortc", "av", "OpenSSL", "pylibsrtp", "cryptography"}
#: What some requests need, and a start does not.
ON_REQUEST = {"jwt", "prometheus_client", "smproxy.manager.rest.openapi"}


class Imported:
    """A late origin whose import the test ends."""

    def __init__(self, front: OriginFront, failure: Exception | None) -> None:
        self.front = front
        self.late = LateOrigin(front, self._start)
        self.done = asyncio.Event()
        self.started: Origin | None = None
        self._failure = failure

    async def _start(self, front: OriginFront) -> Origin:
        await self.done.wait()
        if self._failure is not None:
            raise self._failure
        self.started = await Origin.start(
            OriginSettings(), lambda _: None, clock=Clock(), rng=random.Random(1), front=front
        )
        return self.started

    async def connect(self, attempt: str) -> ClientConnection:
        self.late.command(Announce(attempt))
        url = f"ws://127.0.0.1:{self.late.hello.port}/live/?id=s1"
        return await connect(url, additional_headers={ATTEMPT_HEADER: attempt}, compression=None, proxy=None)


@asynccontextmanager
async def imported(failure: Exception | None = None) -> AsyncIterator[Imported]:
    """Have a late origin, and stop it at the end."""
    origin = Imported(await OriginFront.open(OriginSettings(), Clock()), failure)
    try:
        yield origin
    finally:
        origin.done.set()
        await asyncio.wait_for(origin.late.stop(), scaled(5))


async def test_who_comes_first_is_served_when_it_is_there() -> None:
    """A client that comes during the import has its WebSocket at once, and is greeted when the origin is there."""
    async with imported() as origin, await origin.connect("a1") as client:
        assert origin.started is None
        assert origin.late.shared_objects() == []
        assert await origin.late.thumbnail("live", "s1") is None
        origin.done.set()
        greeting = await asyncio.wait_for(client.recv(), scaled(10))
        assert "NetConnection.Connect.Success" in str(greeting)


async def test_nobody_comes_unannounced() -> None:
    """Before the origin is there, too, only announced clients are let in, and those that are not begin no import."""
    async with imported() as origin:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{origin.late.hello.port}/live/?id=s1", proxy=None)
        assert origin.late._loading is None


@pytest.mark.parametrize("command", [Kick("a1", Reason.KICKED), Evict("a1")], ids=["kick", "evict"])
async def test_who_is_ended_meanwhile_is_not_served(command: Kick | Evict) -> None:
    """A client that is kicked or evicted during the import is closed when it is over, and never greeted."""
    async with imported() as origin, await origin.connect("a1") as client:
        await eventually(lambda: origin.late._loading is not None)
        origin.late.command(command)
        origin.done.set()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), scaled(10))


async def test_commands_wait() -> None:
    """What the manager asked during the import holds when the origin is there."""
    async with imported() as origin:
        origin.late.command(Drain(True))
        origin.done.set()
        await origin.late.load()
        assert origin.started is not None
        assert origin.started.services.draining


async def test_an_origin_that_cannot_run(caplog: pytest.LogCaptureFixture) -> None:
    """When the libraries are unfit, clients are turned away, the log says why, and ``load`` raises it."""
    caplog.set_level(logging.ERROR, "smproxy.origin.late_origin")
    async with imported(UnfitLibraryError("aiortc is not as it was")) as origin, await origin.connect("a1") as client:
        await eventually(lambda: origin.late._loading is not None)
        origin.done.set()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), scaled(10))
        with pytest.raises(UnfitLibraryError, match="is not as it was"):
            await origin.late.load()
        assert [each.getMessage() for each in caplog.records] == ["the origin cannot run: aiortc is not as it was"]


async def test_stopped_before_anybody_came() -> None:
    """An origin that nobody needed is stopped without an import, and its port is free."""
    origin = Imported(await OriginFront.open(OriginSettings(), Clock()), None)
    port = origin.late.hello.port
    await origin.late.stop()
    assert origin.late._loading is None
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's
        await asyncio.to_thread(HTTPConnection("127.0.0.1", port).connect)


def test_a_simulator_without_media_imports_none() -> None:
    """A simulator that answers REST and has had no client has not imported the media stack; its first publisher does that.

    Nor what makes metrics, tokens and the OpenAPI document.
    """
    code = f"""
import sys, urllib.request
from smproxy.simulator import Simulator

def media():
    return sorted({MEDIA | ON_REQUEST!r} & set(sys.modules))

with Simulator() as simulator:
    with urllib.request.urlopen(simulator.rest_url + "/healthz") as answer:
        assert answer.status == 200
    assert media() == [], media()
    assert "smproxy.origin.origin" not in sys.modules
    with simulator.publisher("s1", customerScope="acme"):
        simulator.hooks.expect("connected", id="s1")
    assert "smproxy.origin.origin" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=scaled(60))
