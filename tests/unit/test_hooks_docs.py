"""The hook reference says what the code does."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest
from smproxy.hooks.event import HookEvent, encode
from smproxy.hooks.journal import FILE_NAME
from smproxy.signaling.payloads import ConnectError, Connection, Reason, Role, SessionPayload

TEXT = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")


def fenced(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_sample_is_what_is_sent() -> None:
    """The sample message, without its spaces, is to the byte what the encoder makes of that event."""
    sample = json.loads(fenced("json"))
    connection = {**sample["connection"], "role": Role(sample["connection"]["role"])}
    connection["customer_scope"] = connection.pop("customerScope")
    event = HookEvent(
        **{**sample, "payload": SessionPayload(**sample["payload"]), "connection": Connection(**connection)}
    )
    assert encode(event).body == json.dumps(sample, separators=(",", ":")).encode()
    assert uuid.UUID(sample["uuid"]).int >> 80 == sample["ts"]


def test_the_receiver_example_is_valid() -> None:
    """The example receiver compiles and is no longer than promised."""
    code = fenced("python")
    compile(code, "docs/hooks.md", "exec")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize(("heading", "numbers"), [("reason", Reason), ("error", ConnectError)])
def test_all_numbers_are_listed(heading: str, numbers: type[Reason | ConnectError]) -> None:
    """The tables of reasons and errors hold exactly the numbers that exist."""
    match = re.search(rf"^\| `{heading}` \|.*\n\|[ -|]*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert match is not None
    assert [int(row.split("|")[1]) for row in match[1].splitlines()] == [number.value for number in numbers]


def test_the_journal_is_named() -> None:
    """The page names the file that the journal is in."""
    assert FILE_NAME in TEXT
