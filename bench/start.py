"""How long one waits: for ``smproxy serve``, for the pytest fixture, for an import.

    python bench/start.py [--rounds 5]

Seconds of wall time, each thing in a process of its own, one after the other in every round; beside them what a bare Python and
an import of aiortc take. The fixture is timed by pytest itself (``--durations``), the first and the later ones of a run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine
from results import ROOT, Figure, Results

TESTS = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_fixture(stream_manager, number):
    assert stream_manager.port
"""
FIXTURES = 6
#: Seconds after which the vendor's SDK looks whether its socket is open; all of ``publish()`` waits for that.
SDK_POLL = 0.5
BROWSER = "`publish()` of Chromium with SDK 11, beyond the SDK's own 0.5 s"
BROWSER_WHIP = "`publish()` of the SDK's WHIP client, beyond its own wait for candidates"


def python(code: str) -> Callable[[], float]:
    """Time a program of one line."""

    def run() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    return run


def serve(*more: str) -> Callable[[], float]:
    """Time ``smproxy serve`` until it has answered a request."""

    def run() -> float:
        port = machine.free_port()
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "smproxy", "serve", "--port", str(port), "--data-dir", folder, *more]
            began = time.perf_counter()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                while True:
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as asking:
                        asking.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                        if b" 200 " in asking.recv(100):
                            return time.perf_counter() - began
                    if child.poll() is not None:
                        raise RuntimeError("smproxy serve has ended")
                    time.sleep(0.002)
            finally:
                child.send_signal(signal.SIGTERM)
                child.wait()

    return run


def fixtures() -> list[float]:
    """Return the seconds that each set-up of ``stream_manager`` took in one run of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_fixture.py").write_text(TESTS.format(count=FIXTURES))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--durations=0",
            "--durations-min=0",
            "-vv",
            "-p",
            "no:cacheprovider",
        ]
        done = subprocess.run(
            [*command, "--rootdir", folder, folder], capture_output=True, text=True, check=False, env={**os.environ}
        )
    found = {
        int(number): float(seconds)
        for seconds, number in re.findall(r"^([0-9.]+)s setup +.*\[(\d+)\]$", done.stdout, re.MULTILINE)
    }
    if len(found) != FIXTURES:
        raise RuntimeError(f"pytest did not time the fixture:\n{done.stdout[-2000:]}")
    return [found[number] for number in range(FIXTURES)]


def collect(*more: str) -> Callable[[], float]:
    """Time ``pytest --collect-only`` in a project that does not use the plugin."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_other.py").write_text("def test_other():\n    pass\n")
            command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *more, folder]
            began = time.perf_counter()
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            return time.perf_counter() - began

    return run


def browser(rounds: int, *more: str, own: float = SDK_POLL) -> list[float]:
    """Return the seconds that ``publish()`` of a real browser took each time beyond ``own`` ones of the SDK.

    Raises:
        RuntimeError: there is no browser or no SDK; says what to do.
    """
    command = [sys.executable, "-m", "bench.browser", "--rounds", str(rounds), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return [each / 1000 - own for each in json.loads(done.stdout)]


def run(rounds: int) -> Results:
    """Time everything in turns."""
    ways: dict[str, Callable[[], float]] = {
        "a bare Python": python("pass"),
        "import aiortc": python("import aiortc"),
        "import smproxy": python("import smproxy"),
        "import smproxy.simulator (no aiortc)": python("import smproxy.simulator"),
        "`pytest --collect-only` elsewhere, without the plugin": collect("-p", "no:stream_manager"),
        "the same with the plugin installed": collect(),
        "`smproxy serve` takes connections": serve(),
        "the same with `--no-local-origin`": serve("--no-local-origin", "--origin", "127.0.0.1:9"),
    }
    targets = {"`smproxy serve` takes connections": "0.7", "import smproxy": "0.15"}
    took: dict[str, list[float]] = {name: [] for name in ways}
    first: list[float] = []
    later: list[float] = []
    for way in ways.values():
        way()
    fixtures()
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(way())
        setups = fixtures()
        first.append(setups[0])
        later += setups[1:]
    took["the fixture, first of a run"] = first
    took["the fixture, every later one"] = later
    targets["the fixture, every later one"] = "0.15"
    missing: list[str] = []
    try:
        took[BROWSER] = browser(rounds)
        targets[BROWSER] = "0.1"
        took[BROWSER_WHIP] = browser(rounds, "--whip", own=0.0)
        targets[BROWSER_WHIP] = "0.15"
    except RuntimeError as why:
        missing.append(f"Missing: {BROWSER}: {why}.")
    results = Results("start", ["what", "seconds", "of a bare Python's start", "target, seconds"])
    base = Figure.of(took["a bare Python"]).median
    for name, values in took.items():
        figure = Figure.of(values)
        results.rows.append([name, figure.text(3), f"{figure.median / base:.1f} ×", targets.get(name, "")])
    results.notes = [f"Median of {rounds} rounds, minimum to maximum.", *shortfalls(took, targets), *missing]
    results.data = took
    return results


def shortfalls(took: dict[str, list[float]], targets: dict[str, str]) -> list[str]:
    """Say which targets were not reached, and how far they are."""
    return [
        f"Target not reached: {name}: {figure.median:.2f} s of {target} s, at best {figure.low:.2f} s; nearly all of it is "
        "imports, and this is wall time, which a busy machine stretches."
        for name, target in targets.items()
        if (figure := Figure.of(took[name])).median > float(target)
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # As on a user's machine, where Python has compiled the modules at the first start; here they have a place of their own.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        run(options.rounds).save()


if __name__ == "__main__":
    main()
