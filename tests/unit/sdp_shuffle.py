"""Permuting the attributes of a session description, which have no order (RFC 8866, 5.13)."""

from __future__ import annotations

import random
import re


def shuffled(sdp: str, seed: int) -> str:
    """Return the description with the attributes of its session and of each section in another order.

    ``a=ssrc`` lines stay in order among themselves: theirs is the order of the sources.
    """
    rng = random.Random(seed)
    blocks = re.split(r"(?m)^(?=m=)", sdp)
    return "".join(_block(each, rng) for each in blocks)


def _block(block: str, rng: random.Random) -> str:
    lines = block.split("\r\n")
    places = [index for index, line in enumerate(lines) if line.startswith("a=")]
    moved = [lines[index] for index in places]
    rng.shuffle(moved)
    sources = iter([lines[index] for index in places if lines[index].startswith("a=ssrc:")])
    moved = [next(sources) if line.startswith("a=ssrc:") else line for line in moved]
    for index, line in zip(places, moved, strict=True):
        lines[index] = line
    return "\r\n".join(lines)
