"""Lists of several nodes, put together to one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GatheredList:
    """How a list of all nodes is made from theirs.

    ``field`` is where an answer has it; without one the answer is the list. ``newest_by`` puts the newest first, ``oldest_by``
    the oldest, unless ``newest`` is asked for. ``names_node``: each row gets the name of its node, if it has none. Rows with
    the same ``key`` are one, of which each node has counted its own clients: ``sums`` are added up. Both are looked for in the
    ``part`` of a row, if it has one.
    """

    field: str | None = None
    newest_by: str | None = None
    oldest_by: str | None = None
    key: str | None = None
    sums: tuple[str, ...] = ()
    part: str | None = None
    names_node: bool = False

    def mark(self, answer: Any, node: str) -> None:
        """Say in each row of an answer which node it is from."""
        if self.names_node:
            for row in answer[self.field]:
                row.setdefault("node", node)

    def merge(self, mine: Any, theirs: Any) -> None:
        """Add what another node has answered."""
        rows, others = (mine, theirs) if self.field is None else (mine[self.field], theirs[self.field])
        if isinstance(rows, dict):
            rows.update(others)
            return
        known = {} if self.key is None else {self._part(row).get(self.key): row for row in rows}
        for other in others:
            row = known.get(self._part(other).get(self.key)) if self.key is not None else None
            if row is None:
                rows.append(other)
                continue
            for name in self.sums:
                if name in self._part(row):
                    self._part(row)[name] += self._part(other)[name]
        if isinstance(mine, dict) and "total" in mine:
            mine["total"] += theirs["total"]

    def finish(self, merged: Any, limit: str, *, newest: bool = False) -> None:
        """Sort, and keep as many as were asked for."""
        rows = merged if self.field is None else merged[self.field]
        if (by := self.newest_by or self.oldest_by) is not None:
            # What one node says in one millisecond stays in its order.
            rows.sort(key=lambda each: each[by] or 0, reverse=newest or self.newest_by is not None)
        if limit.isascii() and limit.isdigit():
            del rows[int(limit) :]

    def _part(self, row: dict[str, Any]) -> dict[str, Any]:
        part: dict[str, Any] = row if self.part is None else row.get(self.part, row)
        return part


_CARRIED = ("publishers", "subscribers", "sessions")
_LISTS = {
    "/api/v1/sessions": GatheredList("sessions", newest_by="startedAt"),
    "/api/v1/streams": GatheredList("streams", oldest_by="startedAt"),
    "/api/v1/nodes": GatheredList("nodes", key="id", sums=_CARRIED),
    "/api/v1/origins": GatheredList("origins", key="address", sums=_CARRIED),
    "/api/v1/publishers": GatheredList("publishers", oldest_by="createdAt"),
    "/api/v1/subscribers": GatheredList("subscribers", oldest_by="createdAt"),
    "/api/v1/shared-objects": GatheredList("sharedObjects", names_node=True),
    "/api/v1/interstitials": GatheredList("interstitials", names_node=True),
    "/api/v1/conferences": GatheredList("conferences", names_node=True),
    "/api/v1/recordings": GatheredList("recordings", newest_by="modifiedAt", names_node=True),
    "/api/v1/hooks": GatheredList("hooks", oldest_by="ts"),
    "/api/v1/hooks/dead": GatheredList("hooks", oldest_by="ts"),
    "/api/v1/faults/log": GatheredList("log", oldest_by="at", names_node=True),
    "/as/v1/admin/rtcproxy": GatheredList(),
}
_PATTERNS = (
    (re.compile(r"/as/v1/streams/stream/[^/]+"), GatheredList()),
    (re.compile(r"/(?!as/|api/).+/streams\.jsp"), GatheredList()),
    (re.compile(r"/streammanager/api/[^/]+/event/list(/stats)?"), GatheredList()),
    (
        re.compile(r"/as/v1/admin/nodegroup/status/[^/]+"),
        GatheredList(key="nodeId", sums=("publisherCount", "subscriberCount", "clientCount"), part="nodeEvent"),
    ),
)


def gathered_list(path: str) -> GatheredList | None:
    """Return how the list of this path is made, ``None`` when it is none of all nodes."""
    return _LISTS.get(path) or next((how for pattern, how in _PATTERNS if pattern.fullmatch(path)), None)
