"""The attempts that may connect to an origin."""

from __future__ import annotations

from smproxy.origin.announcements import LIFETIME, MAX_ANNOUNCED, Announcements
from smproxy.signaling.node_channel import Announce

from tests.fake_clock import FakeTime


def test_each_is_good_once() -> None:
    """An announced attempt is taken once; others and withdrawn ones are not."""
    announcements = Announcements(FakeTime())
    announcements.add(Announce("a"))
    announcements.add(Announce("b"))
    announcements.discard("b")
    announcements.discard("c")
    assert not announcements.take(None)
    assert not announcements.take("b")
    assert announcements.take("a")
    assert not announcements.take("a")


def test_they_expire() -> None:
    """After its lifetime an announcement is worth nothing, and it takes no room for ever."""
    time = FakeTime()
    announcements = Announcements(time)
    announcements.add(Announce("a"))
    announcements.add(Announce("b"))
    time.now += LIFETIME + 1
    assert not announcements.take("a")
    announcements.add(Announce("c"))
    assert len(announcements) == 1


def test_bounded() -> None:
    """Attempts that never come do not pile up; the latest are kept."""
    announcements = Announcements(FakeTime())
    for number in range(MAX_ANNOUNCED + 10):
        announcements.add(Announce(str(number)))
    assert len(announcements) == MAX_ANNOUNCED
    assert not announcements.take("0")
    assert announcements.take(str(MAX_ANNOUNCED))
