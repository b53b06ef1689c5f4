"""The feeds of several nodes as one, without sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smproxy.manager.cluster.feed_merge import MAX_FRAME, FeedCutter, FeedMerge, FrameTooLong
from smproxy.manager.dashboard_events import frame


def read(data: bytes) -> list[tuple[str, Any]]:
    """Return the events of frames."""
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        name, body = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(body.removeprefix("data: "))))
    return found


def counted(**clients: int) -> bytes:
    """Make a frame of nodes with their publishers, as one manager counts them."""
    nodes = [{"id": name, "publishers": count, "subscribers": 0, "sessions": count} for name, count in clients.items()]
    return frame("nodes", {"nodes": nodes})


def test_frames_are_cut_wherever_chunks_end() -> None:
    """Whatever a chunk holds, frames come whole, once and in order."""
    sent = frame("a", {"x": 1}) + b": still here\n\n" + frame("b", [2])
    for size in range(1, len(sent) + 1):
        cutter = FeedCutter()
        got = [each for start in range(0, len(sent), size) for each in cutter.read(sent[start : start + size])]
        assert b"".join(got) == sent
        assert len(got) == 3


def test_a_frame_without_an_end_is_not_kept() -> None:
    """What a node sends without ever ending a frame takes no more memory than a frame may have."""
    cutter = FeedCutter()
    assert cutter.read(b"x" * MAX_FRAME) == []
    with pytest.raises(FrameTooLong):
        cutter.read(b"x")


def test_what_each_counts_is_added_until_it_leaves() -> None:
    """Clients of a node are those of all managers; a manager that leaves takes its own with it."""
    merge = FeedMerge("n1")
    assert read(merge.own(counted(o1=1, o2=0)))[0][1]["nodes"][0]["publishers"] == 1
    ((name, data),) = read(merge.others("n2", [counted(o2=5, o1=2)]))
    assert (name, [(row["id"], row["publishers"]) for row in data["nodes"]]) == ("nodes", [("o1", 3), ("o2", 5)])
    (told,) = read(merge.members(["n2"], ["n2"]))
    assert told == ("cluster", {"node": "n1", "nodes": ["n1", "n2"], "partial": ["n2"]})
    assert merge.members(["n2"], ["n2"]) == b""
    cluster, (name, data) = read(merge.members([], []))
    assert cluster == ("cluster", {"node": "n1", "nodes": ["n1"], "partial": []})
    assert (name, [row["publishers"] for row in data["nodes"]]) == ("nodes", [1, 0])


def test_faults_and_receivers_of_all() -> None:
    """A fault is on at every node, so it counts once; what it did counts everywhere. Receivers are each node's own."""
    merge = FeedMerge("n1")
    merge.own(frame("faults", {"active": 1, "logged": 2, "last": 10}))
    ((_, faults),) = read(merge.others("n2", [frame("faults", {"active": 1, "logged": 3, "last": 20})]))
    assert faults == {"active": 1, "logged": 5, "last": 20}
    merge.own(frame("sinks", [{"name": "a"}]))
    ((_, sinks),) = read(merge.others("n2", [frame("sinks", [{"name": "a"}])]))
    assert [(sink["name"], sink["node"]) for sink in sinks] == [("a", "n1"), ("a", "n2")]


def test_greetings_say_whose_they_are() -> None:
    """What another node begins and ends with is told from what the own one does; comments of others go nowhere."""
    merge = FeedMerge("n1")
    sent = merge.others(
        "n2", [frame("hello", {"epoch": 3}), b": still here\n\n", b"retry: 1000\n\n", frame("ready", {})]
    )
    assert read(sent) == [("node", {"epoch": 3, "node": "n2"}), ("ready", {"node": "n2"})]
    assert read(merge.own(frame("hello", {"epoch": 0}))) == [("hello", {"epoch": 0})]
