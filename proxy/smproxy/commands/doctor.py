"""``smproxy doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
from pathlib import Path

from smproxy.commands.output import FAILED, OK, USAGE, CommandError, coloured, write

_COLOURS = {"works": "32", "missing": "33", "failed": "31"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy doctor``."""
    parser.add_argument("--port", action="append", metavar="PORT", help="a port to look at (else that of serve)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="the directory to look at (else that of serve)")
    parser.add_argument("--skip", action="append", default=[], metavar="NAME", help="leave this out, such as media")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Look at everything; return 1 when something that is needed does not work.

    Raises:
        CommandError: the settings cannot be used.
    """
    from smproxy.commands.checkup import CHECKUPS, Finding, names
    from smproxy.settings import SettingsError, load_settings

    unknown = sorted(set(arguments.skip).difference(names()))
    if unknown:
        raise CommandError(f"--skip {unknown[0]!r}: there are {', '.join(names())}", USAGE)
    data_dir = None if arguments.data_dir is None else str(arguments.data_dir)
    flags = {"port": arguments.port, "data_dir": data_dir, "config": arguments.config_file}
    try:
        settings = load_settings(flags, os.environ)
    except SettingsError as error:
        raise CommandError(str(error), USAGE) from None
    logging.disable()  # the findings say it

    def show(finding: Finding) -> None:
        if arguments.json:
            write(json.dumps(dataclasses.asdict(finding), ensure_ascii=False))
            return
        status = coloured(f"{finding.status:<9}", _COLOURS[finding.status])
        advice = f": {finding.advice}" if finding.advice else ""
        write(f"{finding.name:<26} {finding.detail}{advice}", before=status)

    async def look() -> bool:
        healthy = True
        for name, checkup in zip(names(), CHECKUPS, strict=True):
            if name not in arguments.skip:
                for finding in await checkup(settings):
                    show(finding)
                    healthy = healthy and finding.status != "failed"
        return healthy

    try:
        return OK if asyncio.run(look()) else FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        logging.disable(logging.NOTSET)
