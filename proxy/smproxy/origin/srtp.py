"""SRTP of one peer, with libsrtp called straight.

pylibsrtp makes two calls of Python and a new cell for the length of each packet: with AES-128-GCM and 1,000 bytes that takes
1.45 µs instead of 1.02. It is the same session, with the same keys, counters and replay window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pylibsrtp import SRTP_MAX_TRAILER_LEN, Error, Session
from pylibsrtp._binding import ffi, lib

#: Opens one packet.
Open = Callable[[bytes], bytes]
#: Seals packets.
Seal = Callable[[Iterable[bytes]], list[bytes]]


def opener(session: Session) -> Open:
    """Return what opens the SRTP packets of a session.

    It raises ``pylibsrtp.Error`` for one that is not authentic or a copy, ``ValueError`` for one that is too long.
    """
    srtp, place, buffer = session._srtp, session._cdata, session._buffer
    size, unprotect, longest = ffi.new("int *"), lib.srtp_unprotect, len(place)

    def opened(packet: bytes) -> bytes:
        length = len(packet)
        if length > longest:
            raise ValueError("packet is too long")
        size[0] = length
        buffer[0:length] = packet
        if status := unprotect(srtp[0], place, size):
            raise Error(f"libsrtp refuses a packet ({status})")
        result: bytes = buffer[0 : size[0]]
        return result

    return opened


def sealer(session: Session) -> Seal:
    """Return what seals RTP packets; it raises ``pylibsrtp.Error`` or ``ValueError``."""
    srtp, place, buffer = session._srtp, session._cdata, session._buffer
    size, protect, longest = ffi.new("int *"), lib.srtp_protect, len(place) - SRTP_MAX_TRAILER_LEN

    def sealed(packets: Iterable[bytes]) -> list[bytes]:
        context = srtp[0]
        results: list[bytes] = []
        for packet in packets:
            length = len(packet)
            if length > longest:
                raise ValueError("packet is too long")
            size[0] = length
            buffer[0:length] = packet
            if status := protect(context, place, size):
                raise Error(f"libsrtp refuses a packet ({status})")
            results.append(buffer[0 : size[0]])
        return results

    return sealed
