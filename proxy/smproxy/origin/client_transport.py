"""What the peer connections of publishers and subscribers have in common."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from smproxy.origin.aiortc_adapter import Link, NotAuthentic
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.ice import IceLite
from smproxy.origin.packet_tap import PacketTap
from smproxy.origin.transport import MediaTransport, TransportEvents
from smproxy.tasks import Tasks


class ClientTransport(ABC):
    """One client's peer connection: ICE, DTLS, SRTP and the data channel. Ended by ``close``."""

    #: RTP and RTCP sources of one peer; libsrtp keeps a context for each.
    MAX_SOURCES: ClassVar[int]
    #: Seconds between two RTCP reports.
    REPORT_INTERVAL: ClassVar[float] = 1.0
    #: Seconds between two checks of ours, which measure the round-trip time.
    PROBE_INTERVAL: ClassVar[float] = 5.0

    def __init__(
        self,
        events: TransportEvents,
        *,
        identity: Identity,
        monotonic: Callable[[], float],
        rng: random.Random,
        tasks: Tasks,
    ) -> None:
        self._note_up: Callable[[], None] = events.transport_up
        self._identity = identity
        self._monotonic = monotonic
        self._rng = rng
        self._sources: set[int] = set()
        self._next_report = self._next_probe = 0.0
        self._link: Link | None = None
        self._transport = MediaTransport(
            events, self._ready, identity=identity, monotonic=monotonic, rng=rng, tasks=tasks
        )

    @property
    def ice(self) -> IceLite:
        """The ICE agent."""
        return self._transport.ice

    @property
    @abstractmethod
    def bundle_tag(self) -> tuple[str, str]:
        """Kind and mid of the media section that names the transport (RFC 9143, 7.2)."""

    @property
    def datagrams(self) -> int:
        """How many datagrams the client sent, for the watchdog."""
        return self._transport.ice.datagrams

    async def _ready(self, link: Link) -> None:
        """Let media flow, now that there are keys."""
        self._next_report = self._monotonic() + self.REPORT_INTERVAL
        self._use_keys(link)
        _, self._unprotect_rtcp = link.unprotect()
        self._link = link
        self._note_up()
        self._transport.ice.take_media(self._receive_media)

    @abstractmethod
    def _use_keys(self, link: Link) -> None:
        """Keep what seals and opens packets."""

    def capture(self, tap: PacketTap) -> None:
        """Give all packets to a capture from now on."""
        self._transport.ice.capture(tap)
        if self._link is not None:
            self._use_keys(self._link)
            _, self._unprotect_rtcp = self._link.unprotect()

    @abstractmethod
    def _receive_media(self, data: bytes) -> bool:
        """Take an SRTP or SRTCP datagram; return whether it is authentic."""

    def _open_rtcp(self, data: bytes) -> bytes | None:
        """Open an SRTCP datagram; ``None`` when it is not authentic or of a source too many."""
        source = int.from_bytes(data[4:8], "big")
        if source not in self._sources and len(self._sources) >= self.MAX_SOURCES:
            return None
        try:
            compound = self._unprotect_rtcp(data)
        except NotAuthentic:
            return None
        self._sources.add(source)
        return compound

    @property
    def nominated_at(self) -> float | None:
        """When ICE had a pair; seconds, monotonic."""
        return self._transport.nominated_at

    @property
    def secured_at(self) -> float | None:
        """When the DTLS handshake was done; seconds, monotonic."""
        return self._transport.secured_at

    @property
    def rtt_ms(self) -> float | None:
        """The round-trip time of the last check of ours, in milliseconds."""
        rtt = self._transport.ice.rtt
        return None if rtt is None else round(rtt * 1000, 1)

    def sweep(self, now: float) -> None:
        """Send what is due; called several times a second. Seconds, monotonic."""
        if not self._transport.connected or self._transport.closed:
            return
        self._send_feedback(now)
        if now >= self._next_report:
            self._next_report = max(self._next_report + self.REPORT_INTERVAL, now)
            self._send_reports(now)
        if now >= self._next_probe:
            self._next_probe = now + self.PROBE_INTERVAL
            self.probe()
        self._transport.settle(now)

    @abstractmethod
    def _send_feedback(self, now: float) -> None:
        """Do what is due at each sweep."""

    @abstractmethod
    def _send_reports(self, now: float) -> None:
        """Send the RTCP reports that are due once a second."""

    def probe(self) -> None:
        """Send a STUN check; an answer counts as activity."""
        self._transport.ice.probe()

    def send(self, text: str) -> bool:
        """Send a text on the data channel; False when there is none, or its client does not read."""
        return self._transport.send(text)

    async def flush(self, seconds: float) -> None:
        """Wait until what was sent on the data channel has arrived, at most so long."""
        await self._transport.flush(seconds)

    async def close(self) -> None:
        """Close DTLS and the sockets, and drop what refers back to this. Does not raise."""
        await self._transport.close()
        self._let_go()

    def _let_go(self) -> None:
        """Drop all that refers back to this: a session ends too fast for the cycle collector."""
        self._note_up = _nothing


def _nothing() -> None:
    pass
