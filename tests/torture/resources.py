"""What a process uses: memory, file descriptors, threads, bytes on disk."""

from __future__ import annotations

import gc
import os
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Used:
    """A reading. ``memory`` in MiB, ``disk`` in MiB."""

    memory: float
    descriptors: int
    threads: int
    disk: float

    def __str__(self) -> str:
        return f"{self.memory:.0f} MiB, {self.descriptors} fds, {self.threads} threads, {self.disk:.0f} MiB disk"

    def is_flat(self, later: Used) -> bool:
        """Return whether a later reading is not above this one, but for what a bounded cache may still take."""
        return (
            later.memory <= self.memory * 1.15 + 8
            and later.descriptors <= self.descriptors + 2
            and later.threads <= self.threads
            and later.disk <= self.disk * 1.3 + 4
        )


def used(folder: Path) -> Used:
    """Read what this process uses now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Used(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        disk / 2**20,
    )
