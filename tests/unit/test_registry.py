"""The registry sends a connection where it may go, and nowhere else."""

from __future__ import annotations

import pytest
from smproxy.manager.origin_registry import OriginChoiceError, OriginRegistry
from smproxy.signaling.node_channel import Hello


def hello(address: str, region: str = "local") -> Hello:
    """Make a registration."""
    host, _, port = address.partition(":")
    return Hello(address=address, host=host, port=int(port or 5080), region=region)


def test_least_loaded() -> None:
    """A connection that names no host goes to the origin with the fewest sessions; a tie to the first registered."""
    registry = OriginRegistry()
    first, second = registry.attach(hello("10.0.0.1")), registry.attach(hello("10.0.0.2"))
    assert registry.choose() is first
    first.sessions = 2
    second.sessions = 1
    assert registry.choose() is second


@pytest.mark.parametrize("host", ["10.0.0.1", "10.0.0.1:5080", "Origin.Example:5081"])
def test_registered_host(host: str) -> None:
    """A registered host is found by its address without regard to case, with or without the default port."""
    registry = OriginRegistry()
    registry.attach(hello("10.0.0.1"))
    registry.attach(hello("origin.example:5081"))
    assert registry.choose(host).host in {"10.0.0.1", "origin.example"}


@pytest.mark.parametrize("host", ["10.0.0.2", "10.0.0.1:22", "evil.example", "[::1]", "10.0.0.1.evil.example", ""])
def test_unregistered_host(host: str) -> None:
    """A host that is neither registered nor allowed is refused, whatever it looks like."""
    registry = OriginRegistry(allow_hosts=["10.1.*"])
    registry.attach(hello("10.0.0.1"))
    with pytest.raises(OriginChoiceError, match="not a registered origin"):
        registry.choose(host)


def test_allowed_host() -> None:
    """A host that a pattern allows is dialled as it is named, at its own port or the default one, without a node channel."""
    registry = OriginRegistry(allow_hosts=["10.1.*", "*.Example.com"])
    node = registry.choose("10.1.2.3")
    assert (node.host, node.port, node.reports) == ("10.1.2.3", 5080, False)
    assert registry.choose("A.example.com:8081").port == 8081
    assert registry.nodes == []


def test_address_pattern_is_for_addresses() -> None:
    """A pattern of digits and dots matches addresses only, so a name that begins like one gets nowhere."""
    registry = OriginRegistry(allow_hosts=["10.1.*"])
    assert registry.choose("10.1.2.3").host == "10.1.2.3"
    with pytest.raises(OriginChoiceError):
        registry.choose("10.1.evil.example")


def test_any_host() -> None:
    """With any host allowed, an unknown one goes to a registered origin; it is never dialled."""
    registry = OriginRegistry(any_host=True)
    node = registry.attach(hello("10.0.0.1"))
    assert registry.choose("production.example") is node


def test_region() -> None:
    """A region is met where there is an origin of it, and no reason to refuse where there is none."""
    registry = OriginRegistry()
    registry.attach(hello("10.0.0.1", "us"))
    europe = registry.attach(hello("10.0.0.2", "eu"))
    assert registry.choose(region="eu") is europe
    assert registry.choose(region="mars") is not None


def test_strict_region() -> None:
    """With ``strict`` the region is a condition, and the error names the regions that there are."""
    registry = OriginRegistry(any_host=True)
    registry.attach(hello("10.0.0.1", "us"))
    europe = registry.attach(hello("10.0.0.2", "eu"))
    assert registry.ranked(region="eu", strict=True) == [europe]
    for host in (None, "production.example"):
        with pytest.raises(OriginChoiceError, match="eu, us") as error:
            registry.choose(host, region="mars", strict=True)
        assert error.value.parameter == "region"
    assert registry.choose("10.0.0.1", region="eu", strict=True).region == "us", "a host that is named comes first"


def test_ranked_by_region_and_load() -> None:
    """Those of the region come first, then the least loaded."""
    registry = OriginRegistry()
    for address, region, sessions in (("1.0.0.1", "us", 0), ("1.0.0.2", "eu", 9), ("1.0.0.3", "eu", 3)):
        registry.attach(hello(address, region)).sessions = sessions
    assert [node.address for node in registry.ranked(region="eu")] == ["1.0.0.3", "1.0.0.2", "1.0.0.1"]
    assert [node.address for node in registry.ranked()] == ["1.0.0.1", "1.0.0.3", "1.0.0.2"]


def test_no_origin() -> None:
    """Without any origin the choice fails with what to do."""
    registry = OriginRegistry()
    node = registry.attach(hello("10.0.0.1"))
    registry.detach(node)
    with pytest.raises(OriginChoiceError) as error:
        registry.choose()
    assert "--origin" in error.value.hint
