"""Nothing that only POSIX systems have is needed to import the package and to run a stream manager without recordings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers import scaled

#: Hides modules and names from this package only, as a system without them does: the libraries have ways of their own.
HIDE = """
import asyncio, builtins, importlib, os, pkgutil, signal, ssl, sqlite3, subprocess, sys, tempfile, aiohttp, websockets, uvloop
import aiohttp.web

HIDDEN = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "posix", "uvloop"}
found = builtins.__import__

def hiding(name, globals=None, locals=None, fromlist=(), level=0):
    if name.partition(".")[0] in HIDDEN and (globals or {}).get("__name__", "").startswith("smproxy"):
        raise ImportError(f"{name} is hidden")
    return found(name, globals, locals, fromlist, level)

builtins.__import__ = hiding
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "geteuid", "fchmod", "getuid", "fork"):
    delattr(os, name)
for name in ("SIGHUP", "SIGCONT", "SIGUSR1"):
    delattr(signal, name)

def not_here(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = not_here
"""

IMPORT_ALL = """
import smproxy
names = [found.name for found in pkgutil.walk_packages(smproxy.__path__, "smproxy.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""

RUN = """
import smproxy.cli
sys.exit(smproxy.cli.main(["serve", "--port", "0", "--data-dir", "data", "--no-local-origin", "--origin", "10.0.0.1"]))
"""


def test_every_module_is_imported(tmp_path: Path) -> None:
    """Each module is imported where POSIX modules, flags and signals are hidden."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE + IMPORT_ALL],
        cwd=tmp_path, capture_output=True, text=True, timeout=scaled(60), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 400


def test_it_serves(tmp_path: Path) -> None:
    """``serve`` starts there, with a journal on disk, and ends in order at a signal."""
    with subprocess.Popen(
        [sys.executable, "-c", HIDE + RUN], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        out, err = process.communicate(timeout=scaled(30))
    assert "ready" in first, err
    assert process.returncode == 0, err
    assert "Stopping" in out
    assert (tmp_path / "data/hooks.db").exists()
