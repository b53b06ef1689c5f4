"""A client with media for the rows that need a connection.

It is a publisher or a player of :mod:`smproxy.testing`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from smproxy.conformance.exchange import Protocol


class MediaPeer:
    """One media connection. ``states`` are those of the peer connection, as they came."""

    def __init__(self, protocol: Protocol) -> None:
        self.states: list[str] = []
        self._protocol = protocol
        self._changed = asyncio.Event()
        self._peer: Any = None

    async def offer(self) -> str:
        """Return an offer with all candidates: to send a test pattern and a tone, or to receive."""
        # Late: aiortc takes a third of a second to import.
        from smproxy.testing.publisher_peer import PublishingPeer
        from smproxy.testing.publishing_tracks import make_tracks
        from smproxy.testing.subscriber_peer import SubscribingPeer

        if self._protocol == "whip":
            tracks, _ = await make_tracks(
                {"audio", "video"}, "VP8", media=None, silent=False, pattern="test", stream="check"
            )
            self._peer = PublishingPeer(
                tracks, codec="VP8", channel=None, ipv6=False, on_state=self._state, on_text=_ignore
            )
            return await self._peer.complete_offer()  # type: ignore[no-any-return]
        self._peer = SubscribingPeer(
            channel=None,
            decode=False,
            ipv6=False,
            on_state=self._state,
            on_text=_ignore,
            on_arrival=_nothing,
            on_frame=_drop,
        )
        return await self._peer.offer_to_receive()  # type: ignore[no-any-return]

    def _state(self, state: str) -> None:
        self.states.append(state)
        self._changed.set()

    async def accept(self, answer: str, seconds: float) -> None:
        """Apply the answer and wait until ICE and DTLS are up.

        Raises:
            ValueError: the answer cannot be used, or the connection failed.
            TimeoutError: it did not come up in time.
        """
        await (self._peer.answer(answer) if self._protocol == "whip" else self._peer.take_answer(answer))
        if not await self.reached({"connected", "failed", "closed"}, seconds):
            raise TimeoutError(f"ICE and DTLS did not come up within {seconds:g} s")
        if "connected" not in self.states:
            raise ValueError(f"the peer connection is {self.states[-1]}")

    async def reached(self, states: set[str], seconds: float) -> bool:
        """Wait until the connection was in one of these states; False when that took longer."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not states & set(self.states):
            self._changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                return False
        return True

    async def received(self, seconds: float) -> bool:
        """Return whether media comes within so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not any(count.packets for count in self._peer.counts().values()):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def vanish(self) -> None:
        """Send nothing more, as when the network is gone."""
        self._peer.mute()

    async def close(self) -> None:
        """Close the connection, with a DTLS alert unless it vanished."""
        if self._peer is not None:
            await self._peer.close()


def _ignore(_text: str) -> None:
    pass


def _nothing() -> None:
    pass


def _drop(_kind: Any, _frame: Any) -> None:
    pass
