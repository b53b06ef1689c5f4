"""``smproxy faults``: list faults of a running instance, switch them on and off."""

from __future__ import annotations

import argparse
from typing import Any

from smproxy.commands.answers import FaultAnswer, FaultsAnswer, KindsAnswer, RemovedAnswer
from smproxy.commands.api import Api
from smproxy.commands.arguments import add_command, add_commands, add_instance_arguments, run_chosen
from smproxy.commands.output import USAGE, CommandError, write, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands of ``smproxy faults``."""
    commands = add_commands(parser)
    add_command(commands, "list", _list, "list faults that are on", "List the faults that are on.")
    add_command(commands, "kinds", _kinds, "list faults that there are", "List the kinds of faults.")
    add = add_command(commands, "add", _add, "switch a fault on", "Switch a fault on.")
    add.add_argument(
        "fault",
        metavar="KIND[:KEY=VALUE…]",
        help="as in simulate=; also id, customerScope, role, app, count, probability, seed, ttl",
    )
    clear = add_command(commands, "clear", _clear, "switch faults off", "Switch one fault off, or all.")
    clear.add_argument("fault", nargs="?", metavar="ID", help="its id, such as f1 (default: all)")
    for command in commands.choices.values():
        add_instance_arguments(command, as_json="print one JSON object a line")


run = run_chosen


def _list(arguments: argparse.Namespace) -> None:
    for fault in Api.asked(arguments, "/api/v1/faults").call("GET", shape=FaultsAnswer)["faults"]:
        _print(arguments, fault)


def _kinds(arguments: argparse.Namespace) -> None:
    for kind in Api.asked(arguments, "/api/v1/faults").call("GET", "kinds", shape=KindsAnswer)["kinds"]:
        if arguments.json:
            write_json(kind)
            continue
        parameters = " ".join(f"{each['name']}={each['default']}" for each in kind["parameters"])
        write(f"{kind['fault']:<22} {kind['layer']:<10} {parameters}".rstrip())


def _add(arguments: argparse.Namespace) -> None:
    from smproxy.faults.parameter import FaultError
    from smproxy.faults.written import read_fault

    try:
        body = read_fault(arguments.fault).as_json()
    except FaultError as error:
        raise CommandError(f"not switched on: {error}", USAGE) from None
    _print(arguments, Api.asked(arguments, "/api/v1/faults").call("POST", shape=FaultAnswer, body=body))


def _clear(arguments: argparse.Namespace) -> None:
    path = () if arguments.fault is None else (arguments.fault,)
    answer = Api.asked(arguments, "/api/v1/faults").call("DELETE", *path, shape=RemovedAnswer)
    if arguments.json:
        write_json(answer)
    else:
        write(f"{answer['removed']} switched off")


def _print(arguments: argparse.Namespace, fault: dict[str, Any]) -> None:
    if arguments.json:
        write_json(fault)
        return
    matched = {key: value for key, value in fault["match"].items() if value is not None}
    given = {**matched, **_given(fault["fault"], fault["parameters"])}
    state = "on" if fault["active"] else "used up"
    if fault.get("left") is not None:
        given["ttl"] = f"{fault['ttl']:g} (ends in {fault['left']:.0f} s)"
    text = " ".join(f"{key}={value}" for key, value in given.items())
    counts = f"used {fault['used']:<4} injected {fault['injected']:<4}"
    write(f"{fault['id']:<4} {fault['fault']:<22} {state:<7} {counts} {text}".rstrip())


def _given(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has its default."""
    from smproxy.faults.catalog import KINDS

    kind = KINDS.get(name)
    defaults = {} if kind is None else {parameter.name: parameter.default for parameter in kind.parameters}
    return {key: value for key, value in parameters.items() if key not in defaults or value != defaults[key]}
