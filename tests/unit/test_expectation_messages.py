"""What a failed expectation says, which is the same in Python and in JavaScript: both are held to one file of messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from smproxy.testing import hook_log, hook_report
from smproxy.testing.hook_log import HookLog
from smproxy.testing.hooks import HookExpectationError, Hooks

MESSAGES = json.loads((Path(__file__).parents[1] / "expectations/messages.json").read_text())


def message(case: Mapping[str, Any]) -> str:
    """Return the message of a case; ``«null|None»`` stands for what the languages spell differently, Python's last."""
    return re.sub(r"«[^|»]*\|([^»]*)»", r"\1", "\n".join(case["message"]))


def log_of(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> HookLog:
    """Return a log of the case's events, each of which arrived when it happened."""
    log = HookLog()
    for event in MESSAGES["life"] if case["events"] == "life" else case["events"]:
        monkeypatch.setattr(hook_log, "monotonic", lambda arrived=event["ts"] / 1000: arrived)
        log.add(json.dumps(event).encode())
    monkeypatch.setattr(hook_report, "monotonic", lambda: MESSAGES["now"] / 1000)
    return log


@pytest.mark.parametrize("case", MESSAGES["cases"], ids=lambda case: case["name"].replace(" ", "-"))
async def test_message(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of each case is the one that both languages have; clients/js/test/messages.test.mjs is the other half."""
    log = log_of(case, monkeypatch)
    hooks = Hooks(log)

    async def look(find: Any, start: int, timeout: float) -> Any:
        return find(log.since(start))

    monkeypatch.setattr(hooks, "_wait", look)  # the time in the heading passes at once
    given = {name: case[name] for name in ("timeout", "during") if name in case}
    if "after" in case:
        given["after"] = log.since(0)[case["after"] - 1]
    fields = case.get("fields", {})
    calls = {
        "expect": lambda: hooks.expect(case["what"], **given, **fields),
        "order": lambda: hooks.expect_order(*case["steps"], **given, **fields),
        "none": lambda: hooks.none(case["what"], **given, **fields),
    }
    with pytest.raises((HookExpectationError, TypeError)) as failed:
        await calls[case["call"]]()
    assert str(failed.value) == message(case)
