"""Named networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from smproxy.network.conditions import Conditions


@dataclass(frozen=True, slots=True)
class Profile:
    """A network as it is from the client (``up``) and to the client (``down``)."""

    text: str
    up: Conditions
    down: Conditions


#: The profiles by name. Delays are of one way: the round trip is the sum of both.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "good": Profile("nothing is done", Conditions(), Conditions()),
        "2g": Profile(
            "EDGE: a picture is too much for it",
            Conditions(delay=300, jitter=60, rate=110, queue=1000, loss=1, burst=2),
            Conditions(delay=300, jitter=60, rate=240, queue=1000, loss=1, burst=2),
        ),
        "3g": Profile(
            "UMTS, with a long queue",
            Conditions(delay=75, jitter=20, rate=768, queue=600, loss=0.5, burst=2),
            Conditions(delay=75, jitter=20, rate=1600, queue=600, loss=0.5, burst=2),
        ),
        "4g": Profile(
            "LTE, standing still",
            Conditions(delay=25, jitter=10, rate=5_000, loss=0.1),
            Conditions(delay=25, jitter=10, rate=12_000, loss=0.1),
        ),
        "lte-train": Profile(
            "LTE at speed: a handover without any packet every 20 seconds",
            Conditions(delay=40, jitter=30, rate=2_000, queue=400, loss=1, burst=6, outage=900, every=20),
            Conditions(delay=40, jitter=30, rate=6_000, queue=400, loss=1, burst=6, outage=900, every=20),
        ),
        "wifi-crowded": Profile(
            "Wi-Fi among many others: bursts of loss, uneven delay",
            Conditions(delay=4, jitter=40, rate=8_000, loss=2, burst=4, reorder=0.5, duplicate=0.1),
            Conditions(delay=4, jitter=40, rate=15_000, loss=2, burst=4, reorder=0.5, duplicate=0.1),
        ),
        "satellite": Profile(
            "a geostationary satellite",
            Conditions(delay=280, jitter=10, rate=3_000, queue=500, loss=0.3, burst=3),
            Conditions(delay=280, jitter=10, rate=20_000, queue=500, loss=0.3, burst=3),
        ),
    }
)
