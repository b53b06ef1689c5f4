"""What is missing, late or repeated among the hooks of many sessions."""

from __future__ import annotations

from typing import Any

from smproxy.testing.hook_order import HookOrder


def event(session: int, seq: int, state: str = "connecting") -> dict[str, Any]:
    """Make an event as it is delivered."""
    return {"seq": seq, "event": "session", "payload": {"session": session, "state": state}}


def order(*events: dict[str, Any]) -> HookOrder:
    """Take events in this order."""
    taken = HookOrder()
    for each in events:
        taken.take(each)
    return taken


def test_whole_and_in_order() -> None:
    """Sessions that overlap are counted each by itself; an event that comes twice is allowed."""
    taken = order(
        event(1, 1), event(2, 1), event(1, 2), event(1, 2), event(1, 3, "disconnected"), event(2, 2, "disconnected")
    )
    assert taken.in_order
    assert (taken.sessions, taken.ended, taken.events, taken.repeated) == (2, 2, 6, 1)


def test_what_is_wrong() -> None:
    """A gap, an event after a later one, and a session without an end are each found."""
    assert order(event(1, 1), event(1, 3, "disconnected")).missing == 1
    late = order(event(1, 1), event(1, 3), event(1, 2), event(1, 4, "disconnected"))
    assert (late.missing, late.late, late.in_order) == (0, 1, False)
    assert not order(event(1, 1)).in_order
    assert order({"payload": None}, {"event": "x"}).sessions == 0
