"""Where nodes of a cluster reach each other."""

from __future__ import annotations

#: The node channel, a WebSocket.
CHANNEL = "/api/cluster/channel"
#: Whether a node has the registry.
CONTACT = "/api/cluster/contact"
#: A stream on its way to a node that pulls it, a WebSocket.
PULL = "/api/cluster/pull"
#: The packets of a session whose media is at that node.
CAPTURE = "/api/cluster/capture"
#: What the dashboard follows.
FEED = "/api/v1/feed"
#: Proof that a request comes from a node: the key of the node that it goes to.
KEY_HEADER = "X-Stream-Manager-Node-Key"
#: The nodes that did not answer, beside a list that has no room for them.
PARTIAL_HEADER = "X-Stream-Manager-Partial"
