"""What the README shows can be run as it stands."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.helpers import scaled
from tests.readme import example


async def test_python_example(tmp_path: Path) -> None:
    """The README's test passes as printed, in a project that has nothing but the package."""
    (tmp_path / "test_example.py").write_text(example("python"))
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(scaled(60)):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output
