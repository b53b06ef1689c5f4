"""The origin registry: the origins, their load, and the choice of one for a connection."""

from __future__ import annotations

import asyncio
import fnmatch
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from smproxy.capture.ring import CaptureRing
from smproxy.manager.service_state import ServiceState
from smproxy.signaling.node_channel import CommandTo, Hello, InterstitialState, Load, SharedObjectState, TrackStatistics
from smproxy.signaling.payloads import Role, RouteError

Thumbnail: TypeAlias = Callable[[str, str], Awaitable[bytes | None]]
"""Gives the last key frame of a live stream, by scope and name, as PNG; ``None`` when there is none. Raises ``ValueError``
when it cannot be decoded."""


Capture: TypeAlias = Callable[[str, bool], CaptureRing | None]
"""Gives what is captured of an attempt, ``None`` for nothing; when asked to, it begins now if it has not yet."""


class OriginChoiceError(LookupError):
    """No origin can be chosen; the message says why, ``hint`` what to do.

    ``parameter`` is the one of the client that asked for it, ``error`` what a hook says.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        parameter: str = "host",
        error: RouteError = RouteError.POOL_EMPTY,
    ) -> None:
        self.error = error
        self.hint = hint
        self.parameter = parameter
        super().__init__(message)


@dataclass(slots=True, eq=False)
class Node:
    """An origin.

    ``command`` is its node channel; without one only the relay's observations make the session. ``id`` is what people call
    it, ``role`` what it is for: ``origin``, or ``edge`` for subscribers only. A node that ``shares`` also serves the streams of
    the others that do, because they are in one process; one that ``pulls_others`` has them brought from where they are.
    """

    address: str
    host: str
    port: int
    region: str = "local"
    command: CommandTo | None = None
    thumbnail: Thumbnail | None = None
    shared_objects: Callable[[], list[SharedObjectState]] | None = None
    interstitials: Callable[[], list[InterstitialState]] | None = None
    capture: Capture | None = None
    #: Gives the counters of an attempt as they are now, where the origin is in this process.
    counters: Callable[[str], list[TrackStatistics]] | None = None
    #: Connects to it without a socket, where it is in this process.
    connect: Callable[[asyncio.Protocol], None] | None = None
    sessions: int = 0
    load: Load = field(default_factory=lambda: Load(publishers=0))
    id: str = ""
    role: str = "origin"
    state: ServiceState = ServiceState.INSERVICE
    shares: bool = False
    pulls_others: bool = False

    def __post_init__(self) -> None:
        self.id = self.id or self.address

    @property
    def serves_others(self) -> bool:
        """Whether the streams of other nodes can be watched at it."""
        return self.shares or self.pulls_others

    @property
    def in_service(self) -> bool:
        """Whether new clients are sent to it."""
        return self.state is ServiceState.INSERVICE

    @property
    def draining(self) -> bool:
        """Whether it takes no new clients, and keeps those that it has."""
        return self.state is ServiceState.SOFT_SUNSET

    @draining.setter
    def draining(self, draining: bool) -> None:
        self.state = ServiceState.SOFT_SUNSET if draining else ServiceState.INSERVICE

    @property
    def reports(self) -> bool:
        """Whether the origin reports its media over a node channel."""
        return self.command is not None


class OriginRegistry:
    """Registered origins, and the rules for a ``host`` that is none of them.

    A proxy must not dial an address only because a URL names it, so an unregistered host is refused unless a pattern of
    ``allow_hosts`` matches it, or ``any_host`` sends its clients to a registered origin instead.
    """

    def __init__(self, *, allow_hosts: Iterable[str] = (), any_host: bool = False, default_port: int = 5080) -> None:
        self._allow_hosts = tuple(pattern.lower() for pattern in allow_hosts)
        self._any_host = any_host
        self._default_port = default_port
        self._nodes: dict[str, Node] = {}
        #: Gives the address of the origin that has a stream, by scope and name, where several are registered.
        self.owner_of: Callable[[str, str], str | None] = lambda scope, name: None

    @property
    def nodes(self) -> list[Node]:
        """The registered origins, in the order of their registration."""
        return list(self._nodes.values())

    def attach(
        self,
        hello: Hello,
        command: CommandTo | None = None,
        *,
        thumbnail: Thumbnail | None = None,
        shared_objects: Callable[[], list[SharedObjectState]] | None = None,
        interstitials: Callable[[], list[InterstitialState]] | None = None,
        capture: Capture | None = None,
        counters: Callable[[str], list[TrackStatistics]] | None = None,
        connect: Callable[[asyncio.Protocol], None] | None = None,
    ) -> Node:
        """Register an origin, in place of one of the same address."""
        node = Node(
            hello.address,
            hello.host,
            hello.port,
            hello.region,
            command,
            thumbnail,
            shared_objects,
            interstitials,
            capture,
            counters,
            connect,
        )
        self._nodes[hello.address.lower()] = node
        return node

    def detach(self, node: Node) -> None:
        """Take an origin from the registry; its sessions are the caller's to end."""
        if self._nodes.get(node.address.lower()) is node:
            del self._nodes[node.address.lower()]

    def owner(self, scope: str, name: str) -> Node | None:
        """Return the origin that has a stream, as far as that is known."""
        address = self.owner_of(scope, name)
        return None if address is None else self._nodes.get(address.lower())

    def find(self, id: str) -> Node | None:
        """Return the node of this id or address."""
        return next((node for node in self.nodes if id in (node.id, node.address)), None)

    def ranked(self, *, region: str | None = None, strict: bool = False, role: Role = Role.PUBLISHER) -> list[Node]:
        """Return the nodes for a new client, best first.

        First come those of the region, of those for subscribers edges, and then those with the least load.

        When none is in service, those that drain are left: they refuse the client themselves.

        Raises:
            OriginChoiceError: there is none, or with ``strict`` none in the region.
        """
        if not self._nodes:
            raise OriginChoiceError("names no origin and none is registered", "start with --origin HOST[:PORT]")
        able = [node for node in self._nodes.values() if role is Role.SUBSCRIBER or node.role == "origin"]
        nodes = [node for node in able if node.in_service] or [node for node in able if node.draining]
        if not nodes:
            states = ", ".join(
                f"{node.id} takes subscribers only" if node not in able else f"{node.id} {node.state}"
                for node in self.nodes
            )
            raise OriginChoiceError(f"names no origin and none is in service ({states})", "add a node, or wait for one")
        if len(nodes) > 1:
            edges_first = role is Role.SUBSCRIBER
            nodes.sort(
                key=lambda node: (region not in (None, node.region), edges_first and node.role != "edge", _load(node))
            )
        fitting = [node for node in nodes if not strict or region in (None, node.region)]
        if not fitting:
            known = ", ".join(sorted({node.region for node in nodes}))
            raise OriginChoiceError(f"has no origin (there are {known})", "leave out strict", parameter="region")
        return fitting

    def place_to_watch(self, holder: Node, *, region: str | None = None) -> Node:
        """Return where the streams of a node are watched: at an edge, or at the node itself.

        Of a node that is not in service they are watched at another one that has them, too, or pulls them.
        """
        if not holder.serves_others:
            return holder
        able = [node for node in self.nodes if node.serves_others and node.in_service]
        fitting = [node for node in able if node.role == "edge"] or ([holder] if holder.in_service else able)
        return min(fitting, key=lambda node: (region not in (None, node.region), _load(node)), default=holder)

    def choose(
        self,
        host: str | None = None,
        *,
        region: str | None = None,
        strict: bool = False,
        stream: tuple[str, str] | None = None,
        role: Role = Role.PUBLISHER,
    ) -> Node:
        """Return the origin for a connection that names ``host``, or the least loaded one.

        ``region`` is a wish, which is met when there is an origin of that region; with ``strict`` a condition. ``stream``,
        scope and name, goes to the origin that has it.

        Raises:
            OriginChoiceError: ``host`` is neither registered nor allowed, or there is no origin at all.
        """
        if stream is not None and (host is None or self._any_host) and (owner := self.owner(*stream)) is not None:
            return self.place_to_watch(owner, region=region) if role is Role.SUBSCRIBER else owner
        if host is None:
            return self.ranked(region=region, strict=strict, role=role)[0]
        wanted = host.lower()
        node = self._nodes.get(wanted) or self._nodes.get(wanted.removesuffix(f":{self._default_port}"))
        if node is not None:
            return node
        name, port = _host_and_port(wanted, self._default_port)
        if any(_allows(pattern, name) for pattern in self._allow_hosts):
            return Node(address=host, host=name, port=port)
        if self._any_host:
            return self.ranked(region=region, strict=strict, role=role)[0]
        known = ", ".join(node.address for node in self._nodes.values()) or "none"
        raise OriginChoiceError(
            f"is not a registered origin ({known})",
            f"register it with --origin {host}, or start with --any-host",
            error=RouteError.GATEWAY_ERROR,
        )


def _load(node: Node) -> int:
    """Return how much an origin carries, whichever managers its clients came through."""
    return max(node.sessions, node.load.publishers + node.load.subscribers)


def _allows(pattern: str, host: str) -> bool:
    """Match a host against a pattern.

    A pattern of digits and dots is for addresses, so that 10.1.* does not let 10.1.evil.example in.
    """
    if not re.search("[a-z]", pattern) and re.search("[0-9]", pattern):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
    return fnmatch.fnmatchcase(host, pattern)


def _host_and_port(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536 and (":" not in host or host[-1:] == "]"):
        return host.strip("[]"), int(port)
    return text.strip("[]"), default_port
