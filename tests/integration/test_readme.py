"""What the README shows can be run as it stands."""

from __future__ import annotations

import ast
import asyncio
import sys
from pathlib import Path

from tests.helpers import scaled
from tests.readme import example


async def test_python_example(tmp_path: Path) -> None:
    """The Python example runs as printed and ends with the payload of ``disconnected``."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", example("python")],
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(30)):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    payload = ast.literal_eval(output.decode())
    assert (payload["state"], payload["reason"]) == ("disconnected", 0)
