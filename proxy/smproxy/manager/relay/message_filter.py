"""Hold each message of one direction until it is decided what goes on in its place."""

from __future__ import annotations

from collections.abc import Callable

from websockets.frames import CLOSE, Close, CloseCode

from smproxy.manager.relay.scanner import FrameScanner, ProtocolViolation

#: What frame headers may add to a message of the largest size; more is an attack with empty fragments.
HEADERS = 64 * 1024

#: Gets a message (``None`` for a binary one) and its frames as they came; returns what goes on: the frames, nothing, or
#: other frames in their place, before or behind them. Must not raise.
Decide = Callable[[bytes | None, bytes], bytes]


class MessageFilter:
    """Lets one direction through message by message, as ``decide`` says.

    Control frames do not wait: between the fragments of a message that is held they go on ahead of it, as RFC 6455, section
    5.4, allows. What comes out always ends at a frame boundary. A message that is cut off by a Close frame is dropped.
    """

    __slots__ = ("_decide", "_held", "_max", "_partial", "_rest", "_scanner", "messages", "to_boundary")

    def __init__(self, scanner: FrameScanner, decide: Decide, *, max_message: int) -> None:
        self.messages: list[bytes | None] = scanner.messages
        self.to_boundary = 0
        self._scanner = scanner
        self._decide = decide
        self._max = max_message + HEADERS
        self._rest = b""  # an incomplete header
        self._partial = bytearray()  # a control frame whose end has not come
        self._held = bytearray()  # the frames of the message under way

    @property
    def ended(self) -> bool:
        return self._scanner.ended

    @property
    def close_frame(self) -> Close | None:
        return self._scanner.close_frame

    @property
    def violation(self) -> ProtocolViolation | None:
        return self._scanner.violation

    def whole_text(self, data: bytes) -> None:
        """Take nothing: what is filtered has no fast path."""

    def feed(self, data: bytes) -> bytes:
        """Take what came; return what goes on."""
        scanner = self._scanner
        if scanner.ended:
            return b""
        if self._rest:
            data, self._rest = self._rest + data, b""
        out: list[bytes] = []
        position, size = 0, len(data)
        while position < size:
            end = scanner.step(data, position)
            if scanner.violation:
                break
            if end == position:
                self._rest = data[position:]
                break
            self._pass(data[position:end], out)
            if scanner.ended:
                break
            position = end
        return b"".join(out)

    def _pass(self, piece: bytes, out: list[bytes]) -> None:
        """Take a piece of one frame, perhaps the last."""
        scanner = self._scanner
        complete = not scanner.to_boundary
        if scanner.opcode >= CLOSE:
            self._partial += piece
            if complete:
                out.append(bytes(self._partial))
                self._partial.clear()
            return
        self._held += piece
        if len(self._held) > self._max:
            scanner.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        elif complete and not scanner.kind:
            frames, self._held = bytes(self._held), bytearray()
            out.append(self._decide(scanner.messages[-1], frames))
