"""Follow the frames in one direction of a WebSocket and report whole messages (RFC 6455, 5).

No I/O, no byte is changed.

The scanner decides how far a direction may be forwarded. It holds back an incomplete frame header, at most 13 bytes, so that
what it finds wrong with a frame it finds before the other side has seen any of it. Payload goes on as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from websockets.exceptions import ProtocolError
from websockets.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Close, CloseCode

from smproxy.manager.relay.frames import apply_mask

_KNOWN = frozenset((CONT, TEXT, BINARY, CLOSE, PING, PONG))


@dataclass(frozen=True, slots=True)
class ProtocolViolation:
    """What a peer did against the protocol, with the close code for it."""

    code: int
    text: str


class FrameReader(Protocol):
    """What parses one direction: a ``FrameScanner``, or a ``MessageFilter`` on one."""

    messages: list[bytes | None]
    """Complete messages since the list was last taken: a text as bytes, ``None`` for a binary message."""

    @property
    def ended(self) -> bool:
        """Whether nothing more goes through: after a Close frame or a violation."""

    @property
    def close_frame(self) -> Close | None:
        """The Close frame that came; code 1005 when it had none."""

    @property
    def violation(self) -> ProtocolViolation | None:
        """What the sender did against the protocol."""

    @property
    def to_boundary(self) -> int:
        """Bytes to feed until what was let through ends at a frame boundary; 0: it does."""

    def whole_text(self, data: bytes) -> bytes | None:
        """Return the text if ``data`` is exactly one text message, which may go on.

        Else take nothing.
        """

    def feed(self, data: bytes) -> bytes:
        """Take what came; return what may go on."""


class FrameScanner:
    """Follows the frames of one direction.

    ``masked`` says whether the frames must be (from clients) or must not be (from servers). No frame and no message may be
    larger than ``max_message`` bytes. Feeding byte by byte gives the same as feeding all at once, except that a frame found
    to be invalid at its end (UTF-8, close codes) is let through if a part of it had been already.
    """

    __slots__ = (
        "_final",
        "_header",
        "_idle",
        "_keep",
        "_length",
        "_mask",
        "_masked",
        "_max",
        "_message",
        "_payload",
        "_size",
        "close_frame",
        "ended",
        "kind",
        "messages",
        "opcode",
        "to_boundary",
        "violation",
    )

    def __init__(self, *, masked: bool, max_message: int) -> None:
        self.messages: list[bytes | None] = []
        self.ended = False
        self.close_frame: Close | None = None
        self.violation: ProtocolViolation | None = None
        self.to_boundary = 0
        self.opcode = 0  # of the latest frame
        self.kind = 0  # TEXT or BINARY while a fragmented message is under way
        self._masked = masked
        self._max = max_message
        self._idle = True  # at a boundary and nothing kept: the fast path is open
        self._header = b""  # an incomplete one, held back
        self._final = True
        self._length = 0
        self._mask = b""
        self._keep = False  # whether the payload of this frame is needed
        # None until they are needed: nearly every text comes in one frame and at once, and idle connections are many.
        self._payload: bytearray | None = None  # of a frame whose end has not come
        self._message: bytearray | None = None  # the earlier fragments of a text
        self._size = 0  # of the earlier fragments of any message

    def whole_text(self, data: bytes) -> bytes | None:
        """Return the text if ``data`` is exactly one text message in one frame, which may go on.

        Else take nothing.

        That is what nearly every chunk is, so it is worth a path of its own.
        """
        if not self._idle or len(data) < 8 or data[0] != 0x81:
            return None
        length = data[1]
        if self._masked:
            length -= 0x80
            if length < 0 or length == 127:
                return None
            start = 6
        elif length < 127:
            start = 2
        else:
            return None
        if length == 126:
            start += 2
            length = data[2] << 8 | data[3]
            if length < 126:
                return None
        if len(data) != start + length or length > self._max:
            return None
        text = apply_mask(data[start:], data[start - 4 : start]) if self._masked else data[start:]
        return text if text.isascii() or is_utf8(text) else None

    def feed(self, data: bytes) -> bytes:
        """Take what came.

        Return what may go on: ``data`` itself, unless it ends within a header or something is wrong.
        """
        text = self.whole_text(data)
        if text is None:
            return self._scan(data)
        self.messages.append(text)
        return data

    def _scan(self, data: bytes) -> bytes:
        if self.ended:
            return b""
        if self._header:
            data, self._header = self._header + data, b""
        position, size = 0, len(data)
        while position < size:
            untouched = not self.to_boundary  # nothing of the frame that comes next has gone on yet
            end = self.step(data, position)
            if self.ended:
                return data[: position if untouched and self.violation else end]
            if end == position:
                self._header = data[position:]
                break
            position = end
        self._idle = not (self.to_boundary or self._header or self.kind)
        return data if position == size else data[:position]

    def step(self, data: bytes, position: int) -> int:
        """Go from ``position`` to the end of the frame or of the data.

        Stay there when the header is incomplete or wrong.
        """
        start = position
        if not self.to_boundary:
            start = self._open(data, position)
            if start == position:
                return position
        take = min(self.to_boundary, len(data) - start)
        end = start + take
        self.to_boundary -= take
        if self.to_boundary:
            if self._keep:
                if self._payload is None:
                    self._payload = bytearray()
                self._payload += data[start:end]
            return end
        payload = b""
        if self._keep:
            payload = data[start:end]
            if self._payload is not None:
                payload, self._payload = bytes(self._payload) + payload, None
            if self._masked and payload:
                payload = apply_mask(payload, self._mask)
        self._complete(payload)
        return end

    def fail(self, code: int, text: str) -> None:
        """Declare this direction broken."""
        self.violation = ProtocolViolation(code, text)
        self.ended = True
        self._idle = False

    def _open(self, data: bytes, position: int) -> int:
        """Read a header.

        Return where its payload starts, or ``position`` when it is incomplete or wrong.
        """
        size = len(data) - position
        if size < 2:
            return position
        first, second = data[position], data[position + 1]
        opcode, final, length = first & 0x0F, first >= 0x80, second & 0x7F
        if wrong := self._check(first, second, opcode, final, length):
            self.fail(CloseCode.PROTOCOL_ERROR, wrong)
            return position
        start = 2
        if length >= 126:
            start, least = (4, 126) if length == 126 else (10, 65536)
            if size < start:
                return position
            length = int.from_bytes(data[position + 2 : position + start], "big")
            if length < least:
                self.fail(CloseCode.PROTOCOL_ERROR, "frame length not in its shortest form")
                return position
        if opcode < CLOSE and self._size + length > self._max:
            self.fail(CloseCode.MESSAGE_TOO_BIG, f"message larger than {self._max} bytes")
            return position
        if self._masked:
            start += 4
            if size < start:
                return position
            self._mask = data[position + start - 4 : position + start]
        if opcode in (TEXT, BINARY):
            self.kind = opcode
        self.opcode, self._final, self._length, self.to_boundary = opcode, final, length, length
        self._keep = opcode == CLOSE or (opcode < CLOSE and self.kind == TEXT)
        return position + start

    def _check(self, first: int, second: int, opcode: int, final: bool, length: int) -> str:
        if first & 0x70:
            return "reserved bits are set"
        if opcode not in _KNOWN:
            return "unknown opcode"
        if (second >= 0x80) is not self._masked:
            return "frame is not masked" if self._masked else "frame is masked"
        if opcode >= CLOSE:
            if not final:
                return "control frame is fragmented"
            if length > 125:
                return "control frame is too long"
        elif opcode == CONT:
            if not self.kind:
                return "continuation of nothing"
        elif self.kind:
            return "new message within a fragmented one"
        return ""

    def _complete(self, payload: bytes) -> None:
        if self.opcode == CLOSE:
            self._closed(payload)
        elif self.opcode > CLOSE:
            return
        elif not self._final:
            self._size += self._length
            if self._message is None:
                self._message = bytearray()
            self._message += payload
        else:
            kind, self.kind, self._size = self.kind, 0, 0
            if kind == BINARY:
                self.messages.append(None)
                return
            if self._message is not None:
                payload, self._message = bytes(self._message) + payload, None
            if payload.isascii() or is_utf8(payload):
                self.messages.append(payload)
            else:
                self.fail(CloseCode.INVALID_DATA, "text is not UTF-8")

    def _closed(self, payload: bytes) -> None:
        try:
            self.close_frame = Close.parse(payload)
        except ProtocolError as error:
            self.fail(CloseCode.PROTOCOL_ERROR, f"Close frame: {error}")
        except UnicodeDecodeError:
            self.fail(CloseCode.INVALID_DATA, "close reason is not UTF-8")
        self.ended = True
        self._idle = False


def is_utf8(data: bytes) -> bool:
    """Return whether ``data`` is UTF-8 text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
