"""What holds for all tests: how long an example may take, and which tests move media."""

from __future__ import annotations

import signal
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

# Under nohup, and in the background of a script, the processes that tests start would ignore SIGHUP and SIGINT, too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
#: Fixtures that publish or watch, and packages whose objects a test module uses when it does so by itself.
_MEDIA_FIXTURES = {"publisher", "subscriber", "published", "start_node"}
_MEDIA_PACKAGES = (
    "aiortc",
    "av",
    "smproxy.testing.publisher",
    "smproxy.testing.subscriber",
    "tests.integration.origin_",
)
_imports_media: dict[ModuleType, bool] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the processor for media, so that few of them run at a time."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder == "plugin" or (folder not in ("unit", "browser") and _moves_media(item)):
            item.add_marker(pytest.mark.media)


def _moves_media(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    module = item.module
    if module not in _imports_media:
        used = [getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in vars(module).values()]
        _imports_media[module] = any(str(name).startswith(_MEDIA_PACKAGES) for name in used)
    return _imports_media[module] or bool(_MEDIA_FIXTURES & set(item.fixturenames))
