"""Running ``smproxy`` commands as processes."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import scaled


@dataclass
class Finished:
    """What a command left behind."""

    code: int | None
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


async def start(*arguments: str, cwd: Path | None = None, **environ: str) -> asyncio.subprocess.Process:
    """Start a command with no settings of ours in its environment but ``environ``."""
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "smproxy", *arguments],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("SMPROXY_")} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> Finished:
    """Wait for the end of a command."""
    try:
        async with asyncio.timeout(scaled(20)):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return Finished(process.returncode, out.decode(), err.decode())


async def run(*arguments: str, cwd: Path | None = None, **environ: str) -> Finished:
    """Run a command to its end."""
    return await finish(await start(*arguments, cwd=cwd, **environ))


@asynccontextmanager
async def listening(*arguments: str, **environ: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run ``smproxy listen`` as a receiver; yields the process and the URL to post to."""
    process = await start("listen", *arguments, **environ)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(scaled(20)):
            line = (await process.stderr.readline()).decode()
        match = re.search(r"--hook-uri (http://\S+)", line)
        assert match, line
        yield process, match[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
