"""What one node sends another of a stream: descriptions as JSON, packets as bytes. Sans-I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from smproxy.origin.payload_format import PayloadFormat
from smproxy.signaling.payloads import Kind

#: Of one packet: flags, number modulo 2^16, timestamp, octets of its payload.
_PACKET = struct.Struct("!BHIH")
_VIDEO, _RESTART, _MARKER = 0x01, 0x02, 0x80


class _PullMessage(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class TrackDescription(msgspec.Struct, frozen=True):
    """A track before its first packet; ``codec`` as tracks name it."""

    kind: Kind
    name: str
    codec: str
    format: PayloadFormat


class StreamState(_PullMessage, frozen=True, tag="state"):
    """What the publisher has muted, and how it holds its device, in degrees."""

    audio_muted: bool = False
    video_muted: bool = False
    orientation: int | float | None = None


class Live(_PullMessage, frozen=True, tag="live"):
    """The stream is published; its packets follow."""

    tracks: tuple[TrackDescription, ...]
    state: StreamState


class NotLive(_PullMessage, frozen=True, tag="not_live"):
    """The stream is not published, or has ended. It may be published later."""


class Said(_PullMessage, frozen=True, tag="said"):
    """The publisher sent data to its subscribers."""

    method: str
    data: msgspec.Raw


class SourceTime(_PullMessage, frozen=True, tag="source_time"):
    """A sender report of the publisher (RFC 3550, 6.4.1), by which audio and video stay in step."""

    kind: Kind
    ntp: int
    timestamp: int


FromOwner: TypeAlias = Live | NotLive | StreamState | Said | SourceTime


class WantKeyFrame(_PullMessage, frozen=True, tag="want_key_frame"):
    """A subscriber needs a key frame."""


class PulledPacket(NamedTuple):
    """A packet of a track. ``restart``: it continues nothing that came before."""

    kind: Kind
    number: int
    timestamp: int
    marker: int
    payload: bytes
    restart: bool


encode = msgspec.json.Encoder().encode
_from_owner = msgspec.json.Decoder(FromOwner)
_from_puller = msgspec.json.Decoder(WantKeyFrame)


def read_message(text: str) -> FromOwner:
    """Read what the owner of a stream sends. Raises ``msgspec.MsgspecError``."""
    message: FromOwner = _from_owner.decode(text)
    return message


def read_wish(text: str) -> WantKeyFrame:
    """Read what a node that pulls sends. Raises ``msgspec.MsgspecError``."""
    return _from_puller.decode(text)


def write_packet(packet: PulledPacket) -> bytes:
    """Write a packet; several are put one behind the other."""
    flags = packet.marker | (packet.kind is Kind.VIDEO) | (_RESTART if packet.restart else 0)
    return _PACKET.pack(flags, packet.number & 0xFFFF, packet.timestamp, len(packet.payload)) + packet.payload


def read_packets(data: bytes) -> Iterator[PulledPacket]:
    """Read packets. Raises ``ValueError`` when the last one is cut off."""
    position, end = 0, len(data)
    while position < end:
        if end - position < _PACKET.size:
            raise ValueError("a packet's header is cut off")
        flags, number, timestamp, size = _PACKET.unpack_from(data, position)
        position += _PACKET.size
        if end - position < size:
            raise ValueError("a packet is cut off")
        kind = Kind.VIDEO if flags & _VIDEO else Kind.AUDIO
        payload = data[position : position + size]
        yield PulledPacket(kind, number, timestamp, flags & _MARKER, payload, bool(flags & _RESTART))
        position += size
