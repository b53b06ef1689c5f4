"""When a node of a cluster may act, and when it may judge others."""

from __future__ import annotations

from smproxy.cluster.fencing import PeerAnswer, Standing
from smproxy.cluster.timing import Timing

TIMING = Timing()


class Time:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def standing(*peers: str) -> tuple[Standing, Time]:
    time = Time()
    made = Standing(TIMING, time)
    made.begin(time.now)
    made.know_peers(peers)
    return made, time


def live_on(made: Standing, time: Time, seconds: float, lost: tuple[str, ...]) -> bool:
    """Let time go by, in which these peers answer that they have lost the registry, too."""
    end = time.now + seconds
    while time.now < end:
        time.now += TIMING.ask
        for peer in lost:
            made.answered(peer, time.now, PeerAnswer.LOST_TOO)
        made.acts()
    return made.acts()


def test_acts_within_its_lease_only() -> None:
    """A lease counts from the moment at which its renewal was sent, and ends before the registry's entry does."""
    made, time = standing("b")
    sent = time.now
    time.now += 3
    made.renewed(sent)
    time.now = sent + TIMING.ttl - TIMING.margin - 0.01
    assert made.acts()
    time.now += 0.02
    assert not made.acts()


def test_goes_on_while_every_peer_has_lost_the_registry() -> None:
    """An outage of the registry stops nobody."""
    made, time = standing("b", "c")
    assert live_on(made, time, 60, ("b", "c"))


def test_ends_when_one_peer_does_not_answer() -> None:
    """A peer that cannot be asked may have the registry."""
    made, time = standing("b", "c")
    assert not live_on(made, time, 60, ("b",))


def test_ends_when_one_peer_has_the_registry() -> None:
    """The first peer that has it ends what goes on beyond the lease, and it does not come back by itself."""
    made, time = standing("b", "c")
    assert live_on(made, time, 20, ("b", "c"))
    made.answered("c", time.now, PeerAnswer.HAS_REGISTRY)
    assert not made.acts()
    assert not live_on(made, time, 10, ("b", "c"))


def test_asks_who_comes_while_it_has_not_the_registry() -> None:
    """A node that joins where this one cannot renew its lease may declare it dead one day: it must be asked, too."""
    for answer, goes_on in ((PeerAnswer.HAS_REGISTRY, False), (PeerAnswer.LOST_TOO, True), (None, False)):
        made, time = standing("b")
        assert live_on(made, time, 20, ("b",))
        made.know_peers(["b", "new"])
        assert live_on(made, time, 2 * TIMING.ask, ("b",)), "this node had no time to find the registry itself"
        made.know_peers(["b", "new"])
        assert made.acts(), "the other had no time to answer"
        for _ in range(4):
            time.now += TIMING.ask
            made.answered("b", time.now, PeerAnswer.LOST_TOO)
            if answer is not None:
                made.answered("new", time.now, answer)
        assert made.acts() is goes_on


def test_ends_without_peers() -> None:
    """A node alone cannot tell an outage from a partition."""
    made, time = standing()
    assert not live_on(made, time, 20, ())


def test_ends_when_no_peer_runs() -> None:
    """A peer that is gone vouches for nothing: it may run again, where this node cannot see it."""
    for answers, goes_on in (
        ((PeerAnswer.GONE, PeerAnswer.GONE), False),
        ((PeerAnswer.GONE, PeerAnswer.LOST_TOO), True),
    ):
        made, time = standing("b", "c")
        for _ in range(40):
            time.now += TIMING.ask
            for peer, answer in zip("bc", answers, strict=True):
                made.answered(peer, time.now, answer)
            made.acts()
        assert made.acts() is goes_on


def test_frozen_process_is_fenced_when_it_wakes() -> None:
    """Answers that came during a freeze prove nothing for the time in between."""
    made, time = standing("b")
    assert live_on(made, time, 20, ("b",))
    time.now += 15
    made.answered("b", time.now, PeerAnswer.LOST_TOO)
    assert not made.acts()


def test_judges_after_a_grace_only() -> None:
    """Whoever has just got the registry back declares nobody dead: the others may still be acting."""
    made, time = standing("b")
    live_on(made, time, 20, ("b",))
    assert not made.has_registry()
    made.renewed(time.now)
    assert made.has_registry()
    assert not made.settled(), "the others have no time to find the registry again"
    assert not made.may_judge()
    time.now += TIMING.grace / 2
    made.renewed(time.now)
    assert made.settled()
    assert not made.may_judge()
    time.now += TIMING.grace / 2
    assert made.may_judge()


def test_grace_is_longer_than_an_answer_counts() -> None:
    """Of every time-to-live, scaled: who acts beyond its lease has asked, and stopped, before anybody may judge it."""
    for ttl in (1.0, 2.5, 9.0, 60.0):
        timing = Timing.of_ttl(ttl)
        assert timing.grace > timing.patience + timing.witness + timing.ask
        assert timing.patience > timing.renew
        assert timing.ttl > timing.contact + timing.margin + timing.renew
