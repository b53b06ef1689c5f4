"""The parser of the command line, whose errors name the option that was meant."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from smproxy.printable import printable


class CommandParser(argparse.ArgumentParser):
    """An argument parser that shows what an argument has of control characters."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message + _meant(message)))

    # Each command is a parser, and the one that an argument was for refuses it: argparse has the first of all do that, whose
    # usage says nothing about it.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._refused(unknown))
        return known, unknown

    def _refused(self, unknown: Sequence[str]) -> str:
        option = next((each.partition("=")[0] for each in unknown if each.startswith("-")), None)
        if option is None:
            return f"unrecognized arguments: {' '.join(unknown)}"
        near = difflib.get_close_matches(option, self._option_string_actions, 1)
        return f"there is no option {option}: " + (f"did you mean {near[0]}?" if near else f"see {self.prog} --help")


def _meant(message: str) -> str:
    """Return which of the choices that an error lists may be meant."""
    wrong = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)$", message, re.DOTALL)
    near = difflib.get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), 1) if wrong else []
    return f": did you mean {near[0]}?" if near else ""
