"""What a session leaves behind in memory when it is over."""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from collections.abc import Iterator

from smproxy.manager.attempt import Attempt
from smproxy.manager.listener import Connection
from smproxy.manager.relay.connection import RelayedConnection
from smproxy.manager.relay.leg import Leg
from smproxy.manager.relay.refusal import Refusal
from smproxy.manager.relay.scanner import FrameScanner
from smproxy.manager.upgrade import UpgradeRequest
from smproxy.simulator import Simulator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.helpers import eventually
from tests.integration.relay_rig import echo, origin

#: What each session through the proxy has.
OF_A_SESSION = (Attempt, Connection, FrameScanner, Leg, Refusal, RelayedConnection, UpgradeRequest)


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cycle collector from running."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> Counter[str]:
    """Count what sessions have, in use or not."""
    return Counter(type(thing).__name__ for thing in gc.get_objects() if type(thing) in OF_A_SESSION)


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
