"""The subscriber's peer connection: receives, counts, and decodes if wanted.

Of aiortc's private parts it needs the way of a packet into a receiver, the receiver's loss statistics, and the queue in front
of the decoder's thread, which is bounded here and not fed at all when nobody wants to see the pictures.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import Any

from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from smproxy.signaling.messages import Candidate
from smproxy.testing.counts import ReceivedCount
from smproxy.testing.media import Kind
from smproxy.testing.peer import Peer
from smproxy.testing.sdp_edit import as_browser_answer

#: Whole encoded frames that may wait for the decoder; about four seconds of pictures.
_DECODER_BACKLOG = 120


class SubscribingPeer(Peer):
    """A peer connection that only receives.

    ``on_arrival`` is called for each encoded frame, ``on_frame`` with each decoded one.
    """

    def __init__(
        self,
        *,
        channel: str | None,
        decode: bool,
        ipv6: bool,
        on_state: Callable[[str], None],
        on_text: Callable[[str], None],
        on_arrival: Callable[[], None],
        on_frame: Callable[[Kind, Any], None],
    ) -> None:
        super().__init__(ipv6=ipv6, on_state=on_state, on_text=on_text)
        self._label = channel
        self._decode = decode
        self._on_arrival = on_arrival
        self._on_frame = on_frame
        self._counters: dict[Kind, _Counter] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._pc.on("track", self._on_track)

    async def answer(self, sdp: str) -> tuple[str, list[Candidate]]:
        """Apply the server's offer; return the answer, and the candidates apart from it.

        Raises:
            ValueError: It is not a usable offer; other exceptions of aiortc are turned into this one.
        """
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            if self._label is not None and self._pc.sctp is not None:
                self._open_channel(self._label)
            await self._gather()
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error
        answer, candidates = as_browser_answer(self._pc.localDescription.sdp)
        return answer, [Candidate(line, mid, index) for mid, index, line in candidates]

    async def offer_to_receive(self) -> str:
        """Return an offer to receive audio and video, with all candidates, as for WHEP."""
        for kind in ("audio", "video"):
            self._pc.addTransceiver(kind, "recvonly")
        if self._label is not None:
            self._open_channel(self._label)
        return await self.complete_offer()

    async def take_answer(self, sdp: str) -> None:
        """Apply the server's answer to :meth:`offer_to_receive`.

        Raises:
            ValueError: It is not a usable answer; other exceptions of aiortc are turned into this one.
        """
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error

    def counts(self) -> dict[Kind, ReceivedCount]:
        """Return what came so far, by kind of track. Stays after the end."""
        return {kind: counter.count() for kind, counter in self._counters.items()}

    def mute(self) -> None:
        super().mute()
        self._stop_readers()

    async def close(self) -> None:
        self._stop_readers()
        await super().close()
        if self._readers:
            await asyncio.wait(self._readers)

    def _stop_readers(self) -> None:
        for reader in self._readers:
            reader.cancel()

    def _on_track(self, track: Any) -> None:
        receiver = next(t.receiver for t in self._pc.getTransceivers() if t.receiver.track is track)
        self._counters[track.kind] = counter = _Counter(receiver, self._on_arrival, decode=self._decode)
        self._readers.append(asyncio.ensure_future(self._read(track, counter)))

    async def _read(self, track: Any, counter: _Counter) -> None:
        """Hand on each decoded frame; a queue that is not read would grow."""
        try:
            while True:
                frame = await track.recv()
                counter.decoded += 1
                if track.kind == "video":
                    counter.size = (frame.width, frame.height)
                self._on_frame(track.kind, frame)
        except (MediaStreamError, asyncio.CancelledError):
            return


class _Counter:
    """Counts on a receiver's way: each packet in, each encoded frame on its way to the decoder."""

    def __init__(self, receiver: Any, on_arrival: Callable[[], None], *, decode: bool) -> None:
        self._receiver = receiver
        self._packets = self._bytes = 0
        self._queue = _DecoderQueue(receiver, on_arrival, decode=decode)
        self._take = receiver._handle_rtp_packet
        self.decoded = 0
        self.size = (0, 0)
        # On the instance, before it starts: it hands its queue to the decoder's thread.
        receiver._RTCRtpReceiver__decoder_queue = self._queue
        receiver._handle_rtp_packet = self._packet

    async def _packet(self, packet: Any, arrival_time_ms: int) -> None:
        self._packets += 1
        self._bytes += len(packet.payload)
        await self._take(packet, arrival_time_ms=arrival_time_ms)

    def count(self) -> ReceivedCount:
        """Return the counters."""
        streams = self._receiver._RTCRtpReceiver__remote_streams
        repeats = self._receiver._RTCRtpReceiver__rtx_ssrc
        lost = sum(max(0, stream.packets_lost) for ssrc, stream in streams.items() if ssrc not in repeats)
        return ReceivedCount(
            self._packets, self._bytes, lost, self._queue.frames, self.decoded, self._queue.codec, *self.size
        )


class _DecoderQueue(queue.Queue[Any]):
    """Whole frames on their way to the decoder's thread.

    ``None``, which ends it, overtakes them.
    """

    def __init__(self, receiver: Any, on_arrival: Callable[[], None], *, decode: bool) -> None:
        super().__init__()
        self._on_arrival = on_arrival
        self._decoder_error = receiver._RTCRtpReceiver__decoder_error
        self._decode = decode
        self.frames = 0
        self.codec = ""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            with self.mutex:
                self.queue.clear()
        else:
            self.frames += 1
            self.codec = item[0].name
            self._on_arrival()
            if not self._decode:
                return
            if self.qsize() >= _DECODER_BACKLOG:
                # What is dropped breaks the pictures that refer to it: as after any error, a key frame is asked for.
                self._decoder_error.set()
                return
        super().put(item, block, timeout)
