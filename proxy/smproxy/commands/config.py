"""``smproxy config``: print a configuration file with every option."""

from __future__ import annotations

import argparse
import json

from smproxy.commands.output import OK, USAGE, CommandError, write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy config``."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="check this file instead, and print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print the options with their defaults as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the reference, or check a file.

    Raises:
        CommandError: the file cannot be used.
    """
    from smproxy.settings import SettingsError, default_of, load_settings
    from smproxy.settings.options import OPTIONS
    from smproxy.settings.reference import config_reference
    from smproxy.settings.toml_file import key_of

    if arguments.file is not None:
        try:
            load_settings({"config": arguments.file}, {})
        except SettingsError as error:
            raise CommandError(str(error), USAGE) from None
        return OK
    if arguments.json:
        options = [
            {"option": key, "default": default_of(option) or None, "help": option.help, "several": option.repeatable}
            for option in OPTIONS
            if (key := key_of(option)) is not None
        ]
        write(json.dumps({"options": options}))
        return OK
    for line in config_reference().splitlines():
        write(line)
    return OK
