"""A connection inside of the process does for its protocols what one over the loopback does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from smproxy.pair_transport import connect_pair

from tests.helpers import eventually


class End(asyncio.Protocol):
    """One end, and what happened to it."""

    def __init__(self, keep_open: bool = False) -> None:
        self.keep_open = keep_open
        self.came = b""
        self.eof = self.lost = self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert not self.eof
        self.came += data

    def eof_received(self) -> bool:
        assert not self.eof
        self.eof = True
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        assert not self.lost
        self.lost = True

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False


Connecting = Callable[[End, End], Awaitable[None]]


async def inside(one: End, other: End) -> None:
    connect_pair(one, other)


async def over_loopback(one: End, other: End) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: other, "127.0.0.1", 0)
    await loop.create_connection(lambda: one, *server.sockets[0].getsockname())
    await eventually(lambda: hasattr(other, "transport"))
    server.close()


both = pytest.mark.parametrize("connecting", [inside, over_loopback])


@both
async def test_what_is_written_comes_in_order_and_then_the_end(connecting: Connecting) -> None:
    """All that was written before a close is delivered; then both ends are lost, each once."""
    one, other = End(), End()
    await connecting(one, other)
    other.transport.write(b"greeting")
    for number in range(10):
        one.transport.write(b"%d," % number)
    assert not other.came  # nothing happens within a write
    await eventually(lambda: one.came)
    one.transport.close()
    one.transport.write(b"too late")
    assert one.transport.is_closing()
    await eventually(lambda: one.lost and other.lost)
    assert (one.came, other.came, other.eof) == (b"greeting", b"0,1,2,3,4,5,6,7,8,9,", True)
    assert other.transport.is_closing()


@both
async def test_one_direction_ends_alone(connecting: Connecting) -> None:
    """After ``write_eof`` the other end may go on to write, if it keeps the connection open."""
    one, other = End(), End(keep_open=True)
    await connecting(one, other)
    assert one.transport.can_write_eof()
    one.transport.write(b"last words")
    one.transport.write_eof()
    await eventually(lambda: other.eof)
    other.transport.write(b"answer")
    await eventually(lambda: one.came == b"answer")
    assert not one.lost
    assert not other.lost
    other.transport.close()
    await eventually(lambda: one.lost and other.lost)
    assert other.came == b"last words"


@both
async def test_who_writes_waits_for_who_does_not_read(connecting: Connecting) -> None:
    """Writing pauses above the mark and goes on once all is read; nothing is lost, and a pause hides the end."""
    one, other = End(), End()
    await connecting(one, other)
    one.transport.set_write_buffer_limits(high=1000)
    other.transport.pause_reading()
    for _ in range(100):
        one.transport.write(bytes(100_000))
    assert one.paused
    assert not other.came
    other.transport.resume_reading()
    await eventually(lambda: not one.paused)
    other.transport.pause_reading()
    one.transport.close()
    other.transport.resume_reading()
    await eventually(lambda: one.lost and other.lost)
    assert len(other.came) == 10_000_000


@both
async def test_an_aborted_connection_is_lost_at_both_ends(connecting: Connecting) -> None:
    """Abort ends it at once, and the other end learns of it."""
    one, other = End(), End()
    await connecting(one, other)
    one.transport.abort()
    await eventually(lambda: one.lost and other.lost)


@both
async def test_a_protocol_gives_its_place_to_another(connecting: Connecting) -> None:
    """What comes after ``set_protocol`` goes to the other protocol, and so does the end."""
    one, other, heir = End(), End(), End()
    await connecting(one, other)
    other.transport.set_protocol(heir)
    one.transport.write(b"hello")
    await eventually(lambda: heir.came == b"hello")
    one.transport.close()
    await eventually(lambda: heir.lost)
    assert not other.came
    assert not other.lost
