"""Frames: how a file holds one, and what the depacketizers of video have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

from smproxy.origin.rtp_packet import RtpPacket

#: Bytes of one frame; a sender that never ends one is not kept in memory for ever.
MAX_FRAME = 8 << 20
#: Parts of one frame: packets, or NAL units, which may be tiny.
MAX_PARTS = 8192


class MediaFrame(NamedTuple):
    """One frame as a file holds it.

    ``timestamp`` as in RTP, ``arrival`` of its first packet in seconds.

    ``width``, ``height`` in pixels and ``config`` (AVCDecoderConfigurationRecord) are those of a key frame, else 0 and empty;
    ``duration`` in seconds is 0 where the frame does not say.
    """

    timestamp: int
    arrival: float
    data: bytes
    key: bool
    width: int = 0
    height: int = 0
    config: bytes = b""
    duration: float = 0.0


class Depacketizer(Protocol):
    """Takes packets in order, gives frames. Does not raise, whatever the payload."""

    needs_key_frame: bool

    def push(self, packet: RtpPacket) -> list[MediaFrame]:
        """Take a packet; return the frames that are complete."""


class FrameAssembler(ABC):
    """Puts the parts of one timestamp together, ended by the marker or by the next timestamp.

    After a loss everything is left out up to the next key frame, so that a file never holds a picture that refers to a missing
    one.
    """

    def __init__(self) -> None:
        self.needs_key_frame = True
        self._parts: list[bytes] = []
        self._next = -1
        self._size = 0
        self._timestamp = -1
        self._arrival = 0.0
        self._broken = False

    def push(self, packet: RtpPacket) -> list[MediaFrame]:
        """Take a packet; return the frames that are complete."""
        if packet.restart or packet.number != self._next >= 0:
            self._lost()
        self._next = packet.number + 1
        if not packet.payload:
            return []  # padding, with which senders probe for bandwidth
        done: list[MediaFrame] = []
        if packet.timestamp != self._timestamp:
            done += self._end()
            self._timestamp, self._arrival = packet.timestamp, packet.arrival
            self._broken = False
        if not self._broken and not self._add(packet):
            self._lost()
        self._size += len(packet.payload)
        if self._size > MAX_FRAME or len(self._parts) > MAX_PARTS:
            self._lost()
        if packet.marker:
            done += self._end()
        return done

    def _lost(self) -> None:
        """Leave out the rest of this frame, and what follows up to a key frame."""
        self._clear()
        self._broken = self.needs_key_frame = True

    def _end(self) -> list[MediaFrame]:
        if self._broken or not self._parts:
            self._clear()
            return []
        frame = self._frame()
        self._clear()
        if frame is None or (self.needs_key_frame and not frame.key):
            return []
        self.needs_key_frame = False
        return [frame]

    def _clear(self) -> None:
        self._parts = []
        self._size = 0

    @abstractmethod
    def _add(self, packet: RtpPacket) -> bool:
        """Take a packet of the current frame; False when it cannot belong there."""

    @abstractmethod
    def _frame(self) -> MediaFrame | None:
        """Make the frame of the parts."""
