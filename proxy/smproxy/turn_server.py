"""A TURN server for tests: coturn, run beside the stream manager, with a user of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable

from smproxy.signaling.whip import IceServer

#: Where relayed datagrams come from on a machine that is reached as localhost: so a relay's are told from a client's own.
LOCAL_RELAY = "127.0.0.9"
_RELAY_PORTS = (49_160, 49_960)
_START = 10.0
_STOP = 3.0
_READY = b"Total General servers"
_PROGRAM = "turnserver"


class TurnServer:
    """A running TURN server (RFC 8656). Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(self, process: asyncio.subprocess.Process, directory: str, ice_server: IceServer, relay: str) -> None:
        self.ice_server = ice_server
        #: The address that relayed datagrams come from.
        self.relay = relay
        self._process = process
        self._directory = directory
        self._reader = asyncio.ensure_future(_drain(process))

    @classmethod
    async def start(cls, host: str, rng: random.Random) -> TurnServer:
        """Start coturn on a free port of ``host``, for UDP and TCP, with a password of its own.

        Raises:
            RuntimeError: it is not installed, or did not start; the text says what to do.
        """
        program = shutil.which(_PROGRAM)
        if program is None:
            raise RuntimeError("there is no turnserver: install coturn (Debian, Ubuntu: apt-get install coturn)")
        listen = "127.0.0.1" if host in ("localhost", "127.0.0.1") else host
        relay = LOCAL_RELAY if listen == "127.0.0.1" and sys.platform == "linux" else listen
        port, password = _free_port(listen), "".join(rng.choices(string.ascii_letters + string.digits, k=20))
        directory = tempfile.mkdtemp(prefix="smproxy-turn-")
        path = _write_settings(directory, listen, port, relay, f"smproxy:{password}")
        process = await asyncio.create_subprocess_exec(
            *[program, "-c", path, "--pidfile", os.path.join(directory, "pid")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        shown = f"[{listen}]" if ":" in listen else listen
        server = IceServer(f"turn:{shown}:{port}", "smproxy", password)
        if not await _is_ready(process):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            shutil.rmtree(directory, ignore_errors=True)
            raise RuntimeError(f"{program} did not start on {listen} port {port}: run it by hand to see why")
        return cls(process, directory, server, relay)

    async def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader
        shutil.rmtree(self._directory, ignore_errors=True)


def _write_settings(directory: str, listen: str, port: int, relay: str, user: str) -> str:
    """Write coturn's settings, since everybody sees the arguments of a program; return the path."""
    least, most = _RELAY_PORTS
    settings = {
        "listening-ip": listen,
        "listening-port": port,
        "relay-ip": relay,
        "relay-threads": 1,
        "min-port": least,
        "max-port": most,
        "realm": "smproxy",
        "user": user,
        "userdb": f"{directory}/users",
        "log-file": "stdout",
    }
    flags = ["lt-cred-mech", "no-cli", "no-tls", "no-dtls", "no-multicast-peers", "allow-loopback-peers", "simple-log"]
    path = os.path.join(directory, "turnserver.conf")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.writelines(f"{name}={value}\n" for name, value in settings.items())
        file.writelines(f"{flag}\n" for flag in flags)
    return path


async def _is_ready(process: asyncio.subprocess.Process) -> bool:
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START):
            async for line in process.stdout:
                if _READY in line:
                    return True
    return False


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read what it logs, so that it never waits for a reader."""
    assert process.stdout is not None
    while await process.stdout.read(65_536):
        pass


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> Callable[[], None] | None:
    """Return what has a child end when this process is killed, on Linux (PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(1, signal.SIGTERM)
