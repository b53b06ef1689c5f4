"""Peer connections of the testing tools, and the publisher's; with ``subscriber_peer`` all that touches aiortc's private parts.

What is needed of them here (aiortc 1.16, aioice 0.13): loopback candidates, which aioice leaves out so that a machine with only
``lo`` would have none; the counters of the senders; picture loss indications; and silence, for a network that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aioice import ice
from aiortc import (
    InvalidStateError,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp

from smproxy.signaling.messages import Candidate
from smproxy.testing.media import Codec, PacedTrack
from smproxy.testing.private_names import require_private_names
from smproxy.testing.sdp_edit import as_browser_offer, receive_nothing
from smproxy.testing.well_formed import well_formed

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class TrackCount:
    """What was sent of one track: RTP packets, and bytes of their payloads."""

    packets: int = 0
    bytes: int = 0


class Peer:
    """An aiortc peer connection with loopback candidates, a data channel and a way to fall silent.

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

    def send(self, text: str) -> None:
        """Send a text on the data channel; ignored when it is not open, as the SDK does."""
        if self._channel is not None and self.channel_open:
            self._channel.send(well_formed(text))

    async def candidate(self, candidate: Candidate) -> None:
        """Add a trickled candidate. One that is malformed or late is dropped, as browsers and SDKs do."""
        try:
            parsed = candidate_from_sdp(candidate.candidate.removeprefix("candidate:"))
            parsed.sdpMid, parsed.sdpMLineIndex = candidate.sdp_mid, candidate.sdp_mline_index
            await self._pc.addIceCandidate(parsed)
        except (ValueError, IndexError, AssertionError, InvalidStateError):
            return

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
        """Gather host candidates before aiortc does, loopback included; aioice then sees that it was done."""
        addresses = ice.get_host_addresses(use_ipv4=True, use_ipv6=self._ipv6)
        for connection in self._connections():
            connection._local_candidates_start = True
            found = await connection.get_component_candidates(component=1, addresses=[LOOPBACK, *addresses])
            connection._local_candidates += found
            connection._local_candidates_end = True


class PublishingPeer(Peer):
    """A peer connection that only sends."""

    def __init__(
        self,
        tracks: Sequence[PacedTrack],
        *,
        codec: Codec,
        channel: str | None,
        ipv6: bool,
        on_state: Callable[[str], None],
        on_text: Callable[[str], None],
    ) -> None:
        super().__init__(ipv6=ipv6, on_state=on_state, on_text=on_text)
        self._counts: dict[str, TrackCount] = {}
        self._senders: dict[str, RTCRtpSender] = {}
        for track in tracks:
            transceiver = self._pc.addTransceiver(track, "sendonly")
            if track.kind == "video":
                # Only what the source is encoded in: a server with another preference could not be satisfied later.
                capabilities = RTCRtpSender.getCapabilities("video").codecs
                wanted = (f"video/{codec}".lower(), "video/rtx")
                transceiver.setCodecPreferences([c for c in capabilities if c.mimeType.lower() in wanted])
            self._senders[track.kind] = transceiver.sender
            setattr(transceiver.sender, "_send_keyframe", track.want_key_frame)  # noqa: B010 - shadows a method
        if channel is not None:
            # After the tracks: made before them, aiortc would stop the transport that they share when the answer comes.
            self._open_channel(channel)

    async def offer(self) -> tuple[str, list[Candidate]]:
        """Gather candidates and return the offer without them, as a browser trickles."""
        await self._gather()
        await self._pc.setLocalDescription(await self._pc.createOffer())
        sdp, candidates = as_browser_offer(self._pc.localDescription.sdp)
        return sdp, [Candidate(line, mid, index) for mid, index, line in candidates]

    async def answer(self, sdp: str) -> None:
        """Apply the server's answer.

        Raises:
            ValueError: It is not a usable answer to the offer; other exceptions of aiortc are turned into this one.
        """
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(receive_nothing(sdp), "answer"))
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error

    def counts(self) -> dict[str, TrackCount]:
        """Return what was sent so far, by kind of track."""
        for kind, sender in self._senders.items():
            packets = int(getattr(sender, "_RTCRtpSender__packet_count"))  # noqa: B009 - a mangled name
            octets = int(getattr(sender, "_RTCRtpSender__octet_count"))  # noqa: B009
            self._counts[kind] = TrackCount(packets, octets)
        return dict(self._counts)
