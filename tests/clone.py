"""A fresh clone of the repository, and an environment for it, for the tests that do what a newcomer does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.helpers import scaled

ROOT = Path(__file__).parents[1]
#: Variables of this environment that a newcomer's has not.
_OURS = ("PYTHON", "PYTEST", "SMPROXY", "VIRTUAL_ENV")


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a terminal that knows nothing of this test run."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_OURS)} | more


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; fail with what it printed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment(), capture_output=True, text=True,
        timeout=scaled(240), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(folder: str = ".") -> set[str]:
    """Return the files of the repository, those that are not committed yet included."""
    listing = run("git", "ls-files", "--cached", "--others", "--exclude-standard", folder, cwd=ROOT)
    return {line for line in listing.splitlines() if (ROOT / line).is_file()}


def clone(directory: Path) -> Path:
    """Copy what the repository holds, without what was installed or built in it."""
    for name in tracked():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, directory / name)
    return directory


def virtual_environment(directory: Path) -> Path:
    """Make an environment with all that is installed here but this project, as if it had been downloaded; return its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory.parent)
    site = next(directory.glob("lib/python*/site-packages"))
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("__editable__", "stream_manager_proxy", "smproxy")):
            (site / path.name).symlink_to(path)
    return directory / "bin" / "python"
