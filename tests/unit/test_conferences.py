"""The core of the conferences: their bounds, and the latest state for each."""

from __future__ import annotations

import json
import random
from typing import Any, cast

import pytest
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.manager.conferences import MAX_PARTICIPANTS, ConferenceFull, Conferences, Participant
from smproxy.signaling.clock import Clock
from smproxy.signaling.conference import JoinConferenceRequest
from smproxy.signaling.payloads import Reason


class Hooks:
    """Takes hooks."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def emit(self, payload: Any, sequence: int, connection: Any, context: Any = None) -> None:
        self.states.append(payload.state)


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def conferences(hooks: Hooks) -> Conferences:
    return Conferences(cast("HookDispatcher", hooks), clock=Clock(), rng=random.Random(1))


def join(conferences: Conferences, name: str, got: list[Any], closed: list[str]) -> Participant:
    session = conferences.new_session("127.0.0.1")
    asked = JoinConferenceRequest("token", name)
    session.begin(asked, "acme")
    return conferences.join(asked, session, lambda text: got.append(json.loads(text)), lambda: closed.append(name))[0]


def test_is_bounded(conferences: Conferences) -> None:
    """A conference takes so many, says why it takes no more, and goes on."""
    got: list[Any] = []
    everybody = [join(conferences, str(number), got, []) for number in range(MAX_PARTICIPANTS)]
    with pytest.raises(ConferenceFull, match=f"has {MAX_PARTICIPANTS} participants already"):
        join(conferences, "late", got, [])
    conferences.leave(everybody[0], Reason.USER_ACTION)
    join(conferences, "late", got, [])
    assert [each["displayName"] for each in got[-1]["state"]["participants"]][-2:] == [
        str(MAX_PARTICIPANTS - 1),
        "late",
    ]


def test_each_end_is_told_once(conferences: Conferences, hooks: Hooks) -> None:
    """Leaving twice, or after all were ended, changes nothing more."""
    got: list[Any] = []
    closed: list[str] = []
    one, _ = (join(conferences, name, got, closed) for name in ("one", "two"))
    conferences.leave(one, Reason.USER_ACTION)
    conferences.leave(one, Reason.TIMEOUT)
    assert got[-1]["state"]["participants"][0]["displayName"] == "two"
    conferences.end_all(Reason.NODE_SHUTDOWN)
    conferences.end_all(Reason.NODE_SHUTDOWN)
    assert closed == ["two"]
    assert conferences.states() == []
    assert hooks.states == ["connecting", "connected", "connecting", "connected", "disconnected", "disconnected"]


def test_a_request_shows_no_secret() -> None:
    """What a log would show of a request has neither token nor password."""
    asked = JoinConferenceRequest("secret-token", "ann", password="secret-word", access_token="secret-access")
    assert "secret" not in repr(asked)
