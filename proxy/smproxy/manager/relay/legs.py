"""The two legs of a session, with what reads along or decides on each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from smproxy.manager.relay.delayed_leg import SlowLeg
from smproxy.manager.relay.fault_pipeline import Detour
from smproxy.manager.relay.filter import OriginFilter, passing
from smproxy.manager.relay.leg import Leg, Legs
from smproxy.manager.relay.message_filter import Gate
from smproxy.manager.relay.scanner import Scanner, Tap

Hear = Callable[[bytes | None], None]


def make_legs(
    session: Legs,
    hear: tuple[Hear, Hear],
    max_message: int,
    origin_filter: OriginFilter | None,
    detour: Detour | None,
) -> tuple[Leg, Leg]:
    """Make the client's and the origin's leg; ``hear`` is told what each says. Only what may be changed passes a gate."""
    client_said, origin_said = hear
    client_tap, origin_tap = (Scanner(masked=masked, max_message=max_message) for masked in (True, False))
    client: Leg
    origin: Leg
    if detour is not None:
        gates = (
            Gate(client_tap, detour.from_client, max_message=max_message),
            Gate(origin_tap, detour.from_origin, max_message=max_message),
        )
        client = SlowLeg(session, "client", gates[0], client_said, partial(detour.delay, "client"))
        origin = SlowLeg(session, "origin", gates[1], origin_said, partial(detour.delay, "origin"))
    else:
        tap: Tap = origin_tap
        if origin_filter is not None:
            tap = Gate(origin_tap, passing(origin_filter), max_message=max_message)
        client = Leg(session, "client", client_tap, client_said)
        origin = Leg(session, "origin", tap, origin_said)
    client.peer, origin.peer = origin, client
    return client, origin
