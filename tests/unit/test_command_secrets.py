"""Secrets reach a command without standing in its arguments, which every user of a machine can list."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest
from smproxy.cli import make_parser
from smproxy.commands.arguments import secret

SECRET = "s3cret word, 32 characters long…"


def test_where_a_secret_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from a variable, from a file's first line, from a line of standard input, or is written as it is."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\nmore\n")
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\nanother\n"))
    assert secret("env:JWT_SECRET") == secret(f"file:{file}") == secret("-") == secret(SECRET) == SECRET
    assert [secret(text) for text in ("env:", "file:", "environment:A", "")] == ["env:", "file:", "environment:A", ""]


@pytest.mark.parametrize("place", ["env:NOT_THERE_AT_ALL", "file:/not/there", "file:/", "file:/dev/null", "file:a\0b"])
def test_a_secret_that_is_not_there(place: str) -> None:
    """What names no secret is an error of the argument, which names the place."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"there is nothing in it|No such file|Is a directory|no text"):
        secret(place)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("token", "jwt", "env:S"), "secret"),
        (("token", "digest", "env:S", "cam"), "secret"),
        (("publish", "cam", "--token", "env:S"), "token"),
        (("subscribe", "cam", "--password", "env:S"), "password"),
        (("load", "--token", "env:S"), "token"),
        (("listen", "--secret", "env:S"), "secret"),
        (("check", "whip", "http://localhost/", "--token", "env:S"), "token"),
        (("replay", "file", "--password", "env:S"), "password"),
        (("faults", "list", "--token", "env:S"), "token"),
    ],
)
def test_every_command_takes_it(arguments: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a command takes a secret, it takes the name of a variable that has it."""
    monkeypatch.setenv("S", SECRET)
    assert getattr(make_parser().parse_args(arguments), name) == SECRET
