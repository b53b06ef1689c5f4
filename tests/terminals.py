"""Terminals on a machine of their own, in which the ports that the documentation names are free."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from tests.clone import environment
from tests.helpers import eventually, scaled

#: Brings up the loopback interface (SIOCSIFFLAGS, IFF_UP | IFF_LOOPBACK | IFF_RUNNING), says so, and keeps the namespace.
_HOLD = (
    "import fcntl, socket, struct, sys; s = socket.socket(); "
    "fcntl.ioctl(s, 0x8914, struct.pack('16sh', b'lo', 0x49)); print('up', flush=True); sys.stdin.read()"
)


@asynccontextmanager
async def machine(beside: list[str] | None = None) -> AsyncIterator[list[str]]:
    """Open a network namespace; yield what a command begins with that runs in it.

    ``beside`` is that of another one, with which it can be connected.
    """
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    holder = await asyncio.create_subprocess_exec(
        *([*beside, "unshare", "--net"] if beside else ["unshare", *user, "--net"]),
        *[sys.executable, "-c", _HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"up\n", "this system gives no network of its own: run as root"
    try:
        yield ["nsenter", f"--target={holder.pid}", *(["--user", "--preserve-credentials"] if user else []), "--net"]
    finally:
        holder.kill()
        await holder.communicate()


class Terminals:
    """Runs shell commands in one directory, as typed into several terminals side by side."""

    def __init__(self, directory: Path, prefix: list[str]) -> None:
        self.directory = directory
        self._prefix = prefix
        self._open: list[tuple[asyncio.subprocess.Process, Path]] = []
        self._count = 0

    @classmethod
    @asynccontextmanager
    async def on_another_machine(cls, directory: Path) -> AsyncIterator[Self]:
        """Open terminals in a network of their own, where the system has such; else in this one."""
        if shutil.which("unshare") is None or shutil.which("nsenter") is None:
            terminals = cls(directory, [])
            try:
                yield terminals
            finally:
                await terminals.close()
            return
        async with machine() as enter:
            terminals = cls(directory, enter)
            try:
                yield terminals
            finally:
                await terminals.close()

    async def ends(self, command: str, timeout: float = 60) -> str:
        """Run a command to its end; return what it printed; fail with that when it fails."""
        process, output = await self._start(command)
        async with asyncio.timeout(scaled(timeout)):
            code = await process.wait()
        assert code == 0, f"{command}: exit code {code}\n{output.read_text()}"
        return output.read_text()

    async def stays(self, command: str, until: str, timeout: float = 60) -> Path:
        """Run a command that goes on; return when it has printed what matches ``until``, with the file of its output."""
        process, output = await self._start(command)
        self._open.append((process, output))

        def printed() -> bool:
            text = output.read_text()
            assert process.returncode is None or re.search(until, text), f"{command} has ended:\n{text}"
            return re.search(until, text) is not None

        await eventually(printed, timeout, f"{command} did not print {until!r}")
        return output

    async def interrupt(self) -> None:
        """Press Ctrl-C in every terminal in which something runs, the last opened first."""
        for process, output in reversed(self._open):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGINT)
            try:
                async with asyncio.timeout(scaled(15)):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                raise AssertionError(f"Ctrl-C did not end it: {output.read_text()}") from None
        self._open.clear()

    async def close(self) -> None:
        """End what still runs."""
        for process, _ in self._open:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _start(self, command: str) -> tuple[asyncio.subprocess.Process, Path]:
        self._count += 1
        output = self.directory / f"terminal-{self._count}.txt"
        activated = f"{self.directory / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        # Input that never comes, as from somebody who only looks on; a file for output, so that nothing waits for a reader.
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *[*self._prefix, "sh", "-c", command],
                cwd=self.directory,
                env=environment(PATH=activated, PYTHONUNBUFFERED="1"),
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, output
