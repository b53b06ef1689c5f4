"""The log as JSON: every line about a session says which, over every transport, and none has a secret."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from smproxy.logs import JsonFormatter
from smproxy.simulator import Simulator
from smproxy.testing import StreamError, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd

from tests.helpers import eventually
from tests.integration.conftest import StartSimulator

MARK = "7310009"
CREDENTIALS = {"username": "ann", "password": f"pass {MARK}", "params": {"token": f"t/{MARK}=="}}
PAIRS = [("websocket", "websocket"), ("whip", "whep")]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log of everything, as ``--log-format json --log-level debug`` writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("smproxy")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.setLevel(level)
    logger.removeHandler(handler)


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end."""
    async with AuthBackEnd() as back_end:
        yield back_end


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def about(log: io.StringIO, session: int) -> list[dict[str, Any]]:
    """Return the lines that have this session as a field."""
    return [line for line in lines(log) if line.get("session") == session]


def session_of(simulator: Simulator, role: str) -> int:
    """Return the number of the newest session with this role."""
    return next(view.session for view in simulator.manager.history.newest() if view.role == role)


def check_fields(log: io.StringIO) -> None:
    """Check that what names a session or an attempt in its text has its fields, and that nothing has a secret."""
    for line in lines(log):
        if re.search(r"\b(session \d+|attempt [0-9a-f]+-)", line["message"]):
            assert line["customerScope"] == "acme", line
            assert line["id"], line
            assert isinstance(line["session"], int), line
    assert MARK not in log.getvalue()


@pytest.mark.parametrize(("publish", "watch"), PAIRS)
async def test_every_line_of_a_session_names_it(
    log: io.StringIO, receiver: WebhookReceiver, start_simulator: StartSimulator, publish: str, watch: str
) -> None:
    """Manager, origin, faults and hooks: their lines have session, id, customerScope and stream of publisher and subscriber."""
    failures = iter([503])
    receiver.respond = lambda _: next(failures, 204)
    simulator = await start_simulator(receiver, data_dir=Path(":memory:"))
    # There is no place for the recording, which the origin says in its log.
    async with simulator.publisher("cam", transport=publish, recording=True, customerScope="acme", **CREDENTIALS):
        publishing = session_of(simulator, "publisher")
        async with simulator.subscriber("cam", transport=watch, customerScope="acme", **CREDENTIALS) as subscriber:
            await subscriber.wait_for_frames(1)
            watching = session_of(simulator, "subscriber")
    await eventually(lambda: len(simulator.manager.sessions) == 0, 10)
    await simulator.dispatcher.drained(10)
    check_fields(log)
    for session in (publishing, watching):
        found = about(log, session)
        assert {line["logger"] for line in found} >= {"smproxy.manager.sessions"}
        assert found[-1]["stream"] == "cam"
        assert len(found) >= 5
    loggers = {line["logger"] for line in about(log, publishing)}
    assert loggers >= {"smproxy.origin.recording.recorder", "smproxy.hooks.delivery"}


@pytest.mark.parametrize(("publish", "watch"), PAIRS)
async def test_a_refusal_names_whom(
    log: io.StringIO, start_simulator: StartSimulator, back_end: AuthBackEnd, publish: str, watch: str
) -> None:
    """Who is not let in is in the log with id and customer scope."""
    simulator = await start_simulator(None, auth_uri=back_end.url)
    back_end.deny()
    for client in (
        simulator.publisher("cam", transport=publish, customerScope="acme", **CREDENTIALS),
        simulator.subscriber("cam", transport=watch, customerScope="acme", **CREDENTIALS),
    ):
        with pytest.raises(StreamError):
            async with client:
                pass
    denied = [line for line in lines(log) if "is not allowed" in line["message"]]
    assert len(denied) == 2
    assert all((line["customerScope"], bool(line["id"])) == ("acme", True) for line in denied)
    assert denied[0]["stream"] == "cam"
    check_fields(log)
