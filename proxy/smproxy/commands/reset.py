"""``smproxy reset``: end and forget everything at a running instance."""

from __future__ import annotations

import argparse

from smproxy.commands.answers import ResetAnswer
from smproxy.commands.api import TIMEOUT, Api
from smproxy.commands.arguments import add_instance_arguments, seconds
from smproxy.commands.output import FAILED, OK, write, write_json

_KEPT = ("hooks", "faults", "sinks")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``smproxy reset``."""
    parser.add_argument("--keep", action="append", choices=_KEPT, default=[], help="spare these; may be repeated")
    parser.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="how long all of it may take (default 5, at most 30)"
    )
    add_instance_arguments(parser, as_json="print the answer as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """End and forget everything; return 1 when connections or deliveries were left."""
    query = {name: "keep" for name in _KEPT if name in arguments.keep}
    if arguments.timeout is not None:
        query["timeout"] = f"{arguments.timeout:g}"
    api = Api.asked(arguments, "/api/v1/reset", patience=TIMEOUT + (arguments.timeout or 0.0))
    answer = api.call("POST", shape=ResetAnswer, query=query)
    if arguments.json:
        write_json(answer)
    else:
        counts = ", ".join(f"{answer[name]} {name}" for name in ("sessions", "hooks", "faults", "clients", "sinks"))
        write(f"ended and forgotten in {answer['tookMs']} ms: {counts}")
        if not answer["complete"]:
            left = (
                f"{answer['undelivered']} hooks were not delivered"
                if answer["undelivered"]
                else "connections were left"
            )
            write(f"{left} when the time was over: --timeout gives more, a receiver that fails is never done")
    return OK if answer["complete"] else FAILED
