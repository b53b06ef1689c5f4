"""Every command that prints data prints it as JSON, too."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from smproxy.cli import make_parser

#: Commands that have it otherwise: ``--log-format json``, JSON Lines always, packets, and scripts.
OTHERWISE = {"serve", "sessions export", "capture", "completion"}


def leaves(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each command with its name."""
    subcommands = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subcommands:
        yield name.strip(), parser
    for action in subcommands:
        for each, below in action.choices.items():
            yield from leaves(below, f"{name} {each}")


def test_json_everywhere() -> None:
    """Each command has ``--json``, but for those that are JSON by themselves."""
    without = {name for name, parser in leaves(make_parser()) if "--json" not in parser._option_string_actions}
    assert without <= OTHERWISE


def test_the_page() -> None:
    """docs/commands.md has the three exit codes, and names what has no ``--json``."""
    page = (Path(__file__).parents[2] / "docs/commands.md").read_text()
    for code in (0, 1, 2):
        assert f"\n| {code} | " in page
    assert "`--log-format json`" in page
    assert "`sessions export` always" in page
