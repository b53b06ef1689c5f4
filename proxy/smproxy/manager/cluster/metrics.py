"""Metrics of the cluster, as the registry has them; and where those of each node are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from yarl import URL

from smproxy.cluster.node import ClusterNode
from smproxy.cluster.records import NodeRecord, NodeState


def cluster_metrics(node: ClusterNode) -> Iterator[Metric]:
    """Make the metrics of the cluster."""
    nodes = node.directory.nodes()
    registry = node.standing.has_registry()
    yield GaugeMetricFamily("smproxy_cluster_registry_up", "1 while this node has the registry.", int(registry))
    states = GaugeMetricFamily("smproxy_cluster_nodes", "Nodes that are alive.", labels=["state"])
    for state in (NodeState.SERVING, NodeState.DRAINING):
        states.add_metric([state.value], sum(each.state is state for each in nodes))
    yield states
    info = InfoMetricFamily("smproxy_cluster_node", "The nodes.", labels=["node"])
    for each in nodes:
        facts = {"roles": ",".join(each.roles), "region": each.region, "version": each.version}
        info.add_metric([each.life.node], facts)
    yield info
    streams = Counter(claim.owner.node for _, claim, _ in node.directory.claims())
    for name, text, counted in (
        ("streams", "Names of streams that each node has.", lambda each: streams[each.life.node]),
        ("publishers", "Publishers at each node, whichever manager took them.", lambda each: each.publishers),
        ("subscribers", "Subscribers at each node, whichever manager took them.", lambda each: each.subscribers),
    ):
        gauge = GaugeMetricFamily(f"smproxy_cluster_{name}", text, labels=["node"])
        for each in nodes:
            gauge.add_metric([each.life.node], counted(each))
        yield gauge


def scrape_targets(nodes: Sequence[NodeRecord]) -> list[dict[str, Any]]:
    """Return where the metrics of each node are, for Prometheus (HTTP service discovery)."""
    return [
        {
            "targets": [URL(each.url).authority],
            "labels": {
                "node": each.life.node,
                "region": each.region,
                "__meta_smproxy_roles": ",".join(each.roles),
                "__meta_smproxy_version": each.version,
            },
        }
        for each in nodes
    ]
