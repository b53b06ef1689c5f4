"""``smproxy serve --detach``: start the server, and leave it running."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from smproxy.pid_file import FILE_NAME, PidFileError, check_free
from smproxy.settings import DETACHED, Settings, SettingsError
from smproxy.settings.options import OPTIONS

#: Seconds in which the server must be ready.
READY_IN = 60.0
_LOOK = 0.05
#: Lines of its log that are shown when it does not start.
_SHOWN = 20


def serve_detached(arguments: argparse.Namespace, settings: Settings) -> int:
    """Start ``smproxy serve`` with the same arguments.

    Return 0 when it is ready, its exit code if it ends.

    Raises:
        SettingsError: it cannot be left running, or is not ready in time.
    """
    pid_file = settings.pid_file
    if pid_file is None:
        if settings.in_memory:
            raise SettingsError("--detach keeps its pid file in --data-dir: give a directory, or --pid-file FILE")
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SettingsError(f"--data-dir {settings.data_dir}: {why}: give a writable directory") from None
        pid_file = settings.data_dir / FILE_NAME
    try:
        check_free(pid_file)
    except PidFileError as error:
        raise SettingsError(str(error)) from None
    log_file = settings.log_file or pid_file.with_suffix(".log")
    with tempfile.TemporaryDirectory(prefix="smproxy-") as directory:
        ready = settings.ready_file or Path(directory) / "ready.json"
        command = [*_command(arguments), f"--pid-file={pid_file}", f"--ready-file={ready}"]
        process = _start(command, log_file)
        try:
            facts = _wait_until_ready(process, ready)
        except KeyboardInterrupt:  # nobody would know of a server that goes on
            process.terminate()
            process.wait()
            raise
    if facts is None:
        if process.poll() is None:
            process.terminate()
            raise SettingsError(f"--detach: it was not ready within {READY_IN:g} s and is ended: see {log_file}")
        sys.stderr.write("".join(line + "\n" for line in _last_lines(log_file)))
        return process.returncode or 1
    print(
        f"Ready at {facts['url']} (process {facts['pid']}, log in {log_file}); `{_stop(pid_file, settings)}` ends it."
    )
    return 0


def _command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that runs here, without what belongs to the parent."""
    command = [sys.executable, "-m", "smproxy", "serve"]
    for option in OPTIONS:
        value = getattr(arguments, option.setting, None)
        if option.flag is None or value is None or option.setting in ("detach", "pid_file", "ready_file"):
            continue
        if option.metavar is None:
            command.append(option.flag)
        else:
            command += [f"{option.flag}={each}" for each in (value if isinstance(value, list) else [value])]
    return command


def _start(command: list[str], log_file: Path) -> subprocess.Popen[bytes]:
    own_group: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    try:
        log_file.write_bytes(b"")
        with log_file.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, DETACHED: "1"},
                **own_group,
            )
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SettingsError(f"the log {log_file}: {why}: give another --log-file or --data-dir") from None


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path) -> dict[str, Any] | None:
    """Return what the ready file has, ``None`` when the process ends or takes too long."""
    until = time.monotonic() + READY_IN
    while process.poll() is None and time.monotonic() < until:
        try:
            facts: dict[str, Any] = json.loads(ready.read_text())
        except (OSError, ValueError):
            time.sleep(_LOOK)
        else:
            if facts.get("pid") == process.pid:
                return facts
    return None


def _last_lines(log_file: Path) -> list[str]:
    try:
        return log_file.read_text(errors="replace").splitlines()[-_SHOWN:]
    except OSError:
        return []


def _stop(pid_file: Path, settings: Settings) -> str:
    default = Settings().data_dir
    if pid_file == default / FILE_NAME:
        return "smproxy stop"
    if settings.pid_file is None:
        return f"smproxy stop --data-dir {shlex.quote(str(settings.data_dir))}"
    return f"smproxy stop --pid-file {shlex.quote(str(pid_file))}"
