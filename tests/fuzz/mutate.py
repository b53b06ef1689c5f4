"""Inputs from examples: cut, repeated, spliced, with wrong bytes and likely words in them."""

from __future__ import annotations

import random
from collections.abc import Sequence

#: Bytes of an input; the limits of what is fuzzed are tested by themselves.
LONGEST = 6_000

_NUMBERS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00\x00", b"\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff")


def mutated(seeds: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> bytes:
    """Make an input of the examples."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place = rng.randrange(len(data) + 1)
        size = rng.choice((1, 1, 2, 4, 20, 200))
        match rng.randrange(8):
            case 0 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 1 if place < len(data):
                data[place] = rng.randrange(256)
            case 2:
                del data[place : place + size]
            case 3:
                data[place:place] = data[place : place + size] * rng.choice((1, 1, 2, 50))
            case 4:
                data[place:place] = rng.randbytes(size)
            case 5 if words:
                data[place:place] = rng.choice(words)
            case 6:
                number = rng.choice(_NUMBERS)
                data[place : place + len(number)] = number
            case _:
                other = rng.choice(seeds)
                start = rng.randrange(len(other) + 1)
                data[place:] = other[start:]
    return bytes(data[:LONGEST])
