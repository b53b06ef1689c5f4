"""The states of a node, in the words of Stream Manager 2.0."""

from __future__ import annotations

from enum import StrEnum


class ServiceState(StrEnum):
    """What a node does, in the order of its life; ``FAULT`` may come at any time."""

    REQUESTED = "REQUESTED"
    CREATING = "CREATING"
    CREATED = "CREATED"
    STARTED = "STARTED"
    #: Takes new clients.
    INSERVICE = "INSERVICE"
    #: Keeps its clients and takes no new ones.
    SOFT_SUNSET = "SOFT_SUNSET"
    #: Ends its clients' sessions.
    HARD_SUNSET = "HARD_SUNSET"
    DESTRUCTION_REQUESTED = "DESTRUCTION_REQUESTED"
    DESTROYING = "DESTROYING"
    #: Gone. Stream Manager 2.0 does not list such nodes.
    TERMINATED = "TERMINATED"
    #: Lost with all that it carried.
    FAULT = "FAULT"
