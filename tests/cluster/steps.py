"""What tests of failing nodes do and wait for."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import pytest
from nats.js.errors import NoKeysError
from smproxy.cluster.records import Bucket, is_death
from smproxy.testing import Publisher, PublishRejected, ReceivedHook, WebhookReceiver

from tests.cluster import model
from tests.cluster.model import Event
from tests.cluster.processes import TTL, NodeProcess
from tests.helpers import eventually, eventually_reads
from tests.nats_server import NatsServer

#: How often each failure is tried, and how many clients there are beside; ``make torture-cluster`` sets more.
RUNS = int(os.environ.get("SMPROXY_CLUSTER_RUNS", "1"))
LOAD = int(os.environ.get("SMPROXY_CLUSTER_LOAD", "1"))
#: Seconds for which the registry is down: longer than every lease.
OUTAGE = float(os.environ.get("SMPROXY_CLUSTER_OUTAGE", TTL * 2))
RACES = int(os.environ.get("SMPROXY_CLUSTER_RACES", "6"))

runs = pytest.mark.parametrize("run", range(RUNS))


def node(name: str, registry: str, directory: Path, receiver: WebhookReceiver, roles: str) -> NodeProcess:
    """Make a node whose hooks go to the receiver."""
    return NodeProcess(name, registry, directory, "--roles", roles, "--hook-uri", receiver.url)


def has(receiver: WebhookReceiver, state: str, stream: str) -> bool:
    """Whether an event of a stream has come."""
    return any(hook.state == state and hook.event["connection"]["id"] == stream for hook in receiver.hooks)


async def live(stack: AsyncExitStack, receiver: WebhookReceiver, *streams: Publisher) -> None:
    """Publish, until the hooks of the media have come; the streams are closed with the stack."""
    for stream in streams:
        stack.push_async_callback(stream.close)
    await asyncio.gather(*(stream.publish() for stream in streams))
    for stream in streams:
        await eventually(lambda name=stream.stream: has(receiver, "remote_track_started", name), 10)


class WithholdingReceiver(WebhookReceiver):
    """Refuses the hooks of a stream from one state on, as one that is down for them, until ``withheld`` is cleared."""

    def __init__(self, stream: str, state: str) -> None:
        super().__init__(self._answer)
        self.withheld: tuple[str, str] | None = (stream, state)
        self.took: list[Event] = []

    def _answer(self, hook: ReceivedHook) -> int:
        if (hook.event["connection"]["id"], hook.state) == self.withheld:
            return 503
        self.took.append(hook.event)
        return 204


def deliveries(receiver: WebhookReceiver) -> list[Event]:
    """Return everything that was delivered, with what came again."""
    return receiver.took if isinstance(receiver, WithholdingReceiver) else [hook.event for hook in receiver.hooks]


async def settled(receiver: WebhookReceiver, seconds: float, *, away: Collection[int] = ()) -> None:
    """Wait until every session has an end and all its hooks, and check all that must hold.

    ``away``: the numbers of nodes that are dead or frozen still.
    """
    await eventually(lambda: model.over(deliveries(receiver), away), seconds, "not every session is over")
    model.check(deliveries(receiver), away)


async def left_over(registry: NatsServer) -> set[str]:
    """Return the claims and sessions that the registry has, deaths that are remembered aside."""
    client = await nats.connect(registry.url)
    try:
        found: set[str] = set()
        for bucket in (Bucket.STREAMS, Bucket.SESSIONS):
            with contextlib.suppress(NoKeysError):
                found |= set(await (await client.jetstream().key_value(bucket)).keys())
        return {key for key in found if not is_death(key)}
    finally:
        await client.close()


async def all_over(
    receiver: WebhookReceiver, registry: NatsServer, seconds: float, *, away: Collection[int] = ()
) -> None:
    """Wait until every session is over, check all that must hold, and that no name is claimed any more."""
    await settled(receiver, seconds, away=away)
    await eventually_reads(lambda: left_over(registry), lambda found: not found, TTL * 2 + 10)


async def all_end(receiver: WebhookReceiver, streams: Sequence[str], seconds: float) -> None:
    """Wait until these streams have ended."""
    await eventually(
        lambda: all(has(receiver, "disconnected", each) for each in streams), seconds, f"not all {streams}"
    )


async def published_when_free(make: Callable[[], Publisher]) -> Publisher:
    """Publish a name as soon as the lease of the node that had it is over: at the latest two seconds after it."""

    async def attempt() -> Publisher | None:
        stream = make()
        try:
            await stream.publish()
        except PublishRejected as error:
            await stream.close()
            if "already has a broadcast session" not in str(error):
                raise
            return None
        return stream

    stream = await eventually_reads(attempt, lambda each: each is not None, TTL + 2)
    assert stream is not None
    return stream


async def passes(seconds: float) -> None:
    """Let time pass in which nothing may happen."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    await eventually(lambda: loop.time() > end, seconds + 5)
