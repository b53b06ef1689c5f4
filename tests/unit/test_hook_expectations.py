"""Expectations about hooks: what matches, what is nearest, and what a failed one says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from smproxy.testing.expectation import Expectation
from smproxy.testing.hook_log import HookLog
from smproxy.testing.hook_report import MAX_ROWS, report
from smproxy.testing.hooks import HookExpectationError, Hooks

from tests.helpers import scaled


def come(log: HookLog, state: str, id: str = "s1", **fields: Any) -> None:
    """Let a hook of a session come."""
    payload = {"session": 7, "state": state, "reason": None, "duration": None} | fields
    connection = {"id": id, "customerScope": "acme", "recording": True, "meta": {"k": 1}}
    event = {
        "uuid": f"u{log.count}",
        "event": "session",
        "seq": log.count + 1,
        "payload": payload,
        "connection": connection,
    }
    log.add(json.dumps(event).encode())


@pytest.fixture
def log() -> HookLog:
    return HookLog()


async def test_a_hook_of_the_past_and_of_the_future(log: HookLog) -> None:
    """A hook that came already is found, and one that comes later is waited for."""
    come(log, "connecting")
    hooks = Hooks(log)
    assert (await hooks.expect("session", state="connecting", id="s1", timeout=0)).number == 1
    waiting = asyncio.create_task(hooks.expect("connected", timeout=scaled(5)))
    await asyncio.sleep(0)
    come(log, "connected")
    hook = await waiting
    assert (hook.number, hook.state, hook.session, hook["customerScope"]) == (2, "connected", 7, "acme")


@pytest.mark.parametrize(
    "fields",
    [
        {"customer_scope": "acme"},
        {"meta": {"k": 1}},
        {"reason": None},
        {"session": lambda number: number > 6},
        {"recording": True},
        {"seq": 1},
    ],
)
async def test_fields(log: HookLog, fields: dict[str, Any]) -> None:
    """A field is found wherever it is in the message, and compared, or given to a function."""
    come(log, "connected")
    await Hooks(log).expect("connected", timeout=0, **fields)


@pytest.mark.parametrize(
    "fields", [{"recording": 1}, {"reason": 0}, {"track": "video_main"}, {"track": None}, {"seq": True}]
)
async def test_fields_that_differ(log: HookLog, fields: dict[str, Any]) -> None:
    """True is not 1, null is not 0, and a field that is not there is not null."""
    come(log, "connected")
    with pytest.raises(HookExpectationError):
        await Hooks(log).expect("connected", timeout=0, **fields)


@pytest.mark.parametrize(
    ("what", "fields", "hint"),
    [
        ("conected", {}, "did you mean 'connected'"),
        (None, {"costumerScope": "a"}, "did you mean 'customerScope'"),
        ("session", {"state": "peer_joind"}, "did you mean 'peer_joined'"),
        ("connected", {"state": "connecting"}, "given twice"),
    ],
)
async def test_what_can_never_come(log: HookLog, what: str | None, fields: dict[str, Any], hint: str) -> None:
    """A name that no hook can have is an error at once, with the name that was meant."""
    with pytest.raises(TypeError, match=hint):
        await Hooks(log).expect(what, **fields)
    with pytest.raises(TypeError, match=hint):
        await Hooks(log).none(what, **fields)


async def test_after(log: HookLog) -> None:
    """With ``after``, an earlier hook does not count."""
    for state in ("connected", "reconnect", "reconnected", "reconnect"):
        come(log, state)
    hooks = Hooks(log)
    first = await hooks.expect("reconnect", timeout=0)
    assert (await hooks.expect("reconnect", after=first, timeout=0)).number == 4
    with pytest.raises(HookExpectationError, match="after hook 2"):
        await hooks.expect("connected", after=first, timeout=0)


async def test_only_since(log: HookLog) -> None:
    """What came before the beginning, or before ``forget``, does not count."""
    come(log, "connecting")
    hooks = Hooks(log, log.count)
    await hooks.none("connecting", during=0)
    come(log, "connected")
    assert [hook.state for hook in hooks.all()] == ["connected"]
    hooks.forget()
    await hooks.none("connected", during=0)


async def test_order(log: HookLog) -> None:
    """Hooks are found in their order, with others between; a step may have fields of its own."""
    for state in ("connecting", "connected", "reconnect", "reconnected", "disconnected"):
        come(log, state, "s2")
        come(log, state, "s1", reason=0 if state == "disconnected" else None)
    found = await Hooks(log).expect_order(
        "connecting", "connected", {"state": "disconnected", "reason": 0}, id="s1", timeout=0
    )
    assert [hook.number for hook in found] == [2, 4, 10]


async def test_wrong_order(log: HookLog) -> None:
    """The message says which step is missing, and that it came too early."""
    for state in ("connected", "connecting"):
        come(log, state)
    with pytest.raises(HookExpectationError) as error:
        await Hooks(log).expect_order("connecting", "connected", "disconnected", timeout=0)
    text = str(error.value)
    assert "state=connecting: hook 2" in text
    assert "state=connected: MISSING, came too early, as hook 1" in text
    assert "nothing came after hook 2" in text


async def test_none_fails_at_once(log: HookLog) -> None:
    """An unwelcome hook fails ``none`` when it comes, not when the time is over."""
    waiting = asyncio.create_task(Hooks(log).none("disconnected", during=3600))
    await asyncio.sleep(0)
    come(log, "disconnected")
    with pytest.raises(HookExpectationError, match="hook 1 is one"):
        async with asyncio.timeout(scaled(5)):
            await waiting


async def test_message(log: HookLog) -> None:
    """The message has what was expected, what came with the nearest first and marked, and what differs in it."""
    come(log, "connecting", "s1")
    come(log, "connected", "s2")
    come(log, "disconnected", "s3", reason=0)
    with pytest.raises(HookExpectationError) as error:
        await Hooks(log).expect("session", state="connected", id="s1", timeout=0)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("expected session state=connected id=s1 within 0 s: 3 came, nearest first")
    assert lines[2].split() == ["n", "session", "seq", "event", "state", "id", "came"]
    assert [line.split()[0] for line in lines[3:6]] == ["2", "1", "3"]
    assert lines[3].split()[4:6] == ["connected", "!s2"]
    assert lines[4].split()[4:6] == ["!connecting", "s1"]
    assert lines[-2:] == ["  - id: s1 (expected)", "  + id: s2"]
    assert str(error.value).isascii()


async def test_nothing_came(log: HookLog) -> None:
    """When nothing came at all the message says that, and no more."""
    with pytest.raises(HookExpectationError, match="no hook came at all"):
        await Hooks(log).expect("connected", timeout=0)


def test_a_long_table_is_cut(log: HookLog) -> None:
    """However much came, the message stays short."""
    for number in range(100):
        come(log, "connecting", f"s{number}" * 50)
    text = report("expected", Expectation.of("connected", id="x" * 500), list(log))
    assert f"and {100 - MAX_ROWS} more" in text
    assert len(text) < 10_000


def test_the_log_is_bounded() -> None:
    """The log keeps the latest hooks, under the numbers they have."""
    log = HookLog(kept=3)
    for _ in range(5):
        come(log, "connected")
    assert [hook.number for hook in log.since(0)] == [3, 4, 5]
