"""Which address of a client is sent to, without a network."""

from __future__ import annotations

import pytest
from smproxy.origin.ice_paths import Address, Paths, Sign

from tests.fake_clock import FakeTime

OLD: Address = ("192.0.2.1", 1)
NEW: Address = ("192.0.2.1", 2)


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def paths(clock: FakeTime) -> Paths[str]:
    """A client that is connected at one address."""
    made: Paths[str] = Paths(clock)
    made.check(b"first", OLD)
    made.select("socket", OLD)
    return made


@pytest.mark.parametrize("sign", [Sign.MEDIA, Sign.CHECK])
def test_the_new_address_is_selected_when_the_old_one_is_silent(paths: Paths[str], clock: FakeTime, sign: Sign) -> None:
    """M7: signs from the new address, and none from the old one for so long, select the new one."""
    assert not paths.sign(sign, "socket", NEW, 10)
    clock.now += sign.value - 0.1
    assert not paths.sign(sign, "socket", NEW, 10)
    clock.now += 0.1
    assert paths.sign(sign, "other", NEW, 10)
    assert paths.selected == ("other", NEW)


@pytest.mark.parametrize("sign", list(Sign))
def test_an_address_that_still_speaks_stays_selected(paths: Paths[str], clock: FakeTime, sign: Sign) -> None:
    """A client that uses two addresses at once is sent to the one that it nominated."""
    for heard in range(20):
        assert not paths.sign(sign, "socket", NEW, heard)
        clock.now += 10
    assert paths.selected == ("socket", OLD)


def test_a_message_needs_no_wait(paths: Paths[str]) -> None:
    """What was decrypted from the data channel selects its address at once, if the old one is silent since its check."""
    paths.sign(Sign.CHECK, "socket", NEW, 10)
    assert paths.sign(Sign.MESSAGE, "socket", NEW, 10)


def test_what_came_elsewhere_is_no_sign_of_the_old_address(paths: Paths[str], clock: FakeTime) -> None:
    """Datagrams of the new address are counted with all others, and do not pass for the old one's."""
    paths.sign(Sign.MEDIA, "socket", NEW, 10)
    clock.now += 1
    paths.elsewhere += 5
    assert paths.sign(Sign.MEDIA, "socket", NEW, 15)


def test_a_copy_of_a_check_counts_for_nothing(paths: Paths[str]) -> None:
    """A check that was seen before is nobody's from another address, and the client's again from its own."""
    assert not paths.check(b"first", NEW)
    assert NEW not in paths.checked
    assert paths.check(b"first", OLD)


def test_before_a_nomination_nothing_is_selected(clock: FakeTime) -> None:
    """Signs do not stand for the client's choice at the beginning."""
    fresh: Paths[str] = Paths(clock)
    for _ in range(3):
        clock.now += 10
        assert not fresh.sign(Sign.CHECK, "socket", NEW, 0)
