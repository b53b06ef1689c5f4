"""What docs/testing.md shows runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import scaled

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
#: Of these the reader has to bring something: an application, a page.
OTHERS = ("my_app", "page.goto", "def test_signed")

SUITES = [block for block in BLOCKS if "def test_" in block and not any(word in block for word in OTHERS)]
PROGRAMS = [block for block in BLOCKS if "import Simulator" in block]


def test_every_block_is_run() -> None:
    """A block that is neither run here nor in need of something else would be missed."""
    assert len(BLOCKS) == len(SUITES) + len(PROGRAMS) + sum(any(word in block for word in OTHERS) for block in BLOCKS)


def test_tests(pytester: pytest.Pytester) -> None:
    """The tests on the page pass."""
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(SUITES)})
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=5)


@pytest.mark.parametrize("number", [0, 1], ids=["sync", "async"])
def test_programs(number: int, tmp_path: Path) -> None:
    """The programs on the page, without pytest, run."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAMS[number].replace('hook_uri="http://127.0.0.1:8000/hooks"', "")],
        cwd=tmp_path, capture_output=True, text=True, timeout=scaled(30), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
