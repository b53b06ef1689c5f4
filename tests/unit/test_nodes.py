"""Simulated nodes: their states by time, which node a client gets, and what a scenario may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from smproxy.manager.node_provider import NodeAction, NodeActionError
from smproxy.manager.origin_registry import Node, OriginChoiceError, OriginRegistry
from smproxy.manager.service_state import ServiceState
from smproxy.nodes.lifecycle import NodeLifecycle, NodeTiming
from smproxy.nodes.node_spec import NodeSpec, read_nodes
from smproxy.nodes.scenario import NodeSchedule, ScenarioError, load_node_scenario, read_node_scenario
from smproxy.settings import SettingsError, load_settings, settings_of
from smproxy.signaling.node_channel import Hello
from smproxy.signaling.payloads import Role

TIMING = NodeTiming(start=4.0, sunset=30.0, hard=2.0, destruction=2.0)


def live(cycle: NodeLifecycle, now: float, sessions: int = 0) -> list[str]:
    """Return every state that is entered up to this time."""
    entered: list[str] = []
    while new := cycle.advance(now, sessions):
        entered += new
    return entered


def in_service() -> NodeLifecycle:
    """Return a node that is in service, at second 0."""
    cycle = NodeLifecycle(0.0, TIMING)
    cycle.begin_in_service()
    assert live(cycle, 0.0) == ["INSERVICE"]
    return cycle


def test_start() -> None:
    """A node that is requested is created, started and in service after the time that it takes, and then stays."""
    cycle = NodeLifecycle(0.0, TIMING)
    seen = [(now, state) for now in range(9) for state in live(cycle, float(now))]
    assert seen == [(0, "REQUESTED"), (1, "CREATING"), (2, "CREATED"), (3, "STARTED"), (4, "INSERVICE")]
    assert cycle.due is None


def test_sunset_with_its_last_session() -> None:
    """A node that is taken out keeps its sessions, and goes with the last one before its time is up."""
    cycle = in_service()
    cycle.ask(NodeAction.SUNSET, 10.0)
    assert live(cycle, 10.0, sessions=2) == ["SOFT_SUNSET"]
    assert live(cycle, 39.9, sessions=1) == []
    assert live(cycle, 39.9, sessions=0) == ["DESTRUCTION_REQUESTED"]
    assert live(cycle, 40.9) == ["DESTROYING"]
    assert live(cycle, 41.9) == ["TERMINATED"]
    assert live(cycle, 1e6) == []


def test_sunset_at_its_deadline() -> None:
    """Sessions that are left at the deadline are ended, and a client that does not go is not waited for."""
    cycle = in_service()
    cycle.ask(NodeAction.SUNSET, 0.0, 5.0)
    assert live(cycle, 5.0, sessions=1) == ["SOFT_SUNSET", "HARD_SUNSET"]
    assert live(cycle, 7.0, sessions=1) == ["DESTRUCTION_REQUESTED"]


def test_drain_is_not_the_end() -> None:
    """A drained node stays, even with no session, until it is undrained; so does a sunset that is taken back."""
    cycle = in_service()
    for action in (NodeAction.DRAIN, NodeAction.SUNSET):
        cycle.ask(action, 0.0, 5.0)
        assert live(cycle, 0.0, sessions=1) == ["SOFT_SUNSET"]
        cycle.ask(NodeAction.UNDRAIN, 1.0)
        assert live(cycle, 1.0) == ["INSERVICE"]
        assert live(cycle, 1000.0) == []
    cycle.ask(NodeAction.DRAIN, 0.0)
    assert live(cycle, 1000.0, sessions=0) == ["SOFT_SUNSET"]


def test_fault_and_recovery() -> None:
    """A lost node counts as in service until that is noticed, then it is in fault until it is started again."""
    cycle = in_service()
    cycle.ask(NodeAction.FAULT, 10.0, 60.0)
    assert cycle.lost
    assert live(cycle, 69.0) == []
    assert cycle.state is ServiceState.INSERVICE
    with pytest.raises(NodeActionError, match=r"it is lost, which shows in 1\.0 s"):
        cycle.ask(NodeAction.DRAIN, 69.0)
    assert live(cycle, 70.0) == ["FAULT"]
    assert live(cycle, 1000.0) == []
    cycle.ask(NodeAction.RECOVER, 1000.0)
    assert live(cycle, 1001.0) == ["STARTED", "INSERVICE"]


@pytest.mark.parametrize("state", ["REQUESTED", "SOFT_SUNSET", "FAULT"])
def test_end_from_any_state(state: str) -> None:
    """A node can be taken out while it starts, drains or is lost."""
    cycle = NodeLifecycle(0.0, TIMING) if state == "REQUESTED" else in_service()
    if state != "REQUESTED":
        cycle.ask(NodeAction.DRAIN if state == "SOFT_SUNSET" else NodeAction.FAULT, 0.0)
    live(cycle, 0.0, sessions=1)
    assert cycle.state == state
    cycle.ask(NodeAction.SUNSET, 0.0, 0.0)
    for second in range(9):
        live(cycle, float(second))
    assert cycle.state is ServiceState.TERMINATED


def test_action_in_the_wrong_state() -> None:
    """What is asked in a state that does not allow it is refused, with the states that do."""
    with pytest.raises(NodeActionError, match="cannot undrain in state REQUESTED: that takes INSERVICE, SOFT_SUNSET"):
        NodeLifecycle(0.0, TIMING).ask(NodeAction.UNDRAIN, 0.0)


def make_registry(*specs: str) -> tuple[OriginRegistry, list[Node]]:
    """Make nodes that share streams, from texts like ``eu/edge``."""
    registry = OriginRegistry()
    for number, spec in enumerate(specs, 1):
        region, _, role = spec.partition("/")
        node = registry.attach(Hello(address=f"127.0.0.{number}", host="h", port=1, region=region))
        node.role, node.shares = role or "origin", True
    return registry, registry.nodes


def test_choice_by_state_and_role() -> None:
    """Publishers get an origin in service, subscribers an edge of their region if there is one."""
    registry, (first, second, edge) = make_registry("us", "eu", "eu/edge")
    edge.sessions = first.sessions = 5
    assert registry.choose(region="eu") is second
    assert registry.choose(region="eu", role=Role.SUBSCRIBER) is edge
    assert registry.choose(region="us", role=Role.SUBSCRIBER) is first
    second.state = ServiceState.SOFT_SUNSET
    assert registry.choose(region="eu") is first
    first.state = ServiceState.FAULT
    assert registry.choose() is second, "it refuses the client itself"
    second.state = ServiceState.FAULT
    with pytest.raises(OriginChoiceError, match=r"none is in service \(.* FAULT"):
        registry.choose()
    assert registry.choose(first.address) is first, "who names a node learns from it that it is gone"


def test_place_to_watch() -> None:
    """A stream is watched at an edge, else at its own node, and elsewhere when that is not in service."""
    registry, (first, second, edge) = make_registry("us", "eu", "eu/edge")
    assert registry.place_to_watch(first) is edge
    edge.state = ServiceState.STARTED
    assert registry.place_to_watch(first) is first
    first.state = ServiceState.SOFT_SUNSET
    assert registry.place_to_watch(first) is second
    first.shares = False
    assert registry.place_to_watch(first) is first, "nobody else has its streams"


def test_nodes_option() -> None:
    """``--nodes`` is a number, or a number for each region and role."""
    assert read_nodes("2") == (NodeSpec(), NodeSpec())
    assert read_nodes("us-east:1,eu/edge:2") == (NodeSpec("us-east"), *[NodeSpec("eu", "edge")] * 2)
    for text in ("", "0", "-1", "x", "us:", ":2", "us/hub:1", "us east:1", "101", "us/edge:1", "2,"):
        with pytest.raises(SettingsError, match=r"^--nodes: "):
            load_settings({"nodes": text}, {})
    with pytest.raises(SettingsError, match="--cluster has real nodes"):
        load_settings({"nodes": "2", "cluster": "nats://127.0.0.1"}, {})
    with pytest.raises(SettingsError, match="give --nodes N too"):
        load_settings({"node_scenario": "x.toml"}, {})


def test_scenario() -> None:
    """The steps of a scenario are due in the order of their times, each once."""
    steps = read_node_scenario(
        '[[step]]\nat = 20\nsunset = "node2"\nseconds = 5\n[[step]]\nat = 10\nadd = 2\nregion = "eu"\nrole = "edge"\n'
    )
    schedule = NodeSchedule(steps, begun=100.0)
    assert schedule.due == 110.0
    assert schedule.take(109.9) == []
    (added,) = schedule.take(110.0)
    assert (added.count, added.region, added.role, added.action) == (2, "eu", "edge", None)
    (taken,) = schedule.take(1000.0)
    assert (taken.action, taken.node, taken.seconds) == (NodeAction.SUNSET, "node2", 5.0)
    assert schedule.due is None
    assert schedule.take(1e9) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "it is no TOML"),
        ("", "it has no steps"),
        ("steps = 1", "'steps' is not known"),
        ("[[step]]\nat = 1", "step 1: it has at: a step is"),
        ("[[step]]\nat = 1\nadd = 1\nfault = 'node1'", "step 1: it has at, add, fault"),
        ("[[step]]\nadd = 1", "step 1: it has add: a step is"),
        ("[[step]]\nat = -1\nadd = 1", "step 1: at = -1 is not a number of seconds"),
        ("[[step]]\nat = nan\nadd = 1", "at = nan is not"),
        ("[[step]]\nat = 1\nadd = true", "add = True is not a whole number"),
        ("[[step]]\nat = 1\nadd = 1\n[[step]]\nat = 2\ndrain = 2", "step 2: drain = 2 names no node"),
        ("[[step]]\nat = 1\ndrain = 'node1'\nregion = 'eu'", "'region' does not go with drain"),
        ("[[step]]\nat = 1\nadd = 1\nregion = 'e u'", "'e u' is no region"),
        ("[[step]]\nat = 1\nadd = 1\nrole = 'hub'", "role = 'hub' is neither origin nor edge"),
    ],
)
def test_scenario_that_cannot_be_used(text: str, problem: str, tmp_path: Path) -> None:
    """What a scenario says wrong is named in one line, with the file and the step."""
    file = tmp_path / "scenario.toml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_node_scenario(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"cluster": "nats://localhost", "nodes": "2"}, "--cluster has real nodes"),
        ({"nodes": "2", "media_tcp": True}, "--media-tcp has one port"),
        ({"nodes": "2", "media_address": ["192.0.2.7"]}, "--media-address gives them all one address"),
        ({"cluster": "nats://localhost", "origin": ["192.0.2.7"]}, "nodes with --roles origin are found"),
        ({"cluster": "nats://localhost", "local_origin": False}, "without an origin has --roles manager"),
        ({"node_id": "a1"}, "give --cluster too"),
        ({"cluster_ttl": 4.0}, "--cluster-ttl and --pull-linger are for a node of a cluster"),
        ({"pull_linger": 1.0}, "--cluster-ttl and --pull-linger are for a node of a cluster"),
    ],
)
def test_what_does_not_go_together(options: dict[str, object], why: str) -> None:
    """Options of simulated nodes, of nodes of a cluster and of other origins that would be ignored are refused."""
    with pytest.raises(SettingsError, match=why):
        settings_of(**options)
