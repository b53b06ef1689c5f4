"""Requests of the core to the registry, and their replies.

The core does no I/O: its procedures yield requests and are sent replies.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, TypeVar

from smproxy.cluster.records import Bucket, Unfinished

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """Get an entry. Answered by an ``RegistryEntry``, ``MISSING`` or ``NO_ANSWER``."""

    bucket: Bucket
    key: str


@dataclass(frozen=True, slots=True)
class Create:
    """Make an entry that must not exist. Answered by ``Written``, ``CONFLICT`` or ``NO_ANSWER``."""

    bucket: Bucket
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an entry that must have this revision. Answered as ``Create``."""

    bucket: Bucket
    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove an entry that must have this revision. Answered as ``Create``."""

    bucket: Bucket
    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class ListKeys:
    """List the keys of a bucket. Answered by a tuple of them or ``NO_ANSWER``."""

    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait. Answered by ``None``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WriteEnds:
    """Write the ends of another node's session durably. Answered by ``None`` when that is done."""

    state: Unfinished


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """An entry; revisions grow with every change of its bucket."""

    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Written:
    """The change was made; ``sent`` is when the request left, on the node's monotonic clock."""

    revision: int
    sent: float


class Failure(Enum):
    """Why there is no entry, or no change."""

    MISSING = "missing"
    CONFLICT = "conflict"
    #: The registry did not answer in time: the change may have been made, or may yet be.
    NO_ANSWER = "no answer"


MISSING, CONFLICT, NO_ANSWER = Failure.MISSING, Failure.CONFLICT, Failure.NO_ANSWER

#: What the registry is asked.
RegistryRequest: TypeAlias = Read | Create | Update | Remove | ListKeys
Request: TypeAlias = RegistryRequest | Pause | WriteEnds
Reply: TypeAlias = RegistryEntry | Written | Failure | tuple[str, ...] | None

#: A procedure of the core: yields requests, is sent their replies, returns what came of it.
Steps: TypeAlias = Generator[Request, Reply, T]
