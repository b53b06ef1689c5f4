"""How much the recordings may take of the disk. Blocking: for the writer's thread."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Bytes of the disk that recordings leave free.
KEEP_FREE = 64 << 20


class NoRoom(Exception):
    """There is no room for more; the message says why and what to do."""


class RecordingStore:
    """The recordings' directory. ``limit`` is the size in bytes of everything in it."""

    def __init__(self, root: Path, limit: int, keep_free: int = KEEP_FREE) -> None:
        self.root = root
        self._limit = limit
        self._keep_free = keep_free
        self._used: int | None = None

    def check(self, wanted: int) -> None:
        """See whether there is room for so many more bytes.

        Raises:
            NoRoom: there is not.
            OSError: the directory cannot be made.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if self._used is None or self._used + wanted > self._limit:
            self._used = _size_of(self.root)  # something may have been deleted meanwhile
        if self._used + wanted > self._limit:
            raise NoRoom(
                f"the recordings take {self._used / 1e6:.0f} MB, the limit is {self._limit / 1e6:g} MB: "
                "delete some, or raise --recordings-limit"
            )
        if shutil.disk_usage(self.root).free - wanted < self._keep_free:
            raise NoRoom(
                f"less than {self._keep_free / 1e6:.0f} MB are left on the disk of {self.root}: free some space"
            )

    def used(self, added: int) -> None:
        """Note what was written."""
        if self._used is not None:
            self._used += added


def _size_of(root: Path) -> int:
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name), follow_symlinks=False).st_size
            except OSError:
                continue  # deleted just now
    return total
