"""Send other messages on than those that came."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Protocol

from smproxy.manager.relay.frames import text_frame
from smproxy.manager.relay.message_filter import Decide

logger = logging.getLogger(__name__)


class Rewriter(Protocol):
    """Rewrites the text messages of one connection.

    Each method returns ``None`` for a message that goes on as it came.
    """

    def to_origin(self, text: bytes) -> str | None:
        """Return what goes on in place of a client's message."""

    def to_client(self, text: bytes) -> str | None:
        """Return what goes on in place of an origin's message."""


def rewritten(rewrite: Callable[[bytes], str | None], text: bytes | None) -> str | None:
    """Return what goes on in place of a message.

    ``None``: the message as it came, also when ``rewrite`` raises.
    """
    try:
        return None if text is None else rewrite(text)
    except Exception:
        logger.exception("a message of a relayed connection cannot be rewritten; it goes on as it came")
        return None


def to_origin_by(rewriter: Rewriter, rng: Random) -> Decide:
    """Make one frame of a client's message that is rewritten, and let every other one through."""

    def decide(text: bytes | None, frames: bytes) -> bytes:
        other = rewritten(rewriter.to_origin, text)
        # The mask need not be unpredictable: the payload is our own (RFC 6455, 5.3).
        return frames if other is None else text_frame(other, rng.randbytes(4))

    return decide


def to_client_by(rewriter: Rewriter, passes: Decide | None) -> Decide:
    """Do the same with an origin's messages, of those that ``passes`` lets through."""

    def decide(text: bytes | None, frames: bytes) -> bytes:
        passed = frames if passes is None else passes(text, frames)
        other = rewritten(rewriter.to_client, text) if passed else None
        return passed if other is None else text_frame(other)

    return decide
