"""The machine under a bench: cores, processes, their CPU time and memory."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

#: Where the program under test runs, and where everything that only drives it does.
TESTED, DRIVER = 0, 1


def pin(core: int, pid: int = 0) -> None:
    """Keep a process (this one) on one core, where there is more than one to choose from."""
    if len(CORES) > 1:
        os.sched_setaffinity(pid, {CORES[core % len(CORES)]})


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback that nobody uses."""
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pids(pid: int) -> list[int]:
    """The process and its descendants: nginx and haproxy do their work in a child."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_time(pid: int) -> int:
    """Nanoseconds that a process has run, with all its threads and children."""
    total = 0
    for one in _pids(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total


def memory(pid: int) -> int:
    """Bytes that a process has in memory of its own, with all its children.

    Files that are mapped are not counted: its share of those grows and shrinks with what else runs.
    """
    total = 0
    for one in _pids(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                total += int(line.split()[1]) * 1024
    return total


@contextlib.contextmanager
def process(command: Sequence[str], *, core: int, port: int | None = None, log: Path | None = None) -> Iterator[int]:
    """Run a program on a core until the end; yield its process id once it listens on ``port``.

    Raises:
        RuntimeError: it ended, or did not listen within 20 s.
    """
    output = subprocess.DEVNULL if log is None else log.open("wb")
    child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    pin(core, child.pid)
    try:
        until = time.monotonic() + 20
        while port is not None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            if child.poll() is not None or time.monotonic() > until:
                said = "" if log is None else log.read_text(errors="replace")[-500:]
                raise RuntimeError(f"{command[0]} does not listen on port {port}: {said}")
            time.sleep(0.05)
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if log is not None:
            output.close()  # type: ignore[union-attr]


def facts() -> dict[str, str | int]:
    """What to know of this machine when reading a figure; names neither host nor user."""
    model = "unknown"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cores": len(CORES),
        "cpu": model,
        "python": platform.python_version(),
        "kernel": platform.release().split("-")[0],
    }
