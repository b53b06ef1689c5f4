"""What docs/control-api.md says is what the code does."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import msgspec
import pytest
from smproxy.cli import make_parser
from smproxy.manager.headless.clients import MAX_CLIENTS
from smproxy.manager.rest import headless, wait
from smproxy.manager.rest.headless import PublisherAsked, SubscriberAsked
from smproxy.manager.rest.operations import OPERATIONS
from smproxy.manager.rest.reset import ResetView
from smproxy.manager.rest.wait import NotYet
from smproxy.manager.views import HeadlessSubscriberView, SessionView
from smproxy.signaling.payloads import ConnectError, Reason

PAGE = (Path(__file__).parents[2] / "docs/control-api.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def command(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    choices = next(action.choices for action in make_parser()._actions if isinstance(action.choices, dict))
    parser = choices[name]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def test_every_call_is_named() -> None:
    """Each part of the API has a line in the table of calls."""
    table = PAGE[PAGE.index("| call | answer |") : PAGE.index("Times are Unix")]
    for operation in OPERATIONS:
        first = operation.path.split("/")[1]
        assert f"/{first}" in table or first == "openapi.json", operation.path
    assert "/api/v1/openapi.json" in PAGE


def test_the_session() -> None:
    """The example of a session has every field, and the values of ``reason`` and ``error`` are all named."""
    example = msgspec.json.decode(EXAMPLES[0], type=SessionView)
    assert set(json.loads(EXAMPLES[0])) == set(SessionView.__struct_encode_fields__)
    assert example.tracks[0].bitrate
    for value in (*Reason, *ConnectError):
        assert f"`{value.name.lower()}`" in PAGE


def test_the_other_answers() -> None:
    """The examples of a wait in vain and of a reset have the fields of those answers."""
    nearest, reset = (json.loads(example) for example in (EXAMPLES[1], EXAMPLES[3]))
    assert set(nearest) == set(NotYet.__struct_encode_fields__) - {"timestamp"}
    assert msgspec.convert(reset, ResetView)
    assert set(reset) == set(ResetView.__struct_encode_fields__)


def test_a_headless_client() -> None:
    """The example of a subscriber that the server runs has every field; those that may be asked for are all in the table."""
    assert msgspec.json.decode(EXAMPLES[2], type=HeadlessSubscriberView).decoded
    assert set(json.loads(EXAMPLES[2])) == set(HeadlessSubscriberView.__struct_encode_fields__)
    section = PAGE[PAGE.index("## Headless clients") : PAGE.index("## Reset")]
    for kind in (PublisherAsked, SubscriberAsked):
        for name in kind.__struct_encode_fields__:
            assert f"`{name}`" in section, name
    assert f"At most {MAX_CLIENTS} run" in section
    assert f"(default {headless.DEFAULT_TIMEOUT:g}, at most {headless.MAX_TIMEOUT:g})" in section


def test_the_parameters_of_a_wait() -> None:
    """The table of a wait has its parameters and no other, and its limits."""
    table = PAGE[PAGE.index("| parameter | lets through |") : PAGE.index("take several values")]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| ([^|]+) \|", table)))) - {"parameter"}
    assert named == set(wait.FILTERS)
    assert f"at most {wait.MAX_TIMEOUT:g}; default {wait.DEFAULT_TIMEOUT:g}" in table


@pytest.mark.parametrize("name", ["replay", "sessions"])
def test_the_options(name: str) -> None:
    """Each option of a command is described, and there is no other in its section."""
    start = PAGE.index(f"## `smproxy {name}`")
    section = PAGE[start : PAGE.find("\n## ", start + 1)]
    parsers = [command(name)]
    for action in parsers[0]._actions:
        if isinstance(action.choices, dict):
            parsers = list(action.choices.values())
    options = {text for parser in parsers for action in parser._actions for text in action.option_strings}
    assert options - {"-h", "--help"} == set(re.findall(r"--[a-z][a-z-]*", section))
