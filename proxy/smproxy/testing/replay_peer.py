"""The media of a replay.

A real peer connection in place of the recorded one, whose keys and addresses are gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from smproxy.signaling.messages import Candidate
from smproxy.testing.media import Codec, Kind
from smproxy.testing.peer import Peer
from smproxy.testing.publisher_peer import PublishingPeer
from smproxy.testing.publishing_tracks import make_tracks
from smproxy.testing.subscriber_peer import SubscribingPeer


class ReplayPeer:
    """Made of the first recorded description; offers, or answers, with one of its own.

    ``on_text`` is told what comes on the data channel.
    """

    def __init__(self, *, ipv6: bool, on_text: Callable[[str], None]) -> None:
        self._ipv6 = ipv6
        self._on_text = on_text
        self._peer: Peer | None = None

    @property
    def channel_open(self) -> bool:
        """Whether the data channel can be written to."""
        return self._peer is not None and self._peer.channel_open

    async def offer(self, recorded: str) -> tuple[str, Sequence[Candidate]]:
        """Return an offer of the same kinds of media as the recorded one, and its candidates."""
        kinds = _kinds(recorded)
        # Of what the recorded client offered first; a server may refuse the other.
        codec: Codec = "H264" if "VP8/90000" not in recorded and "H264/90000" in recorded else "VP8"
        known: tuple[Kind, ...] = ("audio", "video")
        wanted = {kind for kind in known if kind in kinds}
        tracks, _ = await make_tracks(wanted, codec, media=None, silent=False, pattern="test", stream="")
        peer = PublishingPeer(
            tracks,
            codec=codec,
            channel="red5pro" if "application" in kinds else None,
            ipv6=self._ipv6,
            on_state=_ignore,
            on_text=self._on_text,
        )
        await self._replace(peer)
        return await peer.offer()

    async def answered(self, sdp: str) -> None:
        """Apply the server's answer to our offer.

        Raises:
            ValueError: it cannot be used.
        """
        if isinstance(self._peer, PublishingPeer):
            await self._peer.answer(sdp)

    async def answer(self, offer: str) -> tuple[str, Sequence[Candidate]]:
        """Return an answer to the server's offer, and its candidates.

        Raises:
            ValueError: the offer cannot be used.
        """
        peer = SubscribingPeer(
            channel="red5pro" if "application" in _kinds(offer) else None,
            decode=False,
            ipv6=self._ipv6,
            on_state=_ignore,
            on_text=self._on_text,
            on_arrival=lambda: None,
            on_frame=lambda kind, frame: None,
        )
        await self._replace(peer)
        return await peer.answer(offer)

    async def candidate(self, candidate: Candidate) -> None:
        """Add a candidate of the server."""
        if self._peer is not None:
            await self._peer.candidate(candidate)

    def send(self, text: str) -> None:
        """Send a text on the data channel."""
        if self._peer is not None:
            self._peer.send(text)

    async def close(self) -> None:
        """Close the peer connection."""
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.close()

    async def _replace(self, peer: Peer) -> None:
        await self.close()
        self._peer = peer


def _kinds(sdp: str) -> list[str]:
    return re.findall(r"(?m)^m=(\w+) ", sdp)


def _ignore(_: str) -> None:
    """The state of the connection shows in what the server sends."""
