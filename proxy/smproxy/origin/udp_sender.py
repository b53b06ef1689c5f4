"""Sends datagrams from a UDP socket: what comes together with as few calls as may be.

Linux cuts one long datagram into several of a given size on its way out, of which the last may be shorter (UDP generic
segmentation offload, GSO, since 4.18): six packets of a picture then cost a third of six calls. Elsewhere each goes by itself.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Any, cast

#: Constants of Linux that the standard library does not have.
_SOL_UDP, _UDP_SEGMENT = 17, 103
_SIZE = struct.Struct("=H")
#: Datagrams in one call; Linux takes 64.
MAX_SEGMENTS = 48
#: Bytes in one call; an IPv6 packet has 65,535 with its headers.
MAX_BYTES = 60_000
#: Errors that say that it never works with this socket; after others, as of a path with a small MTU, it may elsewhere.
_NEVER = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})


def runs(datagrams: Iterable[bytes]) -> list[list[bytes]]:
    """Cut datagrams, in their order, into runs of one size, of which the last may be shorter."""
    found: list[list[bytes]] = []
    run: list[bytes] = []
    size = room = 0
    for datagram in datagrams:
        length = len(datagram)
        if room and length == size:
            run.append(datagram)
            room -= 1
        elif room and 0 < length < size:
            run.append(datagram)
            room = 0
        else:
            run = [datagram]
            found.append(run)
            size = length
            room = min(MAX_SEGMENTS, MAX_BYTES // size) - 1 if size else 0
    return found


class UdpSender:
    """A datagram transport that also takes several datagrams at once.

    They leave in the order in which they are given: what the system does not take at once waits in the transport, and nothing
    overtakes what waits there.
    """

    __slots__ = ("_segments", "_socket", "close", "get_write_buffer_size", "sendto", "set_protocol")

    def __init__(self, transport: asyncio.DatagramTransport, udp: socket.socket) -> None:
        self._socket = udp
        self._segments = _can_segment(udp)
        # The transport's own methods, without a call in between.
        self.sendto = transport.sendto
        self.close = transport.close
        self.get_write_buffer_size = cast(Any, transport).get_write_buffer_size
        self.set_protocol = cast(Any, transport).set_protocol

    def send_all(self, datagrams: Sequence[bytes], addr: Any) -> None:
        """Send datagrams to one address."""
        for run in runs(datagrams) if self._segments else [datagrams]:
            if len(run) == 1 or not self._send_run(run, addr):
                for each in run:
                    self.sendto(each, addr)

    def _send_run(self, run: Sequence[bytes], addr: Any) -> bool:
        """Send all of them with one call; False when none was sent."""
        if not self._segments or self.get_write_buffer_size():
            return False
        try:
            self._socket.sendmsg(run, [(_SOL_UDP, _UDP_SEGMENT, _SIZE.pack(len(run[0])))], 0, addr)
        except OSError as error:
            if error.errno in _NEVER:
                self._segments = False
            return False
        return True


def _can_segment(udp: socket.socket) -> bool:
    """Ask the system; an old Linux would send what it cannot cut as one datagram."""
    try:
        return udp.getsockopt(_SOL_UDP, _UDP_SEGMENT) >= 0
    except OSError:
        return False
