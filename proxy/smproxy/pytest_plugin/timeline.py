"""What happened to the sessions of a test, as plain text for its report."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from smproxy.embedded import EmbeddedSimulator

#: Sessions and lines of one report, and seconds that it may take to get a part of them.
MAX_SESSIONS: Final = 10
MAX_LINES: Final = 200
TIMEOUT: Final = 5.0


def write_timeline(embedded: EmbeddedSimulator, since_ms: int) -> str:
    """Write the timelines of the sessions that lived since then, the oldest first.

    Raises:
        OSError: The stream manager does not answer.
    """
    sessions: list[dict[str, Any]] = _get(embedded, f"/api/v1/sessions?limit={MAX_SESSIONS * 10}")["sessions"]
    ours = [each for each in sessions if each["endedAt"] is None or each["endedAt"] >= since_ms]
    lines: list[str] = []
    for session in reversed(ours[:MAX_SESSIONS]):
        entries = _get(embedded, f"/api/v1/sessions/{session['session']}/timeline")["entries"]
        lines += ["", _heading(session), *_packets(embedded, session), *_table(entries[-MAX_LINES:])]
    if len(ours) > MAX_SESSIONS:
        lines += ["", f"… and {len(ours) - MAX_SESSIONS} sessions before"]
    return "\n".join(lines[1:]) or "(nothing has connected)"


def _heading(session: dict[str, Any]) -> str:
    outcome = session.get("error") or session.get("reason")
    state = f"{session['state']} ({outcome})" if outcome else session["state"]
    return f"session {session['session']}: {session['role']} {session['id']!r} of {session['customerScope']}: {state}"


def _packets(embedded: EmbeddedSimulator, session: dict[str, Any]) -> list[str]:
    """Return where the packets of a session are when it has ended, if they are captured."""
    from smproxy.capture.file_name import file_name

    directory = embedded.settings.capture
    if directory is None or session["connectedAt"] is None:
        return []
    name = file_name(session["customerScope"], session["role"], session["id"], session["session"])
    return [f"  packets: {directory / name}"]


def _table(entries: list[dict[str, Any]]) -> list[str]:
    rows = [
        (_time(entry["at"]), entry["kind"], f"{entry['from']} → {entry['to']}", entry["title"], entry["detail"])
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).isoformat(timespec="milliseconds").partition("T")[2]


def _get(embedded: EmbeddedSimulator, path: str) -> Any:
    headers = {}
    if embedded.settings.admin_token:
        headers["Authorization"] = f"Bearer {embedded.settings.admin_token}"
    request = urllib.request.Request(embedded.rest_url + path, headers=headers)  # noqa: S310 - our own http URL
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=TIMEOUT) as answer:
        return json.load(answer)
