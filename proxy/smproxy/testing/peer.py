"""What the peer connections of the testing tools have in common.

The modules named ``…_peer`` are all that touches aiortc's
private parts.

What is needed of them here (aiortc 1.16, aioice 0.13): loopback candidates, which aioice leaves out so that a machine with only
``lo`` would have none; the counters of the senders; picture loss indications; and silence, for a network that is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioice import ice
from aiortc import (
    InvalidStateError,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
)
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp

from smproxy.signaling.messages import Candidate
from smproxy.testing.private_names import require_private_names
from smproxy.testing.sdp_edit import as_http_offer
from smproxy.testing.well_formed import well_formed

LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"


class Peer:
    """An aiortc peer connection with loopback candidates and a data channel.

    ``on_state`` is told each connection state, ``on_text`` each text that comes on the data channel.
    """

    def __init__(self, *, ipv6: bool, on_state: Callable[[str], None], on_text: Callable[[str], None]) -> None:
        require_private_names()
        self._ipv6 = ipv6
        self._on_text = on_text
        self._muted = False
        self._channel: RTCDataChannel | None = None
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._pc = RTCPeerConnection(configuration)
        self._pc.on("connectionstatechange", lambda: None if self._muted else on_state(self._pc.connectionState))

    @property
    def channel_open(self) -> bool:
        """Whether the data channel can be written to."""
        return self._channel is not None and self._channel.readyState == "open" and not self._muted

    def when_channel_open(self, callback: Callable[[], None]) -> None:
        """Call back once the data channel can be written to, at once if it can."""
        if self.channel_open:
            callback()
        elif self._channel is not None:
            self._channel.once("open", lambda: None if self._muted else callback())

    def send(self, text: str) -> None:
        """Send a text on the data channel; ignored when it is not open, as the SDK does."""
        if self._channel is not None and self.channel_open:
            self._channel.send(well_formed(text))

    async def candidate(self, candidate: Candidate) -> None:
        """Add a trickled candidate.

        One that is malformed or late is dropped, as browsers and SDKs do.
        """
        try:
            parsed = candidate_from_sdp(candidate.candidate.removeprefix("candidate:"))
            parsed.sdpMid, parsed.sdpMLineIndex = candidate.sdp_mid, candidate.sdp_mline_index
            await self._pc.addIceCandidate(parsed)
        except (ValueError, IndexError, AssertionError, InvalidStateError):
            return

    async def complete_offer(self) -> str:
        """Gather candidates and return the offer with all of them, as for WHIP and WHEP."""
        await self._gather()
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return as_http_offer(self._pc.localDescription.sdp)

    def mute(self) -> None:
        """Drop all packets in both directions from now on, as a lost network does."""
        self._muted = True

        async def drop_data(*_: Any) -> None:
            return None

        def drop(*_: Any) -> None:
            return None

        for connection in self._connections():
            for protocol in connection._protocols:
                # On the instances only: other peers of the process share these classes.
                vars(protocol).update(send_data=drop_data, send_stun=drop, datagram_received=drop)

    async def close(self) -> None:
        """Close the peer connection, its sockets and its tasks."""
        self._muted = True
        await self._pc.close()

    def _open_channel(self, label: str) -> None:
        """Make the data channel; an aiortc peer must have its media sections before."""
        self._channel = self._pc.createDataChannel(label)
        self._channel.on(
            "message", lambda text: self._on_text(text) if isinstance(text, str) and not self._muted else None
        )

    def _connections(self) -> set[Any]:
        transports = {t.receiver.transport.transport for t in self._pc.getTransceivers()}
        if self._pc.sctp is not None:
            transports.add(self._pc.sctp.transport.transport)
        return {transport._connection for transport in transports}

    async def _gather(self) -> None:
        """Gather host candidates before aiortc does, loopback included.

        aioice then sees that it was done.
        """
        addresses = ice.get_host_addresses(use_ipv4=True, use_ipv6=self._ipv6)
        addresses += [LOOPBACK_6] if self._ipv6 else []
        for connection in self._connections():
            connection._local_candidates_start = True
            found = await connection.get_component_candidates(component=1, addresses=[LOOPBACK, *addresses])
            connection._local_candidates += found
            connection._local_candidates_end = True
