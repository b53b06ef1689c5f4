"""How often a client may have something done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.token_bucket import TokenBucket


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_the_rate_and_the_burst_are_kept(pauses: list[float]) -> None:
    """Whatever the pauses, no more is allowed than the burst and what the time since the start adds to it."""
    now = 0.0
    allowance = TokenBucket(2.0, 5.0, lambda: now)
    taken = 0
    for pause in pauses:
        now += pause
        taken += allowance.take()
        assert taken <= 5 + 2 * now + 1e-6
    now += 10
    assert [allowance.take() for _ in range(6)] == [True] * 5 + [False]
