"""The origin registry: the origins, their load, and the choice of one for a connection."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from smproxy.signaling.node import CommandTo, Hello, InterstitialState, Load, SharedObjectState

Thumbnail: TypeAlias = Callable[[str, str], Awaitable[bytes | None]]
"""Gives the last key frame of a live stream, by scope and name, as PNG; ``None`` when there is none. Raises ``ValueError``
when it cannot be decoded."""


class OriginChoiceError(LookupError):
    """No origin can be chosen; the message says why, ``hint`` what to do.

    ``parameter`` is the one of the client that asked for it.
    """

    def __init__(self, message: str, hint: str = "", *, parameter: str = "host") -> None:
        self.hint = hint
        self.parameter = parameter
        super().__init__(message)


@dataclass(slots=True, eq=False)
class Node:
    """An origin.

    ``command`` is its node channel; without one only the relay's observations make the session.
    """

    address: str
    host: str
    port: int
    region: str = "local"
    command: CommandTo | None = None
    thumbnail: Thumbnail | None = None
    shared_objects: Callable[[], list[SharedObjectState]] | None = None
    interstitials: Callable[[], list[InterstitialState]] | None = None
    sessions: int = 0
    draining: bool = False
    load: Load = field(default_factory=lambda: Load(publishers=0))

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
    ) -> Node:
        """Register an origin, in place of one of the same address."""
        node = Node(
            hello.address, hello.host, hello.port, hello.region, command, thumbnail, shared_objects, interstitials
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

    def ranked(self, *, region: str | None = None, strict: bool = False) -> list[Node]:
        """Return the origins for a new connection, best first: those of the region, then by load.

        Raises:
            OriginChoiceError: there is none, or with ``strict`` none in the region.
        """
        if not self._nodes:
            raise OriginChoiceError("names no origin and none is registered", "start with --origin HOST[:PORT]")
        nodes = [node for node in self.nodes if not node.draining] or self.nodes
        nodes.sort(key=lambda node: (region not in (None, node.region), _load(node)))
        fitting = [node for node in nodes if not strict or region in (None, node.region)]
        if not fitting:
            known = ", ".join(sorted({node.region for node in nodes}))
            raise OriginChoiceError(f"has no origin (there are {known})", "leave out strict", parameter="region")
        return fitting

    def choose(
        self,
        host: str | None = None,
        *,
        region: str | None = None,
        strict: bool = False,
        stream: tuple[str, str] | None = None,
    ) -> Node:
        """Return the origin for a connection that names ``host``, or the least loaded one.

        ``region`` is a wish, which is met when there is an origin of that region; with ``strict`` a condition. ``stream``,
        scope and name, goes to the origin that has it.

        Raises:
            OriginChoiceError: ``host`` is neither registered nor allowed, or there is no origin at all.
        """
        if stream is not None and (host is None or self._any_host) and (owner := self.owner(*stream)) is not None:
            return owner
        if host is None:
            return self.ranked(region=region, strict=strict)[0]
        wanted = host.lower()
        node = self._nodes.get(wanted) or self._nodes.get(wanted.removesuffix(f":{self._default_port}"))
        if node is not None:
            return node
        name, port = _host_and_port(wanted, self._default_port)
        if any(_allows(pattern, name) for pattern in self._allow_hosts):
            return Node(address=host, host=name, port=port)
        if self._any_host:
            return self.ranked(region=region, strict=strict)[0]
        known = ", ".join(node.address for node in self._nodes.values()) or "none"
        raise OriginChoiceError(
            f"is not a registered origin ({known})", f"register it with --origin {host}, or start with --any-host"
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
