"""What a session leaves behind in memory when it is over."""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from collections.abc import Container, Iterator

import pytest
from smproxy.manager.attempt import Attempt
from smproxy.manager.listener import Connection
from smproxy.manager.relay.connection import RelayedConnection
from smproxy.manager.relay.leg import Leg
from smproxy.manager.relay.refusal import Refusal
from smproxy.manager.relay.scanner import FrameScanner
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.origin.aiortc_adapter import Link
from smproxy.origin.aiortc_dtls import DtlsTransport
from smproxy.origin.client_session import ClientSession
from smproxy.origin.client_socket import ClientSocket
from smproxy.origin.forward.track_forwarder import TrackForwarder
from smproxy.origin.ice import IceLite
from smproxy.origin.local_socket import OwnSocket
from smproxy.origin.outputs import PublisherOutputs
from smproxy.origin.publisher import PublisherRole
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.publisher_transport import PublisherTransport
from smproxy.origin.source import Source
from smproxy.origin.track import Track
from smproxy.origin.transport import MediaTransport
from smproxy.simulator import Simulator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.helpers import eventually
from tests.integration.origin_client import client, running
from tests.integration.relay_rig import echo, origin

#: What each session through the proxy has.
OF_A_SESSION = (Attempt, Connection, FrameScanner, Leg, Refusal, RelayedConnection, UpgradeRequest)
#: What each publish has at its origin.
OF_A_PUBLISH = (
    ClientSession, ClientSocket, DtlsTransport, IceLite, Link, MediaTransport, OwnSocket, PublisherOutputs, PublisherRole,
    PublisherSignaling, PublisherTransport, Source, Track, TrackForwarder,
)  # fmt: skip


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cycle collector from running."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(kinds: Container[type] = OF_A_SESSION) -> Counter[str]:
    """Count what sessions have, in use or not."""
    return Counter(type(thing).__name__ for thing in gc.get_objects() if type(thing) in kinds)


async def test_a_session_is_freed_at_its_end_and_not_by_the_collector() -> None:
    """The objects of a connection are gone when it is over, also of one that was refused: thousands of short ones do not
    pile up until the cycle collector comes."""
    async with origin(echo) as port, Simulator(origin=[f"127.0.0.1:{port}"], local_origin=False) as simulator:

        async def visit(query: str) -> None:
            with contextlib.suppress(ConnectionClosed):
                async with connect(f"{simulator.url}?{query}", subprotocols=[Subprotocol("json")]) as client:
                    await client.send('{"log":"hello"}')
                    await client.recv()

        queries = ("id=s1&customerScope=a", "id=s1&host=nowhere", "id=s1&recording=perhaps")
        for query in queries:
            await visit(query)
        await eventually(lambda: not simulator.manager.sessions.attempts)
        with no_collector():
            before = alive()
            for query in queries * 5:
                await visit(query)
            await eventually(lambda: not (alive() - before))


@pytest.mark.parametrize("data", [False, True])
async def test_a_publish_is_freed_at_its_end_and_not_by_the_collector(data: bool) -> None:
    """So are the objects of a publish at the origin, with and without a data channel: there were 180 of them."""
    async with running() as (streams, reports):

        async def publish(attempt: str) -> None:
            async with client(streams, attempt=attempt) as publisher:
                await publisher.publish("s1", data=data)
                await reports.until("TrackStarted", attempt)
            await reports.until("PeerEnded", attempt)

        await publish("a1")
        with no_collector():
            before = alive(OF_A_PUBLISH)
            await publish("a2")
            await eventually(lambda: not (alive(OF_A_PUBLISH) - before), 5, "something of the publish is left")
