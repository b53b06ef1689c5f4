"""SRTP of one peer, with libsrtp called straight.

pylibsrtp makes two calls of Python and a new cell for the length of each packet: with AES-128-GCM and 1,000 bytes that takes
1.45 µs instead of 1.02. It is the same session, with the same keys, counters and replay window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylibsrtp import SRTP_MAX_TRAILER_LEN, Error, Session
from pylibsrtp._binding import ffi, lib

#: Opens or seals one packet.
Crypt = Callable[[bytes], bytes]


def opener(session: Session) -> Crypt:
    """Return what opens the SRTP packets of a session.

    It raises ``pylibsrtp.Error`` for one that is not authentic or a copy, ``ValueError`` for one that is too long.
    """
    return _direct(session, lib.srtp_unprotect, 0)


def sealer(session: Session) -> Crypt:
    """Return what seals RTP packets; it raises ``pylibsrtp.Error`` or ``ValueError``."""
    return _direct(session, lib.srtp_protect, SRTP_MAX_TRAILER_LEN)


def _direct(session: Session, work: Callable[[Any, Any, Any], int], growth: int) -> Crypt:
    srtp, place, buffer = session._srtp, session._cdata, session._buffer
    size = ffi.new("int *")
    longest = len(place) - growth

    def crypt(packet: bytes) -> bytes:
        length = len(packet)
        if length > longest:
            raise ValueError("packet is too long")
        size[0] = length
        buffer[0:length] = packet
        if status := work(srtp[0], place, size):
            raise Error(f"libsrtp refuses a packet ({status})")
        result: bytes = buffer[0 : size[0]]
        return result

    return crypt
