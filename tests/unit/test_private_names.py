"""The check of the private names that the testing tools use."""

from __future__ import annotations

import pytest
from aioice import Connection
from smproxy.testing import StreamError
from smproxy.testing import private_names as names


async def test_the_installed_libraries_have_all_names() -> None:
    """With the pinned versions nothing is missing."""
    assert names.missing_names() == []


async def test_a_missing_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is gone is an error that names it, before anything is opened."""
    monkeypatch.delattr(Connection, "get_component_candidates")
    names.require_private_names.cache_clear()
    try:
        with pytest.raises(StreamError, match=r"Connection\.get_component_candidates"):
            names.require_private_names()
    finally:
        names.require_private_names.cache_clear()
