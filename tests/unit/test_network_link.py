"""A link of a bad network against theory, on virtual time."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import mean

import pytest
from smproxy.network import PROFILES, Conditions, NetworkError, NetworkLink, read_scenario
from smproxy.network.link import HEADERS

SIZE = 1_000


def link(seed: int = 1, **given: float) -> NetworkLink:
    """Make a link with these conditions."""
    return NetworkLink(Conditions().changed(given), random.Random(seed))


def run(one: NetworkLink, count: int, gap: float, size: int = SIZE) -> list[tuple[float, ...]]:
    """Offer datagrams ``gap`` seconds apart, from 0 on; return when each arrives."""
    return [one.offer(size, number * gap) for number in range(count)]


def test_a_good_network_does_nothing() -> None:
    """Without conditions each datagram arrives once, when it was sent."""
    assert run(link(), 100, 0.01) == [(number * 0.01,) for number in range(100)]


@pytest.mark.parametrize("delay", [1, 50, 600])
def test_delay_is_exact(delay: float) -> None:
    """Each datagram arrives as many milliseconds later as was asked, to the millisecond."""
    for number, arrivals in enumerate(run(link(delay=delay), 100, 0.01)):
        assert arrivals == (pytest.approx(number * 0.01 + delay / 1000, abs=1e-9),)


def test_jitter_keeps_the_order_and_its_bounds() -> None:
    """Jitter adds from nothing to its most, evenly, and nothing overtakes."""
    arrivals = [times[0] for times in run(link(delay=20, jitter=30), 5_000, 0.1)]
    late = [arrival - number * 0.1 for number, arrival in enumerate(arrivals)]
    assert 0.020 <= min(late) < 0.021
    assert 0.049 < max(late) <= 0.050
    assert mean(late) == pytest.approx(0.035, abs=0.001)
    close = [times[0] for times in run(link(delay=20, jitter=30), 5_000, 0.001)]
    assert close == sorted(close)


@pytest.mark.parametrize("rate", [64, 1_000, 20_000])
def test_rate_is_within_five_percent(rate: float) -> None:
    """Offered twice the rate, the link carries its rate, headers counted, and drops the rest."""
    gap = (SIZE + HEADERS) * 8 / (2_000 * rate)
    count = 4_000
    one = link(rate=rate, queue=300)
    arrivals = [times[0] for times in run(one, count, gap) if times]
    carried = (len(arrivals) - 1) * (SIZE + HEADERS) * 8 / (arrivals[-1] - arrivals[0]) / 1000
    assert carried == pytest.approx(rate, rel=0.05)
    assert one.counts.overflow == count - len(arrivals) > 0


def test_the_queue_is_bounded_in_time() -> None:
    """What would wait longer than the queue allows is dropped; what is carried waits at most so long and its own time."""
    one = link(rate=500, queue=150)
    own = (SIZE + HEADERS) * 8 / 500_000
    late = [times[0] - number * 0.001 for number, times in enumerate(run(one, 3_000, 0.001)) if times]
    assert max(late) <= 0.150 + own + 1e-9
    assert max(late) > 0.140
    assert one.offer(SIZE, 60.0) == (pytest.approx(60.0 + own),), "an idle link has an empty queue"


@pytest.mark.parametrize(("loss", "burst"), [(1, 1), (10, 1), (5, 4), (30, 8), (100, 1)])
def test_loss_has_its_part_and_its_length(loss: float, burst: float) -> None:
    """So many of a hundred are lost, in bursts of the mean length that was asked (Gilbert's model)."""
    lost = "".join("." if times else "x" for times in run(link(loss=loss, burst=burst), 200_000, 0.001))
    assert 100 * lost.count("x") / len(lost) == pytest.approx(loss, rel=0.12)
    if loss < 100:
        # At random, losses follow each other by chance, too: then a burst is 1 / (1 - loss) long.
        expected = burst if burst > 1 else 1 / (1 - loss / 100) if loss > 1 else 1
        assert mean(len(run) for run in lost.split(".") if run) == pytest.approx(expected, rel=0.12)


def test_reorder_and_duplicate() -> None:
    """The part that was asked is overtaken by others, or comes twice; none of these is lost."""
    one = link(reorder=10, delay=20)
    arrivals = [times[0] for times in run(one, 10_000, 0.002)]
    assert one.counts.reordered == pytest.approx(1_000, rel=0.12)
    assert sum(second < first for first, second in pairwise(arrivals)) == pytest.approx(1_000, rel=0.2)
    twice = [len(times) for times in run(link(duplicate=10), 10_000, 0.002)]
    assert twice.count(2) == pytest.approx(1_000, rel=0.12)
    assert twice.count(0) == 0


def test_outages() -> None:
    """An outage begins at once and ends; with ``every`` it comes at the end of each such time."""
    once = [number for number, times in enumerate(run(link(outage=500), 300, 0.01)) if not times]
    assert once == list(range(50))
    again = [number for number, times in enumerate(run(link(outage=125, every=1), 192, 1 / 64)) if not times]
    assert [number % 64 for number in again] == [*range(56, 64)] * 3


def test_change() -> None:
    """Changed conditions hold for what comes next; what is on its way is not overtaken."""
    one = link(delay=500)
    assert one.offer(SIZE, 0.0) == (0.5,)
    one.change(Conditions())
    assert one.offer(SIZE, 0.1) == (0.5,), "in order"
    assert one.offer(SIZE, 0.6) == (0.6,)
    one.change(Conditions(outage=100))
    assert one.offer(SIZE, 0.7) == ()
    assert one.offer(SIZE, 0.9) == (0.9,)


@pytest.mark.parametrize(
    "given",
    [{}, {"loss": 20, "burst": 3}, {"rate": 64, "queue": 50}, {"outage": 500, "every": 2}, {"reorder": 30, "jitter": 40},
     {"duplicate": 50, "delay": 20}],
)  # fmt: skip
def test_a_stream_loses_nothing(given: dict[str, float]) -> None:
    """Of a TCP stream every part arrives once and in order, later where a datagram would be lost or overtaken."""
    one, parts = link(**given), 600
    arrivals = [one.carry(SIZE, number / 100) for number in range(parts)]
    assert {len(times) for times in arrivals} == {1}
    assert arrivals == sorted(arrivals)
    assert all(times[0] >= number / 100 + given.get("delay", 0) / 1000 for number, times in enumerate(arrivals))
    late = sum(times[0] - number / 100 for number, times in enumerate(arrivals)) / parts
    assert (late > 0.01) == bool(given), "it is held up instead"


def test_what_holds_a_stream_up() -> None:
    """A lost part comes a retransmission later, one in an outage at its end; of a path without any passage nothing does."""
    assert link(outage=500).carry(SIZE, 0.0) == (0.5,)
    lossy = link(loss=50, delay=100)
    late = {round(lossy.carry(SIZE, number)[0] - number, 6) for number in range(0, 200, 10)}
    assert late == {0.1, 0.5}
    assert link(loss=100).carry(SIZE, 0.0) == ()


def test_a_seed_decides() -> None:
    """With one seed the same datagrams are lost, doubled and reordered, whatever their times and sizes are."""
    conditions = {"loss": 20.0, "burst": 3.0, "reorder": 10.0, "duplicate": 10.0}

    def fates(seed: int, gap: float, size: int) -> list[int]:
        return [len(times) for times in run(link(seed, **conditions), 500, gap, size)]

    assert fates(7, 0.01, 1_000) == fates(7, 0.5, 60)
    assert fates(7, 0.01, 1_000) != fates(8, 0.01, 1_000)


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_usable(name: str) -> None:
    """Each profile has conditions that could have been given one by one, and carries most of light traffic."""
    for conditions in (PROFILES[name].up, PROFILES[name].down):
        one = NetworkLink(conditions.changed({}), random.Random(1))
        assert sum(bool(times) for times in run(one, 2_000, 0.1, 60)) > 1_800
        assert str(conditions)


def test_scenario() -> None:
    """A scenario has its steps in order, with profiles, conditions, or both."""
    first, second, third = read_scenario(" 0 rate=2000 ; 5 3g delay=10;7.5 good;")
    assert (first.at, first.up, first.down) == (0, Conditions(rate=2000), Conditions(rate=2000))
    assert second.up == PROFILES["3g"].up.changed({"delay": 10})
    assert second.down == PROFILES["3g"].down.changed({"delay": 10})
    assert (third.at, third.up) == (7.5, Conditions())
    assert read_scenario("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3g", "'3g' is no second"),
        ("5", "says nothing"),
        ("5 5g", "no profile '5g'"),
        ("5 speed=3", "no condition 'speed'"),
        ("5 rate=fast", "rate=fast"),
        ("5 loss=101", "from 0 to 100"),
        ("5 rate=nan", "rate=nan"),
        ("9 3g;5 good", "put them in order"),
        ("-1 3g", "'-1' is no second"),
        (";".join(["1 good"] * 51), "51 steps"),
    ],
)
def test_mistakes_of_a_scenario(text: str, says: str) -> None:
    """A mistake is refused with what was given and what is allowed."""
    with pytest.raises(NetworkError, match=says):
        read_scenario(text)
