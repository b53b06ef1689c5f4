"""``smproxy nodes``: list, add and change the nodes of a running instance."""

from __future__ import annotations

import argparse
from typing import Any

from smproxy.commands.api import Api
from smproxy.commands.arguments import add_command, add_commands, add_instance_arguments, run_chosen, seconds
from smproxy.commands.output import write, write_json
from smproxy.manager.views import NodeList, NodeView

_ACTIONS = {
    "drain": "take no new clients",
    "undrain": "take new clients again",
    "sunset": "take no new clients, and end with the last session or when the time is up",
    "fault": "be lost with all sessions",
    "recover": "start again after a fault",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands of ``smproxy nodes``."""
    commands = add_commands(parser)
    add_command(commands, "list", _list, "list nodes", "List the nodes and what they carry.")
    add = add_command(commands, "add", _add, "add a node", "Add a simulated node; needs serve --nodes.")
    add.add_argument("--region", metavar="NAME", help="its region (default local)")
    add.add_argument("--role", choices=("origin", "edge"), default="origin", help="edge: for subscribers only")
    add.add_argument("--start", type=seconds, metavar="SECONDS", help="until it is in service (else --node-start)")
    for action, text in _ACTIONS.items():
        change = add_command(commands, action, _change, f"have a node {text}", f"Have a node {text}.")
        change.add_argument("node", metavar="NODE", help="its id or address, such as node2")
        if action == "sunset":
            change.add_argument("--within", type=seconds, dest="seconds", metavar="SECONDS", help="end it by then")
        elif action == "fault":
            change.add_argument(
                "--unnoticed", type=seconds, dest="seconds", metavar="SECONDS", help="still send clients there so long"
            )
        change.set_defaults(action=action)
    for command in commands.choices.values():
        add_instance_arguments(command, as_json="print one JSON object a line")


run = run_chosen


def _list(arguments: argparse.Namespace) -> None:
    for view in Api.asked(arguments, "/api/v1/nodes").call("GET", shape=NodeList)["nodes"]:
        _print(arguments, view)


def _add(arguments: argparse.Namespace) -> None:
    body = {"region": arguments.region, "role": arguments.role, "start": arguments.start}
    _print(arguments, Api.asked(arguments, "/api/v1/nodes").call("POST", shape=NodeView, body=body))


def _change(arguments: argparse.Namespace) -> None:
    given = getattr(arguments, "seconds", None)
    query = {"seconds": None if given is None else f"{given:g}"}
    view = Api.asked(arguments, "/api/v1/nodes").call(
        "POST", arguments.node, arguments.action, shape=NodeView, query=query
    )
    _print(arguments, view)


def _print(arguments: argparse.Namespace, view: dict[str, Any]) -> None:
    if arguments.json:
        write_json(view)
        return
    write(
        f"{view['id']:<10} {view['address']:<15} {view['region']:<12} {view['role']:<6} {view['state']:<21} "
        f"{view['publishers']:>4} publishers {view['subscribers']:>5} subscribers"
        + (f" {view['pulls']:>4} pulls" if view.get("pulls") else "")
    )
