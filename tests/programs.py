"""Runs other programs with what the tests have: the command ``smproxy`` and a Chromium."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.helpers import scaled


async def run(
    *command: str | Path, cwd: Path, timeout: float = 90, env: Mapping[str, str] | None = None, status: int = 0
) -> str:
    """Run a command; return what it printed; fail with that when it ends with another status."""
    program = shutil.which(command[0])
    assert program is not None, f"{command[0]} is missing: make browser-setup installs what the tests need"
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": os.pathsep.join([scripts, os.environ["PATH"]])}
    environment |= {"CHROMIUM": shutil.which(os.environ.get("CHROMIUM") or "chromium") or "chromium"} | dict(env or {})
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        cwd=cwd,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(scaled(timeout)):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == status, output.decode()
    return output.decode()
