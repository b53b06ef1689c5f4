"""``smproxy sessions``: list, show and export the sessions of a running instance."""

from __future__ import annotations

import argparse
import json
from typing import Any

from smproxy.commands.answers import TimelineLines
from smproxy.commands.api import Api
from smproxy.commands.arguments import (
    add_command,
    add_commands,
    add_instance_arguments,
    add_session_argument,
    run_chosen,
)
from smproxy.commands.output import OK, write, write_json
from smproxy.manager.views import SessionList, SessionView

STATES = ("connecting", "connected", "reconnecting", "disconnected", "failed")

_SECONDS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands of ``smproxy sessions``."""
    commands = add_commands(parser)
    listing = add_command(
        commands, "list", _list, "list sessions, also ended ones", "List the latest sessions, the oldest first."
    )
    listing.add_argument("--state", choices=STATES, help="only in this state")
    listing.add_argument("--role", choices=("publisher", "subscriber"), help="only of this role")
    listing.add_argument("--id", metavar="ID", help="only connections with this id")
    listing.add_argument("--customer-scope", metavar="SCOPE", help="only this customerScope")
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="the latest so many (default 100)")
    add_instance_arguments(listing, as_json="print one JSON object a line")
    show = add_command(
        commands, "show", _show, "show one session", "Show one session: what it is, its media, and what happened when."
    )
    add_session_argument(show)
    add_instance_arguments(show, as_json="print it as one JSON object, with its timeline")
    export = add_command(
        commands,
        "export",
        _export,
        "write what was said, for a bug report or smproxy replay",
        "Write what was said in a session as JSON Lines, without passwords and tokens of its URL.",
    )
    add_session_argument(export)
    add_instance_arguments(export)


run = run_chosen


def _list(arguments: argparse.Namespace) -> int:
    query = {
        "state": arguments.state, "role": arguments.role, "id": arguments.id, "customerScope": arguments.customer_scope,
        "limit": str(arguments.limit),
    }  # fmt: skip
    answer = _api(arguments).call("GET", shape=SessionList, query=query)
    for view in reversed(answer["sessions"]):
        if arguments.json:
            write_json(view)
        else:
            write(_line(view))
    return OK


def _show(arguments: argparse.Namespace) -> int:
    api = _api(arguments)
    number = api.chosen_session(arguments.session)
    view = api.call("GET", number, shape=SessionView)
    timeline = api.call("GET", number, "timeline", shape=TimelineLines)
    if arguments.json:
        write_json(view | {"timeline": timeline["entries"]})
        return OK
    from smproxy.commands.describe import clock

    write(_line(view))
    for key, value in view.items():
        if value not in (None, [], False) and key not in {"session", "state", "tracks", "startedAt", "endedAt"}:
            write(f"  {key:<14} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    for track in view["tracks"]:
        write(f"  {_track(track)}")
    for entry in timeline["entries"]:
        what = f"{entry['from']} → {entry['to']}"
        line = f"  {clock(entry['at'])} {entry['kind']:<9} {what:<18} {entry['title']}  {entry['detail']}"
        write(line.rstrip())
    return OK


def _export(arguments: argparse.Namespace) -> int:
    api = _api(arguments)
    for line in api.lines(api.chosen_session(arguments.session), "frames", query={"header": "true"}):
        write(line)
    return OK


def _api(arguments: argparse.Namespace) -> Api:
    return Api.asked(arguments, "/api/v1/sessions")


def _line(view: dict[str, Any]) -> str:
    """Return one readable line for a session."""
    from smproxy.commands.describe import clock

    why = view["error"] or view["reason"] or ""
    took = f"{view['durationMs'] / _SECONDS:.1f} s"
    return (
        f"{clock(view['startedAt'], date=True)} {view['customerScope'] or '-':<8} {view['id'] or '-':<12} "
        f"{view['session']:<16} {view['role']:<10} {view['state']:<12} {took:>8}  {why}"
    ).rstrip()


def _track(track: dict[str, Any]) -> str:
    size = f" {track['width']}x{track['height']}" if track["width"] else ""
    rate = f"{track['bitrate'] / 1000:.0f} kbit/s"
    counts = f"{track['packets']} packets, {track['lost']} lost, {track['bytes']} bytes"
    return f"{track['track']:<14} {track['direction']} {track['codec']}{size} {rate}, {counts}"
