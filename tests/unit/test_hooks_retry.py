"""When delivery tries again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.hooks.retry import FAST, PROFILES, STANDARD, RetryProfile


@given(st.integers(1, 6), st.integers())
def test_waits_are_drawn_below_the_step(attempts: int, seed: int) -> None:
    """The wait after the n-th attempt lies between 0 and the n-th step of the profile."""
    wait = STANDARD.wait(attempts=attempts, elapsed=0, after=None, rng=random.Random(seed))
    assert wait is not None
    assert 0 <= wait <= (5, 300, 1800, 7200, 18000, 36000)[attempts - 1]


def test_jitter_fills_the_whole_step() -> None:
    """Waits are spread over the whole step, so that receivers are not met by everybody at once."""
    rng = random.Random(5)
    waits = [STANDARD.wait(attempts=2, elapsed=0, after=None, rng=rng) or 0 for _ in range(500)]
    assert min(waits) < 30
    assert max(waits) > 270


def test_standard_gives_up_after_seven_attempts() -> None:
    """The profile ``standard`` has six waits; after the seventh attempt there is none."""
    assert STANDARD.wait(attempts=6, elapsed=1e9, after=None, rng=random.Random(1)) is not None
    assert STANDARD.wait(attempts=7, elapsed=0, after=None, rng=random.Random(1)) is None


def test_fast_gives_up_after_thirty_seconds() -> None:
    """The profile ``fast`` plans no attempt once 30 s have passed, and its steps never exceed 5 s."""
    assert FAST.wait(attempts=3, elapsed=29.9, after=None, rng=random.Random(1)) is not None
    assert FAST.wait(attempts=3, elapsed=30.0, after=None, rng=random.Random(1)) is None
    assert max(FAST.steps) == 5.0
    assert FAST.steps[0] == 0.05


def test_the_receivers_wish_is_a_lower_bound_and_bounded() -> None:
    """A wait is never shorter than Retry-After, unless that asks for more than the profile allows."""
    profile = RetryProfile("test", (0.5,), retry_after_limit=60)
    assert profile.wait(attempts=1, elapsed=0, after=7.0, rng=random.Random(1)) == 7.0
    assert profile.wait(attempts=1, elapsed=0, after=1e6, rng=random.Random(1)) == 60
    assert profile.wait(attempts=1, elapsed=0, after=0.0, rng=random.Random(1)) == pytest.approx(0.5 * 0.134, abs=0.01)


def test_profiles_are_found_by_name() -> None:
    """People choose a profile by the name it shows."""
    assert PROFILES == {"fast": FAST, "standard": STANDARD}
