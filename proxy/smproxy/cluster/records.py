"""What is kept in the registry: nodes, claims of streams, and sessions that have no end yet."""

from __future__ import annotations

import base64
import re
from enum import StrEnum
from typing import TypeAlias

import msgspec

from smproxy.signaling.payloads import Connection

#: A node's name is a part of keys and of host names.
NODE_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class Bucket(StrEnum):
    """The buckets of the registry. Entries of ``NODES`` expire, those of the others do not."""

    NODES = "sm_nodes"
    STREAMS = "sm_streams"
    SESSIONS = "sm_sessions"


class NodeState(StrEnum):
    """What a node does.

    ``LEFT`` is its last word; ``DEAD`` is written by another node, once the entry has expired.
    """

    SERVING = "serving"
    DRAINING = "draining"
    LEFT = "left"
    DEAD = "dead"

    @property
    def alive(self) -> bool:
        """Whether the node is a member."""
        return self in (NodeState.SERVING, NodeState.DRAINING)


class NodeLife(msgspec.Struct, frozen=True, order=True):
    """One life of a node: a node that was cut off comes back under another ``incarnation``."""

    node: str
    incarnation: str


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A node, as all others see it.

    ``url`` is where other nodes reach it by HTTP and ``key`` what they show there; only who may read the registry knows it.
    ``origin`` is host and port of its origin's signaling. ``since`` in Unix milliseconds.
    """

    life: NodeLife
    state: NodeState = NodeState.SERVING
    roles: tuple[str, ...] = ()
    url: str = ""
    key: str = ""
    origin: tuple[str, int] | None = None
    region: str = "local"
    publishers: int = 0
    subscribers: int = 0
    capacity: int = 0
    pulls: int = 0
    version: str = ""
    since: int = 0


class ClaimRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The claim of a stream's name.

    ``nonce`` tells one claim of a node from its next one of the same name.
    """

    owner: NodeLife
    scope: str
    name: str
    nonce: str


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A session without an end: what its end needs, if its node cannot write it.

    ``ends`` are the missing events in their order, each with its uuid, its name and its payload as JSON. ``seq`` is that of the
    last event, ``until`` its time in Unix milliseconds.
    """

    session: int
    seq: int
    until: int
    connection: Connection
    ends: tuple[End, ...] = ()
    user_agent: str | None = None
    stream: str | None = None
    watcher: str | None = None
    joined: bool = False
    epoch: int | None = None


class End(msgspec.Struct, frozen=True):
    """An event that is missing."""

    uuid: str
    event: str
    payload: msgspec.Raw


Record: TypeAlias = NodeRecord | ClaimRecord | Unfinished

_encoder = msgspec.json.Encoder()
_nodes = msgspec.json.Decoder(NodeRecord)
_claims = msgspec.json.Decoder(ClaimRecord)


def encode(record: Record) -> bytes:
    """Write an entry."""
    return _encoder.encode(record)


def read_node(value: bytes) -> NodeRecord:
    """Read an entry of ``NODES``. Raises ``msgspec.MsgspecError``."""
    return _nodes.decode(value)


def read_claim(value: bytes) -> ClaimRecord:
    """Read an entry of ``STREAMS``. Raises ``msgspec.MsgspecError``."""
    return _claims.decode(value)


def claim_key(scope: str, name: str) -> str:
    """Return the key of a stream's claim: any name fits, whatever a key may hold."""
    parts = (base64.b32encode(part.encode()).decode().rstrip("=").lower() for part in (scope, name))
    return ".".join(parts)


def session_key(owner: NodeLife, session: int) -> str:
    """Return the key of a session without an end."""
    return f"{owner.node}.{owner.incarnation}.{session}"


def death_key(life: NodeLife) -> str:
    """Return the key that says for long that a life was declared dead, beside its sessions."""
    return f"{life.node}.{life.incarnation}.dead"


def is_death(key: str) -> bool:
    """Whether a key is that of a death, not of a session."""
    return key.endswith(".dead")


def owner_of(key: str) -> NodeLife:
    """Return whose session, or death, a key names. Raises ``ValueError``."""
    node, incarnation, _ = key.split(".")
    return NodeLife(node, incarnation)
