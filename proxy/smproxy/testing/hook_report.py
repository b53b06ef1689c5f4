"""What came instead of an expected hook, nearest first.

Plain text for the report of a failed test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from smproxy.signaling.clock import monotonic
from smproxy.testing.expectation import Expectation, shown
from smproxy.testing.hook_log import ABSENT, Hook

#: Rows of the table.
MAX_ROWS: Final = 15
_COLUMNS: Final = ("session", "seq", "event", "state", "id")


def report(heading: str, expected: Expectation, came: Sequence[Hook]) -> str:
    """Write the heading, a table of what came, and how the nearest differs."""
    if not came:
        return f"{heading}: no hook came at all\n(nothing has connected, or its hooks are of another instance)"
    ranked = sorted(came, key=lambda hook: (expected.distance(hook), -hook.number))
    lines = [f"{heading}: {len(came)} came, nearest first, ! marks what differs:", ""]
    lines += table(ranked[:MAX_ROWS], expected)
    if len(ranked) > MAX_ROWS:
        lines.append(f"     ... and {len(ranked) - MAX_ROWS} more")
    nearest = ranked[0]
    if differing := expected.differing(nearest):
        lines += ["", f"the nearest, {nearest.number}, differs in:"]
        for name in differing:
            lines += [
                f"  - {name}: {shown(expected.fields[name])} (expected)",
                f"  + {name}: {shown(nearest.get(name, ABSENT))}",
            ]
    return "\n".join(lines)


def table(hooks: Sequence[Hook], expected: Expectation | None = None) -> list[str]:
    """Lay hooks out in columns; beside the usual ones, those that are expected."""
    columns = list(_COLUMNS)
    if expected is not None:
        columns += [name for name in expected.fields if name not in columns]
    now = monotonic()
    rows = [["n", *columns, "came"]]
    for hook in hooks:
        wrong = set(expected.differing(hook)) if expected is not None else set()
        cells = [("!" if name in wrong else "") + _cell(hook.get(name, ABSENT)) for name in columns]
        rows.append([str(hook.number), *cells, f"{now - hook.arrived:.3f} s ago"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _cell(value: Any) -> str:
    if value is ABSENT:
        return "-"
    text = shown(value)
    return text if len(text) <= 40 else text[:37] + "..."
