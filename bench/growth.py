"""How the cost grows: with connections, sessions, publishers, subscribers, hook sinks. Figures, and a plot for each.

    python bench/growth.py [--seconds 1.5] [--only NAME]

The product alone, on the first core; the load on the second. Each point is CPU time of the product per unit of work, from one
measurement of so many seconds, so single points are as noisy as the machine; the trend is what they are for. Loads grow as far
as two cores carry them. The plots are drawn by matplotlib in its own environment (``make bench-setup``); without it the figures
are written and the plots are not.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import machine
import media
from growth_points import (
    ROUNDS,
    Points,
    idle_points,
    publisher_points,
    relay_points,
    session_points,
    sink_points,
    subscriber_points,
)
from peers import BENCH, PEER_PYTHON
from results import Results

#: The plots: what is across, what is up, and whether what is across is drawn by its logarithm.
PLOTS: dict[str, tuple[str, str, bool]] = {
    "idle": ("idle connections", "KB per connection", True),
    "connections": ("connections", "CPU per message, µs", True),
    "sessions": ("short sessions so far", "CPU per session, µs", False),
    "sessions-memory": ("short sessions so far", "memory, MiB", False),
    "publishers": ("publishers", "% of a core", False),
    "subscribers": ("subscribers of one stream", "% of a core", False),
    "sinks": ("hook sinks", "CPU per hook, µs", False),
}


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the power with which the second grows with the first, by least squares of the logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def draw(plots: dict[str, Any]) -> str | None:
    """Draw the plots; say why not when that is not possible."""
    python = PEER_PYTHON / "python"
    if not python.exists():
        return "matplotlib: make bench-setup"
    done = subprocess.run(
        [str(python), str(BENCH / "plot.py")], input=json.dumps(plots), capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else f"the plots: {done.stderr.strip().splitlines()[-1]}"


def publishers_note(told: list[dict[str, float]], seconds: float) -> str:
    """Tell what became of the packets of the most publishers."""
    last = told[-1]
    return (
        f"At {last['publishers']:.0f} publishers {100 * last['lost']:.2f} % of the packets were lost, each had "
        f"{last['reports'] / (seconds + 2.2):.1f} receiver reports a second"
        f"{'' if last['remb'] else ' and no REMB'}, and the generator sent "
        f"{100 * last['rate'] / media.packets_per_second():.0f} % of what was due."
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", default="", help="only what has this in its name; nothing is written but its plots")
    options = parser.parse_args()
    seconds = options.seconds
    machine.pin(machine.DRIVER)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    notes = [
        f"CPU per message, hook and subscriber: the best of {ROUNDS} measurements each. Memory is the share that is its own."
    ]

    def subscribers() -> list[Points]:
        points, told = subscriber_points(2 * seconds)
        last = told[-1]
        notes.append(
            f"At {last['subscribers']:.0f} subscribers {100 * last['came']:.1f} % of the packets came to each, "
            f"{last['packet']:.1f} µs each; at {told[2]['subscribers']:.0f} it was {told[2]['packet']:.1f} µs."
        )
        return [points]

    def publishers() -> list[Points]:
        points, told = publisher_points(2 * seconds)
        notes.append(publishers_note(told, 2 * seconds))
        return [points]

    loads: dict[str, Callable[[], Sequence[Points]]] = {
        "idle": lambda: [idle_points()],
        "connections": lambda: [relay_points(seconds)],
        "sessions": session_points,
        "publishers": publishers,
        "subscribers": subscribers,
        "sinks": lambda: [sink_points()],
    }
    found: dict[str, Points] = {}
    for load, measure in loads.items():
        if options.only in load:
            found |= zip((name for name in PLOTS if name.startswith(load)), measure(), strict=True)
    results = Results(
        "growth", ["what", *(f"{name} point" for name in ("first", "middle", "last")), "grows with the power"]
    )
    for name, points in found.items():
        across, up, _ = PLOTS[name]
        shown = [points[0], points[len(points) // 2], points[-1]]
        results.rows.append(
            [f"{up}, by {across}", *(f"{y:,.1f} at {x:,.0f}" for x, y in shown), f"{exponent(points):.2f}"]
        )
    results.notes = [" ".join(notes)]
    plots = {f"growth-{name}": (*PLOTS[name][:2], points, PLOTS[name][2]) for name, points in found.items()}
    if (why := draw(plots)) is not None:
        results.notes.append(f"Missing: {why}.")
    results.data = dict(found)
    if options.only:
        print(results.table())
    else:
        results.save()


if __name__ == "__main__":
    main()
