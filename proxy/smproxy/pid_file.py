"""The file with the number of the process, by which ``smproxy stop`` finds it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

#: Its name in the data directory.
FILE_NAME = "smproxy.pid"


class PidFileError(Exception):
    """The file cannot be used: one line that says why and what to do."""


def read_pid(path: Path) -> int | None:
    """Return the number in a file, ``None`` when there is no file.

    Raises:
        PidFileError: it cannot be read, or there is something else in it.
    """
    try:
        text = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PidFileError(f"{path}: {(error.strerror or str(error)).lower()}: give the file of --pid-file") from None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:12]) < 2**31):
        raise PidFileError(f"{path}: there is no process number in it: give the file of --pid-file")
    return int(text)


def runs(pid: int) -> bool:
    """Return whether a process runs and is a stream manager, as far as the system tells."""
    if sys.platform == "win32":  # there a signal of 0 is no question
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"smproxy" in command and not status.rpartition(")")[2].startswith(" Z")
    return True


def end(pid: int) -> None:
    """Have a process end in order. Raises ``OSError``."""
    os.kill(pid, signal.SIGTERM)


def check_free(path: Path | None) -> None:
    """Refuse a file whose process runs.

    Raises:
        PidFileError: it runs, or the file is none of ours.
    """
    pid = None if path is None else read_pid(path)
    if pid is not None and pid != os.getpid() and runs(pid):
        stop = f"smproxy stop --pid-file {shlex.quote(str(path))}"
        raise PidFileError(f"{path}: process {pid} runs already: end it with `{stop}`")


@contextlib.contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Have the file of this process, if a path is given.

    Raises:
        PidFileError: it cannot be written.
    """
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise PidFileError(f"--pid-file {path}: {(error.strerror or str(error)).lower()}: give another") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
