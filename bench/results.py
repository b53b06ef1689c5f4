"""What a bench leaves behind: a JSON file, and a Markdown table that ``docs/performance.md`` includes."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Figure:
    """A median with its range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Sum up the values of all rounds."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0, unit: str = "") -> str:
        """Write it as ``median unit (low to high)``."""
        unit = f" {unit}" if unit else ""
        return f"{self.median:,.{digits}f}{unit} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


@dataclass
class Results:
    """The outcome of one bench. ``rows`` is the table; ``data`` what it was made from."""

    name: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def table(self) -> str:
        """Write the table in Markdown, with the notes below it."""
        lines = [f"| {' | '.join(row)} |" for row in (self.head, ["---"] * len(self.head), *self.rows)]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])

    def save(self) -> None:
        """Print, write the JSON file, and bring the page up to date where it has a place for this table."""
        print(f"\n{self.table()}\n")
        RESULTS.mkdir(exist_ok=True)
        content = {
            "bench": self.name,
            "date": time.strftime("%Y-%m-%d"),
            "machine": machine.facts(),
            "table": {"head": list(self.head), "rows": [list(row) for row in self.rows]},
            "notes": self.notes,
            "data": self.data,
        }
        (RESULTS / f"{self.name}.json").write_text(json.dumps(content, indent=1) + "\n")
        text = PAGE.read_text()
        start, end = f"<!-- bench {self.name} -->", f"<!-- end of bench {self.name} -->"
        place = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        if place.search(text):
            PAGE.write_text(place.sub(lambda _: f"{start}\n{self.table()}\n{end}", text))
