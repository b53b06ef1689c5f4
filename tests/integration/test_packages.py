"""Wheel and source archive, built from what the repository holds and installed as a user would."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.clone import clone, run, tracked, virtual_environment

#: They publish, and share what was built once: together in one worker.
pytestmark = pytest.mark.media

PACKAGE = "smproxy"

TEST = """
import proxy, web

def test_own():
    assert proxy.NAME == web.NAME == "mine"

def test_plugin(publisher, hooks):
    with publisher("s1"):
        hooks.expect("session", state="connected", id="s1", timeout=20)
    import smproxy
    assert "site-packages" in smproxy.__file__
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without what was installed or built in it."""
    return clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive, as an index would have both."""
    folder = tmp_path_factory.mktemp("dist")
    backend = "from setuptools import build_meta; import sys; build_meta.build_sdist(sys.argv[1])"
    tools = tmp_path_factory.mktemp("tools")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", tools, "setuptools>=77", cwd=folder)
    run(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tools)!r}); {backend}", folder, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, archive, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with all that is installed here but this project."""
    folder = tmp_path_factory.mktemp("environment")
    executable = virtual_environment(folder / "venv")
    run(executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    # The command as pip writes it: unlike `python -m pytest` it does not put the current directory on the path.
    script = f"#!{executable}\nimport sys\nfrom pytest import console_main\nsys.exit(console_main())\n"
    (executable.parent / "pytest").write_text(script)
    (executable.parent / "pytest").chmod(0o755)
    return executable


def test_the_wheel_is_whole(wheel: Path) -> None:
    """The wheel has every file of the package, pages and type marker included, and no other top-level name."""
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name.split("/")[0] for name in names} - {PACKAGE}
    assert len(info) == 1
    assert info.pop().startswith("stream_manager_proxy-")
    assert {name for name in names if name.startswith(PACKAGE)} == {
        name.removeprefix("proxy/") for name in tracked("proxy")
    }
    assert {f"{PACKAGE}/py.typed", f"{PACKAGE}/pytest_plugin/plugin.py"} <= names


def test_the_source_archive_is_whole(wheel: Path) -> None:
    """The source archive builds the wheel, and has licence and documentation of the start."""
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.cfg", *tracked("proxy")} <= names


def test_metadata(wheel: Path, python: Path) -> None:
    """The metadata say what it is, for which Python, what it needs, and which command and plugin it brings."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT" or metadata["License"] == "MIT"
    assert metadata["Summary"]
    assert "# Local stream manager" in metadata.get_payload()
    version = run(python.parent / "smproxy", "--version", cwd=python.parent).split()[-1]
    assert metadata["Version"] == version
    assert run(python, "-m", "smproxy", "--version", cwd=python.parent).split()[-1] == version


@pytest.mark.parametrize("kind", ["module", "package"])
@pytest.mark.parametrize("module", [False, True], ids=["pytest", "python -m pytest"])
def test_in_a_project_with_names_like_ours(python: Path, tmp_path: Path, kind: str, module: bool) -> None:
    """A project that has a ``proxy.py`` and a ``web.py``, or packages of these names, imports its own and uses the plugin."""
    for own in ("proxy", "web"):
        if kind == "module":
            (tmp_path / f"{own}.py").write_text('NAME = "mine"\n')
        else:
            (tmp_path / own).mkdir()
            (tmp_path / own / "__init__.py").write_text('NAME = "mine"\n')
    (tmp_path / "test_project.py").write_text(TEST)
    command = [python, "-m", "pytest"] if module else [python.parent / "pytest"]
    output = run(*command, "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", cwd=tmp_path)
    assert "2 passed" in output


def test_pages(python: Path, tmp_path: Path) -> None:
    """The installed command serves its pages."""
    code = (
        "import urllib.request; from smproxy.simulator import Simulator\n"
        "with Simulator() as manager:\n"
        "    for page in ('/', '/publish', '/subscribe'):\n"
        "        assert b'<!doctype html>' in urllib.request.urlopen(manager.rest_url + page).read().lower()\n"
    )
    run(python, "-c", code, cwd=tmp_path)
