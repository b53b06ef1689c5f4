"""The feeds of several nodes, put together to one. No I/O.

Sessions, hooks and deliveries pass as they are: each says whose it is. What a node counts is added up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from smproxy.manager.cluster.lists import gathered_list
from smproxy.manager.dashboard_events import frame

#: The most bytes of one frame of another node.
MAX_FRAME = 16 << 20

_COUNTED = ("origins", "nodes", "sinks", "faults")


class FrameTooLong(ValueError):
    """A node has sent a frame that is longer than any may be."""


class FeedCutter:
    """Cuts what comes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, chunk: bytes) -> list[bytes]:
        """Return the frames that are whole now, each with its empty line. Raises ``FrameTooLong``."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > MAX_FRAME:
            raise FrameTooLong(f"a frame has more than {MAX_FRAME} bytes")
        return [block + b"\n\n" for block in blocks]


class FeedMerge:
    """Makes one feed for one listener. ``node`` is the one that it listens at."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._counts: dict[str, dict[str, Any]] = {name: {} for name in _COUNTED}
        self._others: tuple[list[str], list[str]] | None = None

    def own(self, data: bytes) -> bytes:
        """Return what the listener is sent for a frame of this node."""
        return self._counted(self._node, data)

    def others(self, node: str, frames: Iterable[bytes]) -> bytes:
        """Return what the listener is sent for frames of another node."""
        return b"".join(self._of_other(node, each) for each in frames)

    def members(self, nodes: Iterable[str], partial: Iterable[str]) -> bytes:
        """Return what the listener is sent when nodes came, left, or are not heard.

        Nothing when it knows that.
        """
        state = sorted({self._node, *nodes}), sorted(partial)
        if state == self._others:
            return b""
        self._others = state
        sent = [frame("cluster", {"node": self._node, "nodes": state[0], "partial": state[1]})]
        for name, counts in self._counts.items():
            if gone := [node for node in counts if node not in state[0]]:
                for node in gone:
                    del counts[node]
                sent.append(self._sum(name))
        return b"".join(sent)

    def _of_other(self, node: str, data: bytes) -> bytes:
        name, body = _read(data)
        if name == "hello":
            return frame("node", msgspec.json.decode(body) | {"node": node})
        if name == "ready":
            return frame("ready", {"node": node})
        if name in {"sessions", "hook", "delivery", "stats"}:
            return data
        return self._counted(node, data)

    def _counted(self, node: str, data: bytes) -> bytes:
        name, body = _read(data)
        if name not in self._counts:
            return data if node == self._node else b""
        self._counts[name][node] = msgspec.json.decode(body)
        return self._sum(name)

    def _sum(self, name: str) -> bytes:
        counts = self._counts[name]
        # The listener's own node comes first: its list has the order that stays.
        order = sorted(counts, key=lambda node: (node != self._node, node))
        if not order:
            return b""
        if name == "sinks":
            return frame(name, [sink | {"node": node} for node in order for sink in counts[node]])
        if name == "faults":
            totals = counts.values()
            return frame(
                name,
                {
                    "active": max(each["active"] for each in totals),
                    "logged": sum(each["logged"] for each in totals),
                    "last": max(each["last"] for each in totals),
                },
            )
        how = gathered_list(f"/api/v1/{name}")
        assert how is not None
        merged, *more = (msgspec.json.decode(msgspec.json.encode(counts[node])) for node in order)
        for each in more:
            how.merge(merged, each)
        return frame(name, merged)


def _read(data: bytes) -> tuple[str, bytes]:
    """Return the name and the data of a frame; comments and the time to come back have no name."""
    head, _, rest = data.partition(b"\n")
    if not head.startswith(b"event: "):
        return "", b""
    return head[7:].decode(), rest.removeprefix(b"data: ").rstrip(b"\n")
