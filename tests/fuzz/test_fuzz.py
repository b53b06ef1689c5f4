"""Whatever comes has a documented outcome or a documented error, in bounded time: each target with some hundred inputs.

``make fuzz`` looks for minutes, guided by coverage; what it finds goes into ``corpus/TARGET`` and runs here always.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, FuzzTarget

CORPUS = Path(__file__).parent / "corpus"
_INPUTS = 1_200
#: Seconds of the processor that one input may take; a thousandth is usual.
_LONGEST = 5.0


@contextmanager
def bounded() -> Iterator[None]:
    """Fail what takes too much of the processor's time, however busy the machine is."""

    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"one input takes more than {_LONGEST:g} s of the processor")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check(target: FuzzTarget, data: bytes) -> None:
    """Run an input; a failure shows it."""
    try:
        with bounded():
            target.run(data)
    except Exception as error:
        error.add_note(f"the input: {data!r}")
        raise


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_taken_or_refused_in_words(name: str) -> None:
    """No input makes anything but what is documented: examples, what was found before, and inputs made of both."""
    target = TARGETS[name]
    known = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    seeds = [*target.seeds, *known]
    rng = random.Random(name)
    for data in (b"", *seeds):
        check(target, data)
    for _ in range(_INPUTS // target.cost):
        check(target, mutated(seeds, target.words, rng))


def test_the_corpus_has_only_what_is_fuzzed() -> None:
    """Each folder of the corpus belongs to a target."""
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
