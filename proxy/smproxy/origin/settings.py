"""The settings of an origin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from smproxy.signaling.whip import IceServer


class WhepOffline(StrEnum):
    """What a WHEP client gets when nobody publishes the stream."""

    #: 409 with Retry-After, as the draft has it.
    CONFLICT = "conflict"
    #: 404, as clients of mediamtx expect.
    NOT_FOUND = "not-found"
    #: An answer; it sees the stream when it comes.
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginSettings:
    """Settings of one origin; times in seconds, sizes in bytes.

    ``host`` and ``port`` are where its signaling listens (port 0: any), ``address`` is what REST gives to clients.
    ``media_gap`` and ``media_timeout`` are how long nothing at all may come from a connected peer, until that is reported and
    until it is given up. ``connect_timeout`` is how long ICE and DTLS may take after an offer. ``recordings`` is the directory
    that recordings go to (``None``: there is none) and ``recordings_limit`` how much may be in it.
    ``open_to_all`` also takes clients that no manager announced: for benchmarks and tests of the origin by itself.
    ``whep_retry_after`` is the ``Retry-After`` of a 409, ``ice_servers`` are sent to WHIP and WHEP clients.
    ``announce_wait`` is how long a client may be ahead of its announcement, which takes another way between machines.
    ``takeover`` is how long a publisher must have had its name before another may take it over: 0 at once, ``None`` never.
    ``media_port`` is the one UDP port that all media comes to (0: any that is free; ``None``: each client has ports of its
    own), and ``media_addresses`` are what candidates say instead of the machine's own addresses. ``media_hosts`` are the only
    addresses that media comes to (empty: all that the machine has, with
    ``ipv6_loopback`` also ::1). With ``media_tcp`` connections that its
    server is given by ``Origin.streams`` carry media, too. With ``capture`` the packets of every session are kept from
    its first one on. ``pull_linger`` is how long a stream of another node is still pulled after its last viewer.
    """

    host: str = "127.0.0.1"
    port: int = 0
    address: str = "127.0.0.1"
    region: str = "local"
    media_gap: float = 2.0
    media_timeout: float = 5.0
    connect_timeout: float = 15.0
    max_message: int = 2**20
    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    recordings: Path | None = None
    recordings_limit: int = 10_000_000_000
    open_to_all: bool = False
    whep_offline: WhepOffline = WhepOffline.CONFLICT
    whep_retry_after: int = 5
    ice_servers: tuple[IceServer, ...] = ()
    takeover: float | None = None
    announce_wait: float = 0.0
    media_port: int | None = None
    media_addresses: tuple[str, ...] = ()
    media_hosts: tuple[str, ...] = ()
    ipv6_loopback: bool = False
    media_tcp: bool = False
    capture: bool = False
    pull_linger: float = 10.0
