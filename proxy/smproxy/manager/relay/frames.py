"""Write the relay's own frames: a refusal's text, pings, and Close (RFC 6455, section 5)."""

from __future__ import annotations

import struct

from websockets.frames import CLOSE, PING, TEXT, Close

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the C extension
    from websockets.utils import apply_mask

__all__ = ["MAX_REASON", "apply_mask", "close_frame", "frame", "ping_frame", "text_frame"]

#: A control frame carries at most 125 bytes, two of which are the close code.
MAX_REASON = 123


def frame(opcode: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """Write one final frame; with ``mask``, four bytes, as clients must."""
    size = len(payload)
    flag = 0 if mask is None else 0x80
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, flag | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, flag | 127, size)
    return head + payload if mask is None else head + mask + apply_mask(payload, mask)


def text_frame(text: str, mask: bytes | None = None) -> bytes:
    """Write a text message in one frame."""
    return frame(TEXT, text.encode(), mask)


def ping_frame(mask: bytes | None = None) -> bytes:
    """Write an empty ping."""
    return frame(PING, b"", mask)


def close_frame(code: int, reason: str, mask: bytes | None = None) -> bytes:
    """Write a Close frame; a reason that is too long is cut at a character.

    Raises:
        ProtocolError: ``code`` may not appear in a Close frame (RFC 6455, section 7.4).
    """
    short = reason.encode()[:MAX_REASON].decode(errors="ignore")
    return frame(CLOSE, Close(code, short).serialize(), mask)
