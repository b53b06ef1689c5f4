"""The publisher's peer connection: sends, and counts what it sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiortc import RTCRtpSender, RTCSessionDescription

from smproxy.signaling.messages import Candidate
from smproxy.testing.counts import TrackCount
from smproxy.testing.media import Codec, PacedTrack
from smproxy.testing.peer import Peer
from smproxy.testing.sdp_edit import as_browser_offer, receive_nothing


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

    async def round_trip_time(self) -> float | None:
        """Return the round trip time of the latest receiver report, in seconds, if one has come.

        (RFC 3550, 6.4.1)
        """
        for sender in self._senders.values():
            for report in (await sender.getStats()).values():
                if report.type == "remote-inbound-rtp" and report.roundTripTime is not None:
                    return float(report.roundTripTime)
        return None
