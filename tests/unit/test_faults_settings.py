"""The settings and the connection parameter of the faults."""

from __future__ import annotations

import pytest
from smproxy.settings import SettingsError, load_settings
from smproxy.signaling.params import ConnectionParams, ParamError
from yarl import URL


@pytest.mark.parametrize(
    ("text", "value"), [("on", True), ("off", False), ("OFF", False), ("true", True), ("0", False)]
)
def test_simulate_setting(text: str, value: bool) -> None:
    """``--simulate`` is on or off; it is on by default."""
    assert load_settings({"simulate": text}, {}).simulate is value
    assert load_settings({}, {"SMPROXY_SIMULATE": text}).simulate is value
    assert load_settings({}, {}).simulate is True


def test_seed_setting() -> None:
    """``--seed`` is a whole number, none by default."""
    assert load_settings({"seed": "42"}, {}).seed == 42
    assert load_settings({}, {}).seed is None
    for text in ("-1", "x", "1.5", str(2**53)):
        with pytest.raises(SettingsError, match="a seed is a whole number"):
            load_settings({"seed": text}, {})


def read(query: str) -> ConnectionParams:
    """Read the parameters of a query."""
    return ConnectionParams.from_url(URL(f"/streammanager?id=s&customerScope=c&{query}", encoded=True))


def test_simulate_parameter() -> None:
    """``simulate`` is read in either case, escaped or not, and does not travel to the origin."""
    for query in ("simulate=latency%3Ams%3D200%2Csilence&x=1", "Simulate=latency:ms=200,silence&x=1"):
        params = read(query)
        assert params.simulate == "latency:ms=200,silence"
        assert params.origin_query == "id=s&customerScope=c&x=1"
    for nothing in ("simulate=", "simulate=undefined", "x=1"):
        assert read(nothing).simulate is None


@pytest.mark.parametrize("query", ["simulate=" + "x" * 1025, "simulate=a%00b"])
def test_simulate_parameter_that_is_no_text(query: str) -> None:
    """An overlong text or one with control characters is refused."""
    with pytest.raises(ParamError, match="simulate"):
        read(query)
