"""The little of Matroska and WebM that a recording needs (RFC 9559, RFC 8794). Sans-I/O.

A file is a header of fixed size, with room for its index, and clusters behind it. The header is written again after each
cluster, so that the file has its length, duration and index at every moment, and nothing has to be done at its end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from smproxy.signaling.payloads import Kind

#: Bytes before the first cluster, the index included.
HEADER_SIZE = 16 * 1024
#: Milliseconds between entries of the index; doubled each time that the index is full.
INDEX_SPACING = 1000
WRITER = "stream-manager-proxy"
#: What a header that is not damaged may say: ms (34 years, what its index has room for), bytes, and pixels.
MAX_DURATION, MAX_SIZE, MAX_SIDE = (1 << 40) - 1, (1 << 48) - 1, 1 << 14

TRACK_NUMBER = {Kind.VIDEO: 1, Kind.AUDIO: 2}
CODEC_ID = {"VP8": "V_VP8", "H264": "V_MPEG4/ISO/AVC", "opus": "A_OPUS"}
#: Two channels at 48 kHz (RFC 7845, 5.1); an Opus decoder makes of mono what is asked for.
OPUS_HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 0, 48000, 0, 0)
#: Nanoseconds that a decoder needs before a point to which a player jumps (RFC 7845, 4.6).
_OPUS_PREROLL = 80_000_000

_EBML, _SEGMENT, _INFO, _TRACKS = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"
_CUES, CLUSTER, _VOID = b"\x1c\x53\xbb\x6b", b"\x1f\x43\xb6\x75", b"\xec"
_DOC_TYPE = b"\x42\x82"
_DURATION, _WRITING_APP, _ENTRY, _CUE = b"\x44\x89", b"\x57\x41", b"\xae", b"\xbb"
_NUMBER, _CODEC, _PRIVATE, _VIDEO = b"\xd7", b"\x86", b"\x63\xa2", b"\xe0"
_WIDTH, _HEIGHT = b"\xb0", b"\xba"
_CUE_TIME, _CUE_POSITIONS, _CUE_TRACK, _CUECLUSTER = b"\xb3", b"\xb7", b"\xf7", b"\xf1"


@dataclass(slots=True)
class TrackEntry:
    """A track. ``width`` and ``height`` of the first picture in pixels.

    ``private`` is what its decoder needs beforehand.
    """

    kind: Kind
    codec: str
    private: bytes = b""
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class Header:
    """What stands before the clusters.

    ``duration`` in ms, ``end`` is the length of the file in bytes.

    ``index`` holds the times of clusters, in ms, and where they begin.
    """

    webm: bool
    tracks: dict[Kind, TrackEntry] = field(default_factory=dict)
    duration: int = 0
    end: int = HEADER_SIZE
    index: list[tuple[int, int]] = field(default_factory=list)
    spacing: int = INDEX_SPACING
    #: The index as it was written last: its length, the track that it is for, its bytes.
    _written: tuple[int, int, bytes] = field(default=(0, 0, b""), repr=False, compare=False)

    def add_to_index(self, time: int, position: int) -> None:
        """Enter a cluster, unless the one before is too near."""
        if not self.index or time - self.index[-1][0] >= self.spacing:
            self.index.append((time, position))

    def write(self) -> bytes:
        """Return the header in its full size; an index that does not fit loses every second entry.

        Raises:
            ValueError: the tracks alone do not fit.
        """
        start = self._start()
        while len(start) + len(cues := self._cues(start)) > HEADER_SIZE - 9:
            if len(self.index) < 2:
                raise ValueError(f"the parameters of the tracks do not fit in {HEADER_SIZE} bytes")
            self.index = self.index[::2]
            self.spacing *= 2
        used = len(start) + len(cues)
        filling = HEADER_SIZE - used - 9
        return start + cues + _VOID + _length(filling, 8) + bytes(filling)

    def _start(self) -> bytes:
        doc_type = "webm" if self.webm else "matroska"
        head = _element(
            _EBML,
            _uint(b"\x42\x86", 1) + _uint(b"\x42\xf7", 1) + _uint(b"\x42\xf2", 4) + _uint(b"\x42\xf3", 8),
            _element(_DOC_TYPE, doc_type.encode()) + _uint(b"\x42\x87", 4) + _uint(b"\x42\x85", 2),
        )
        info = _element(
            _INFO,
            _uint(b"\x2a\xd7\xb1", 1_000_000),  # a tick is a millisecond
            _element(_DURATION, struct.pack("!d", self.duration)),
            _element(b"\x4d\x80", WRITER.encode()) + _element(_WRITING_APP, WRITER.encode()),
        )
        tracks = _element(_TRACKS, *(_track(each) for each in self.tracks.values()))
        data = len(head) + len(_SEGMENT) + 8
        return head + _SEGMENT + _length(self.end - data, 8) + info + tracks

    def _cues(self, start: bytes) -> bytes:
        if not self.index:
            return b""
        track = TRACK_NUMBER[Kind.VIDEO if Kind.VIDEO in self.tracks else Kind.AUDIO]
        segment = start.index(_SEGMENT) + len(_SEGMENT) + 8  # positions count from its content
        if self._written[:2] == (len(self.index), track):
            return self._written[2]
        points = [
            _element(
                _CUE,
                _element(_CUE_TIME, time.to_bytes(5, "big")),
                _element(
                    _CUE_POSITIONS,
                    _uint(_CUE_TRACK, track) + _element(_CUECLUSTER, (position - segment).to_bytes(6, "big")),
                ),
            )
            for time, position in self.index
        ]
        self._written = len(self.index), track, _element(_CUES, *points)
        return self._written[2]


def _track(entry: TrackEntry) -> bytes:
    number = TRACK_NUMBER[entry.kind]
    common = [
        _uint(_NUMBER, number) + _uint(b"\x73\xc5", number),
        _uint(b"\x83", 1 if entry.kind is Kind.VIDEO else 2),
        _uint(b"\x9c", 0),  # no lacing
        _element(_CODEC, CODEC_ID[entry.codec].encode()),
    ]
    if entry.kind is Kind.VIDEO:
        if entry.private:
            common.append(_element(_PRIVATE, entry.private))
        picture = _uint(_WIDTH, entry.width) + _uint(_HEIGHT, entry.height)
        return _element(_ENTRY, *common, _element(_VIDEO, picture))
    sound = _element(b"\xb5", struct.pack("!d", 48000)) + _uint(b"\x9f", 2)
    return _element(
        _ENTRY,
        *common,
        _element(_PRIVATE, OPUS_HEAD),
        _uint(b"\x56\xaa", 0) + _uint(b"\x56\xbb", _OPUS_PREROLL),
        _element(b"\xe1", sound),
    )


def cluster(time: int, blocks: list[tuple[Kind, int, bool, bytes]]) -> bytes:
    """Write a cluster that begins at ``time`` ms.

    A block is kind, time in ms, whether it is a key frame, and the frame.
    """
    parts = [_element(b"\xe7", time.to_bytes(8, "big"))]
    for kind, at, key, data in blocks:
        head = struct.pack("!BhB", 0x80 | TRACK_NUMBER[kind], at - time, 0x80 if key else 0)
        parts += [b"\xa3", _length(len(head) + len(data), 4), head, data]
    body = b"".join(parts)
    return CLUSTER + _length(len(body), 8) + body


def read_header(data: bytes) -> Header | None:
    """Read a header that :meth:`Header.write` wrote.

    ``None`` for any other, and for one that is damaged.
    """
    try:
        header = _read_header(data)
        return header if header is not None and _makes_sense(header) else None
    except (ValueError, IndexError, KeyError, OverflowError, struct.error):
        return None


def _makes_sense(header: Header) -> bool:
    """Return whether a file with this header can be continued.

    Every number has room where it is written again.
    """
    times, positions = [time for time, _ in header.index], [position for _, position in header.index]
    return (
        0 <= header.duration <= MAX_DURATION
        and HEADER_SIZE <= header.end <= MAX_SIZE
        and times == sorted(times)
        and positions == sorted(positions)
        and (not header.index or (times[-1] <= header.duration and positions[0] >= HEADER_SIZE))
        and all(position < header.end for position in positions)
        and all(track.width <= MAX_SIDE and track.height <= MAX_SIDE for track in header.tracks.values())
        and len(header.write()) == HEADER_SIZE
    )


def _read_header(data: bytes) -> Header | None:
    if len(data) < HEADER_SIZE:
        return None
    header = Header(webm=False)
    parts = [part for part, _ in zip(_children(data[:HEADER_SIZE]), range(2), strict=False)]
    if [name for name, _, _ in parts] != [_EBML, _SEGMENT]:
        return None
    (_, _, body), (_, start, segment) = parts
    doc_type = {name: body for name, _, body in _children(body)}[_DOC_TYPE]
    header.webm = doc_type == b"webm"
    header.end = start + _value_of_length(data[start - 8 : start])
    writer = b""
    for part, _, content in _children(segment):
        if part == _INFO:
            info = {name: body for name, _, body in _children(content)}
            writer = info[_WRITING_APP]
            header.duration = round(struct.unpack("!d", info[_DURATION])[0])
        elif part == _TRACKS:
            for _, _, entry in _children(content):
                track = _read_track({name: body for name, _, body in _children(entry)})
                header.tracks[track.kind] = track
        elif part == _CUES:
            header.index = [_read_cue(point, start) for _, _, point in _children(content)]
    if writer != WRITER.encode():
        return None
    if len(header.index) > 1:
        nearest = min(later[0] - earlier[0] for earlier, later in zip(header.index, header.index[1:], strict=False))
        while header.spacing * 2 <= nearest:
            header.spacing *= 2
    return header


def _read_track(entry: dict[bytes, bytes]) -> TrackEntry:
    kind = Kind.VIDEO if int.from_bytes(entry[_NUMBER], "big") == TRACK_NUMBER[Kind.VIDEO] else Kind.AUDIO
    codec = {name: codec for codec, name in CODEC_ID.items()}[entry[_CODEC].decode()]
    picture = {name: int.from_bytes(body, "big") for name, _, body in _children(entry.get(_VIDEO, b""))}
    private = entry.get(_PRIVATE, b"") if kind is Kind.VIDEO else b""
    return TrackEntry(kind, codec, private, picture.get(_WIDTH, 0), picture.get(_HEIGHT, 0))


def _read_cue(point: bytes, segment: int) -> tuple[int, int]:
    parts = {name: body for name, _, body in _children(point)}
    positions = {name: body for name, _, body in _children(parts[_CUE_POSITIONS])}
    time, position = (int.from_bytes(each, "big") for each in (parts[_CUE_TIME], positions[_CUECLUSTER]))
    return time, position + segment


def _children(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Split a body into elements: name, where the content begins, content.

    The last one may be cut off.
    """
    position = 0
    while position < len(data):
        width = 9 - data[position].bit_length()
        name = data[position : position + width]
        position += width
        width = 9 - data[position].bit_length()
        size = _value_of_length(data[position : position + width])
        position += width
        yield name, position, data[position : position + size]
        position += size


def _value_of_length(data: bytes) -> int:
    return int.from_bytes(data, "big") & ((1 << 7 * len(data)) - 1)


def _element(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    width = 1
    while len(body) >= (1 << 7 * width) - 1:
        width += 1
    return name + _length(len(body), width) + body


def _length(size: int, width: int) -> bytes:
    return (size | 1 << 7 * width).to_bytes(width, "big")


def _uint(name: bytes, value: int) -> bytes:
    return _element(name, value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big"))
