"""Withhold messages of an origin from the client."""

from __future__ import annotations

import logging
from collections.abc import Callable

from smproxy.manager.relay.message_filter import Decide
from smproxy.signaling.messages import ServerMessage, read_server

logger = logging.getLogger(__name__)

#: Decides whether a message of the origin goes on to the client; gets ``None`` for what cannot be read.
OriginFilter = Callable[[ServerMessage | None], bool]


def let_through(origin_filter: OriginFilter) -> Decide:
    """Let a message through unchanged or not at all; when the filter raises, it goes on."""

    def decide(text: bytes | None, frames: bytes) -> bytes:
        try:
            passes = origin_filter(None if text is None else read_server(text))
        except Exception:
            logger.exception("the origin filter of a relayed connection failed; the message goes on")
            passes = True
        return frames if passes else b""

    return decide
