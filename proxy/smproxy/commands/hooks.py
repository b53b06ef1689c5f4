"""``smproxy hooks``: look into the journal, send events again, or send synthetic ones."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from smproxy.commands.answers import Resent, Triggered
from smproxy.commands.api import Api
from smproxy.commands.arguments import (
    DEFAULT_DATA_DIR,
    add_command,
    add_commands,
    add_instance_arguments,
    run_chosen,
    session_number,
)
from smproxy.commands.output import OK, USAGE, CommandError, write, write_json
from smproxy.commands.parse_time import milliseconds
from smproxy.signaling.hook_names import INTERNAL_STATES, STATES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands of ``smproxy hooks``."""
    commands = add_commands(parser)
    listing = add_command(commands, "list", _list, "list the latest events", "List the latest events of a journal.")
    _add_place(listing)
    _add_filters(listing)
    dead = add_command(
        commands, "dead", _dead, "list events that a sink gave up", "List dead letters, with the reasons."
    )
    _add_place(dead)
    _add_filters(dead)
    show = add_command(
        commands, "show", _show, "show one event and its attempts", "Show one event and what became of it."
    )
    show.add_argument("uuid", metavar="UUID", help="the event's uuid")
    _add_place(show)
    show.add_argument("--json", action="store_true", help="print it as one JSON object")
    resend = add_command(
        commands, "resend", _resend, "send an event again", "Have the running instance send events again."
    )
    resend.add_argument("uuid", nargs="?", metavar="UUID", help="the event's uuid")
    resend.add_argument("--dead", action="store_true", help="all that were given up")
    resend.add_argument("--sink", metavar="NAME", help="to this sink only, as `smproxy hooks show` names it")
    add_instance_arguments(resend, as_json="print one JSON object")
    trigger = add_command(
        commands,
        "trigger",
        _trigger,
        "send a synthetic event",
        "Have the running instance send a synthetic event: session, peer, remote_track, local_track, recording, "
        "or a state such as connected or peer_joined.",
    )
    trigger.add_argument("event", metavar="EVENT", help="an event or a state")
    trigger.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUE",
        help="a field of the payload or the connection, for instance customerScope=acme; may be repeated",
    )  # fmt: skip
    add_instance_arguments(trigger, as_json="print the event as it is sent")


run = run_chosen


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="the instance's --data-dir (default SMPROXY_DATA_DIR, else .smproxy)",
    )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--customer-scope", metavar="SCOPE", help="only this customerScope")
    parser.add_argument("--id", metavar="ID", help="only connections with this id")
    parser.add_argument("--session", type=session_number, metavar="N", help="only this session")
    parser.add_argument("--event", type=_event, metavar="EVENT", help="only this event, for instance session or peer")
    parser.add_argument(
        "--state", type=_state, metavar="STATE", help="only this state, for instance connected or peer_joined"
    )
    parser.add_argument(
        "--since", metavar="TIME", help="from then on: 10m (ago), 2026-11-21T20:15:00, or Unix milliseconds"
    )
    parser.add_argument("--until", metavar="TIME", help="up to then")
    parser.add_argument("--internal", action="store_true", help="also events that only other formats tell")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="the latest so many (default 100)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def _list(arguments: argparse.Namespace) -> int:
    from smproxy.commands.journal import found

    for event in found(arguments.data_dir or DEFAULT_DATA_DIR, _filters(arguments)):
        _print_event(event, arguments.json)
    return OK


def _dead(arguments: argparse.Namespace) -> int:
    from smproxy.commands.journal import found_dead

    for event in found_dead(arguments.data_dir or DEFAULT_DATA_DIR, _filters(arguments)):
        if arguments.json:
            write_json(event)
            continue
        _print_event(event, False)
        _print_deliveries(event, only_dead=True)
    return OK


def _show(arguments: argparse.Namespace) -> int:
    from smproxy.commands.journal import one

    event = one(arguments.data_dir or DEFAULT_DATA_DIR, arguments.uuid)
    if arguments.json:
        write_json(event)
        return OK
    _print_event(event, False)
    shown = {key: value for key, value in event.items() if key not in {"id", "deliveries"}}
    for line in json.dumps(shown, indent=2).splitlines():
        write(line)
    _print_deliveries(event)
    return OK


def _resend(arguments: argparse.Namespace) -> int:
    if (arguments.uuid is None) != arguments.dead:
        raise CommandError("give either the UUID of an event or --dead", USAGE)
    api = Api.asked(arguments)
    answer = api.call("POST", arguments.uuid or "dead", "resend", shape=Resent, query={"sink": arguments.sink})
    count = int(answer["resent"])
    if arguments.json:
        write_json({"resent": count})
    else:
        write(f"{count} {'delivery' if count == 1 else 'deliveries'} will be made again.")
    return OK


def _trigger(arguments: argparse.Namespace) -> int:
    params: dict[str, Any] = {}
    for pair in arguments.param:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise CommandError(f"--param {pair!r}: it takes KEY=VALUE", USAGE)
        params[key] = None if value == "null" else value
    event = Api.asked(arguments).call(
        "POST", "trigger", shape=Triggered, body={"event": arguments.event, "params": params}
    )
    if arguments.json:
        write_json(event)
    else:
        _print_event(event, False)
        write(f"uuid {event['uuid']}")
    return OK


def _event(text: str) -> str:
    if text not in (*STATES, *INTERNAL_STATES):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(STATES)}")
    return text


def _state(text: str) -> str:
    known = [state for states in STATES.values() for state in states]
    internal = [state for states in INTERNAL_STATES.values() for state in states]
    if text not in known + internal:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}")
    return text


def _filters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the query."""
    if not 0 < arguments.limit <= 1_000_000:
        raise CommandError("--limit takes a whole number from 1 to 1000000", USAGE)
    now = time.time()
    times: dict[str, int | None] = {}
    for name in ("since", "until"):
        text = getattr(arguments, name)
        try:
            times[f"{name}_ms"] = None if text is None else milliseconds(text, now)
        except ValueError as error:
            raise CommandError(f"--{name}: {error}", USAGE) from None
    return {
        "customer_scope": arguments.customer_scope,
        "connection_id": arguments.id,
        "session": arguments.session,
        "event": arguments.event,
        "state": arguments.state,
        "internal": arguments.internal,
        "limit": arguments.limit,
        **times,
    }


def _print_event(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(event)
        return
    from smproxy.commands.describe import describe

    write(f"{describe(event, date=True)}  {event['uuid']}")


def _print_deliveries(event: dict[str, Any], *, only_dead: bool = False) -> None:
    from smproxy.commands.describe import clock

    for delivery in event["deliveries"]:
        if only_dead and delivery["state"] != "dead":
            continue
        tries = delivery["tries"]
        attempts = f"{tries} attempt{'' if tries == 1 else 's'}"
        write(f"  {delivery['sink']}: {delivery['state']} after {attempts}")
        for attempt in delivery["attempts"]:
            at = clock(attempt["at"], date=True)
            write(f"    {at} {attempt['outcome']:<9} {attempt['tookMs']:>5} ms  {attempt['detail']}".rstrip())
