"""Make the two legs of a connection, each with its frame reader."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from smproxy.manager.relay.delayed_leg import DelayedLeg
from smproxy.manager.relay.fault_pipeline import FaultPipeline
from smproxy.manager.relay.leg import Leg, LegOwner
from smproxy.manager.relay.message_filter import MessageFilter
from smproxy.manager.relay.origin_filter import OriginFilter, let_through
from smproxy.manager.relay.rewrite import Rewriter, to_client_by, to_origin_by
from smproxy.manager.relay.scanner import FrameReader, FrameScanner

OnMessage = Callable[[bytes | None], None]


def make_legs(
    owner: LegOwner,
    on_message: tuple[OnMessage, OnMessage],
    max_message: int,
    origin_filter: OriginFilter | None,
    faults: FaultPipeline | None,
    rewriter: Rewriter | None,
    rng: Random,
) -> tuple[Leg, Leg]:
    """Make the client's and the origin's leg.

    Only what may be changed is filtered. ``on_message`` gets their messages. With ``faults`` it is they that rewrite.
    """
    from_client, from_origin = on_message
    client_scanner = FrameScanner(masked=True, max_message=max_message)
    origin_scanner = FrameScanner(masked=False, max_message=max_message)
    client: Leg
    origin: Leg
    if faults is not None:
        client_reader = MessageFilter(client_scanner, faults.from_client, max_message=max_message)
        origin_reader = MessageFilter(origin_scanner, faults.from_origin, max_message=max_message)
        client = DelayedLeg(owner, "client", client_reader, from_client, partial(faults.delay, "client"))
        origin = DelayedLeg(owner, "origin", origin_reader, from_origin, partial(faults.delay, "origin"))
    else:
        reader: FrameReader = origin_scanner
        client_frames: FrameReader = client_scanner
        passes = None if origin_filter is None else let_through(origin_filter)
        if rewriter is not None:
            client_frames = MessageFilter(client_scanner, to_origin_by(rewriter, rng), max_message=max_message)
            passes = to_client_by(rewriter, passes)
        if passes is not None:
            reader = MessageFilter(origin_scanner, passes, max_message=max_message)
        client = Leg(owner, "client", client_frames, from_client)
        origin = Leg(owner, "origin", reader, from_origin)
    client.peer, origin.peer = origin, client
    return client, origin
