"""How a recording is asked for, and what can be set about recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from smproxy.origin.connection_request import read_connection_request
from smproxy.settings import Settings, SettingsError, load_settings


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("recording=true", True),
        ("Recording=TRUE", True),
        ("recording=false", False),
        ("recording=", False),
        ("recording=undefined", False),
        ("recording=1", False),
        ("recording=true&RECORDING=false", False),
        ("x=1", False),
    ],
)
def test_the_parameter(query: str, wanted: bool) -> None:
    """The origin reads ``recording`` as the manager does: without regard to case, the last one counts, only true is true."""
    target = read_connection_request(f"/live/?id=s&{query}", None)
    assert target is not None
    assert target.recording is wanted


@pytest.mark.parametrize(("text", "megabytes"), [("500", 500), ("500MB", 500), ("20 GB", 20_000), ("1t", 1_000_000)])
def test_the_limit_takes_units(text: str, megabytes: int) -> None:
    """The limit is in megabytes, or has a unit."""
    assert load_settings({"recordings_limit": text}, {}).recordings_limit == megabytes


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "10 apples", "9999999999", "GB"])
def test_a_wrong_limit_is_refused(text: str) -> None:
    """What is no size is refused with an example."""
    with pytest.raises(SettingsError, match="500MB"):
        load_settings({"recordings_limit": text}, {})


def test_the_directory() -> None:
    """Recordings are in the data directory unless another is named; where nothing is kept there is none."""
    assert Settings().recordings_dir == Path(".smproxy/recordings")
    assert Settings(data_dir=Path(":memory:")).recordings_dir is None
    assert Settings(data_dir=Path(":memory:"), recordings=Path("films")).recordings_dir == Path("films")
