"""Draws what ``growth.py`` has found, from JSON on standard input to ``docs/images``; runs where matplotlib is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 10})

from matplotlib import pyplot  # noqa: E402

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Draw one plot for each name."""
    for name, (across, up, points, logarithmic) in json.load(sys.stdin).items():
        figure, axes = pyplot.subplots(figsize=(4.6, 2.8))
        axes.plot(*zip(*points, strict=True), marker="o", color="#c2263b")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.set_ylim(bottom=0)
        if logarithmic:
            axes.set_xscale("log")
            axes.set_xticks([x for x, _ in points], [f"{x:,}" for x, _ in points])
            axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        figure.patch.set_facecolor("white")
        figure.savefig(IMAGES / f"{name}.svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
