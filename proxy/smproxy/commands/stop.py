"""``smproxy stop``: end a stream manager that was left running."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from smproxy.commands.arguments import DEFAULT_DATA_DIR, add_waiting_arguments
from smproxy.commands.output import OK, CommandError, write, write_json
from smproxy.pid_file import FILE_NAME, PidFileError, end, read_pid, runs

DEFAULT_TIMEOUT = 15.0
_LOOK = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy stop``."""
    parser.add_argument("--pid-file", type=Path, metavar="FILE", help="the file of serve --pid-file")
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="the directory of serve --data-dir (else SMPROXY_DATA_DIR, .smproxy)",
    )
    add_waiting_arguments(parser, DEFAULT_TIMEOUT)


def run(arguments: argparse.Namespace) -> int:
    """End it, and wait until it has ended.

    Raises:
        CommandError: it does not run, or does not end in time.
    """
    directory = arguments.data_dir or DEFAULT_DATA_DIR
    path: Path = arguments.pid_file or directory / FILE_NAME
    began = time.monotonic()
    try:
        pid = read_pid(path)
        if pid is None or not runs(pid):
            why = "there is no such file" if pid is None else f"process {pid} has ended"
            raise CommandError(f"no stream manager runs: {path}: {why}")
        end(pid)
    except PidFileError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{path}: it cannot be ended: {(error.strerror or str(error)).lower()}") from None
    while runs(pid) and path.exists():
        if time.monotonic() - began > arguments.timeout:
            raise CommandError(f"process {pid} has not ended within {arguments.timeout:g} s")
        time.sleep(_LOOK)
    took = time.monotonic() - began
    if arguments.json:
        write_json({"pid": pid, "stopped": True, "tookMs": round(took * 1000)})
    else:
        write(f"stopped after {took:.1f} s: process {pid}")
    return OK
