"""Which transitions, errors, reasons, close codes and refusals a run of tests reaches: ``make states`` writes the table.

As a plugin of pytest (``-p tests.states``) it notes what is reached in ``$STATES_FOLDER/PID.json``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Any

from aiohttp.web import WebSocketResponse
from smproxy import http_head
from smproxy.manager import listener
from smproxy.manager.relay import frames
from smproxy.manager.whip import problem as whip_problem
from smproxy.signaling import http_exchange
from smproxy.signaling.payloads import ConnectError, Reason
from smproxy.signaling.session import TABLE, SessionLife

PAGE = Path(__file__).parent.parent / "docs" / "guarantees.md"
START, END = "<!-- states: written by make states -->", "<!-- end of states -->"

#: Close codes that docs/signaling.md and docs/hooks.md tell of.
CLOSE_CODES = (1000, 1001, 1002, 1007, 1008, 1009, 1011, 1013, 1014)
#: Statuses that docs/signaling.md and docs/whip.md tell of.
REFUSALS = (400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 426, 428, 431, 502, 503)

_reached: Counter[str] = Counter()
_suite = ["?"]


def known() -> list[str]:
    """Return all that can be reached, as the table has it."""
    transitions = [f"transition {phase.name} + {event.name.lower()}" for phase, event in TABLE]
    errors = [_named("error", each) for each in ConnectError]
    reasons = [_named("reason", each) for each in Reason]
    return [
        *transitions,
        *errors,
        *reasons,
        *(f"close code {code}" for code in CLOSE_CODES),
        *(f"refusal {status}" for status in REFUSALS),
    ]


def listed() -> list[str]:
    """Return what the table of the page has."""
    table = PAGE.read_text().partition(START)[2].partition(END)[0]
    return re.findall(r"^\| ([a-z][^|]*?) \|", table, re.MULTILINE)[1:]


def _named(kind: str, value: IntEnum) -> str:
    return f"{kind} {int(value)} {value.name.lower()}"


# the plugin -----------------------------------------------------------------------------------------------------------


def pytest_configure() -> None:
    """Note what is reached from now on."""
    feed = SessionLife._feed

    @wraps(feed)
    def noting(self: SessionLife, event: Any, **details: Any) -> list[Any]:
        phase = self.phase
        payloads = feed(self, event, **details)
        if (phase, event) in TABLE:
            _note(f"transition {phase.name} + {event.name.lower()}")
        for payload in payloads:
            if getattr(payload, "error", None) is not None and isinstance(payload.error, ConnectError):
                _note(_named("error", payload.error))
            if getattr(payload, "reason", None) is not None:
                _note(_named("reason", Reason(payload.reason)))
        return payloads

    SessionLife._feed = noting  # type: ignore[method-assign]
    _wrap(frames, "close_frame", lambda code, *_, **__: _note(f"close code {int(code)}"))
    _wrap(WebSocketResponse, "close", lambda *_, code=1000, **__: _note(f"close code {int(code)}"))
    _wrap(http_exchange, "problem", lambda status, *_, **__: _note(f"refusal {status}"))
    _wrap(listener.Connection, "refuse", lambda _, status, *__, **___: _note(f"refusal {status}"))
    _wrap(http_head.BadRequest, "__init__", lambda _, status, *__, **___: _note(f"refusal {status}"))
    _wrap(whip_problem.Problem, "__init__", lambda _, status, *__, **___: _note(f"refusal {status}"))


def pytest_runtest_logstart(nodeid: str) -> None:
    """Note which suite runs."""
    _suite[0] = nodeid.split("/")[1] if "/" in nodeid else "?"


def pytest_sessionfinish() -> None:
    """Write what was reached."""
    folder = Path(os.environ["STATES_FOLDER"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{os.getpid()}.json").write_text(json.dumps(_reached))


def _note(what: str) -> None:
    _reached[f"{_suite[0]}\t{what}"] += 1


def _wrap(owner: Any, name: str, seen: Callable[..., None]) -> None:
    inner = getattr(owner, name)

    @wraps(inner)
    def outer(*arguments: Any, **options: Any) -> Any:
        seen(*arguments, **options)
        return inner(*arguments, **options)

    for module in [owner, *(each for each in sys.modules.values() if each.__name__.startswith("smproxy"))]:
        if getattr(module, name, None) is inner:
            setattr(module, name, outer)


# the table ------------------------------------------------------------------------------------------------------------


def write(folder: Path) -> list[str]:
    """Write the table of what was reached; return what nobody reached."""
    reached: dict[str, Counter[str]] = {}
    for path in folder.glob("*.json"):
        for key, count in json.loads(path.read_text()).items():
            suite, _, what = key.partition("\t")
            reached.setdefault(what, Counter())[suite] += count
    rows = ["| what | reached by |", "| --- | --- |"]
    for what in known():
        suites = ", ".join(sorted(reached.get(what, {}))) or "nobody"
        rows.append(f"| {what} | {suites} |")
    head, _, rest = PAGE.read_text().partition(START)
    PAGE.write_text(f"{head}{START}\n" + "\n".join(rows) + f"\n{END}{rest.partition(END)[2]}")
    return [what for what in known() if what not in reached]


if __name__ == "__main__":
    left = write(Path(sys.argv[1]))
    print("\n".join(f"nobody reaches {what}" for what in left) or "all is reached")
