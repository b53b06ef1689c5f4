"""Builds the JavaScript package for its tests, once for each state of its sources, with tools from the npm registry.

The tools are those of ``clients/js/package-lock.json``; they and what is built are kept in the git-ignored ``.cache``.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.browser.sdk import CACHE, SdkMissing

CLIENT = Path(__file__).parents[1] / "clients/js"
MESSAGES = Path(__file__).parent / "expectations/messages.json"
#: What a project with Playwright has.
PLAYWRIGHT = ("@playwright/test", "playwright", "playwright-core")
_TOOLS = ("package.json", "package-lock.json")
_SOURCES = (*_TOOLS, "README.md", "LICENSE", "openapi.json", "tsconfig.json", "biome.json", "scripts", "src", "test")


def tools() -> Path:
    """Return the ``node_modules`` of the tools, installed on first use.

    Raises:
        SdkMissing: There is no npm, or it cannot install them.
    """
    lock = CLIENT / "package-lock.json"
    directory = CACHE / f"js-tools-{_digest([lock])}"
    if not directory.exists():
        with _made(directory) as folder:
            for name in _TOOLS:
                shutil.copy(CLIENT / name, folder)
            # Not `npm ci`, which stops at an optional package of another platform that a registry does not have.
            _run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", cwd=folder)
        _forget("js-tools-*", directory)
    return directory / "node_modules"


def built() -> Path:
    """Return a directory with the package as it is published (``package``), its archive (``package.tgz``) and its tests.

    Raises:
        SdkMissing: The tools cannot be had.
    """
    directory = CACHE / f"js-package-{_digest(_files())}"
    if not directory.exists():
        with _made(directory) as folder:
            for name in _SOURCES:
                source = CLIENT / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, folder / name)
            (folder / "node_modules").symlink_to(tools())
            _run("npm", "pack", "--loglevel", "error", cwd=folder)
            (archive,) = folder.glob("*.tgz")
            shutil.unpack_archive(archive, folder, filter="data")
            archive.rename(folder / "package.tgz")
        _forget("js-package-*", directory)
    return directory


def install(project: Path, packages: Iterable[str]) -> None:
    """Give a project the built package, and these tools beside it as if they were installed."""
    modules = project / "node_modules"
    shutil.copytree(built() / "package", modules / "stream-manager-proxy")
    for name in (".bin", *packages):
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).symlink_to(tools() / name)


def main() -> int:
    """Build it, before tests run side by side."""
    try:
        built()
    except SdkMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _made(directory: Path) -> Iterator[Path]:
    """Make a directory whole or not at all: tests run side by side."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        made = Path(folder, "made")
        made.mkdir()
        yield made
        with contextlib.suppress(OSError):
            made.rename(directory)


def _forget(pattern: str, but: Path) -> None:
    """Delete what was made for earlier states."""
    for made in CACHE.glob(pattern):
        if made != but:
            shutil.rmtree(made, ignore_errors=True)


def _files() -> list[Path]:
    found = []
    for name in _SOURCES:
        source = CLIENT / name
        found += [source] if source.is_file() else [each for each in source.rglob("*") if each.is_file()]
    return sorted(path for path in found if path.name != "api.ts" or path.parent.name != "generated")


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(CLIENT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _run(program: str, *arguments: str, cwd: Path) -> None:
    path = shutil.which(program)
    if path is None:
        raise SdkMissing(f"{program} is missing: install it (Debian, Ubuntu: apt-get install npm)")
    done = subprocess.run([path, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise SdkMissing("\n".join([f"{program} {' '.join(arguments)} failed:", *lines[-20:]]))


if __name__ == "__main__":
    sys.exit(main())
