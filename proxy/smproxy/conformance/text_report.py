"""The report for a terminal.

Control characters that a server sent are written out, so that they have no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from smproxy.conformance.check import Outcome, RequirementLevel, Result
from smproxy.conformance.exchange import Exchange, Protocol
from smproxy.conformance.runner import Report
from smproxy.printable import printable

#: Characters of a body, and lines, that a report shows.
_SHOWN_BODY = 400
_SHOWN_LINES = 8
_MARKS = {Outcome.PASSED: "pass", Outcome.FAILED: "FAIL", Outcome.NOT_JUDGED: "-"}
_HEADERS = ("content-type", "location", "etag", "if-match", "link", "retry-after", "www-authenticate", "authorization")


def row_lines(result: Result, protocol: Protocol, *, verbose: bool) -> Iterator[str]:
    """Write the lines of one row.

    Those of a failed row have also what was sent, what came, and the text of the standard.
    """
    check = result.check
    mark = (
        "warn"
        if result.outcome is Outcome.FAILED and check.level is not RequirementLevel.MUST
        else _MARKS[result.outcome]
    )
    yield f"{check.row:<6} {check.level:<6} {mark:<5} {check.title}" + (
        f" ({printable(result.detail)})" if result.detail and result.outcome is not Outcome.FAILED else ""
    )
    if result.outcome is Outcome.FAILED:
        yield f"       found    {printable(result.detail)}"
        yield f"       demanded {check.reference(protocol)}"
    if result.outcome is Outcome.FAILED or verbose:
        for exchange in result.exchanges if verbose else result.exchanges[-2:]:
            yield from _exchange_lines(exchange, verbose=verbose)


def _exchange_lines(exchange: Exchange, *, verbose: bool) -> Iterator[str]:
    sent = _size(exchange.request_body, exchange.request_headers)
    yield f"       sent     {exchange.method} {printable(exchange.url)}{sent}"
    yield from _header_lines(exchange.request_headers)
    if exchange.problem:
        yield f"       came     {printable(exchange.problem)}"
        return
    yield f"       came     {exchange.status} {printable(exchange.reason)}{_size(exchange.body, exchange.headers)}"
    yield from _header_lines(exchange.headers)
    if verbose or exchange.status >= 400:
        shown = exchange.body[:_SHOWN_BODY].splitlines()[:_SHOWN_LINES]
        yield from (f"                | {printable(line)}" for line in shown)


def _header_lines(headers: dict[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        if name.lower() in _HEADERS and name.lower() != "content-type":
            yield f"                {printable(name)}: {printable(value)}"


def _size(body: str, headers: dict[str, str]) -> str:
    if not body:
        return ""
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "no content type")
    return f", {printable(kind)}, {len(body)} characters"


def summary(report: Report) -> str:
    """Write the counts of each level in one line."""
    parts = []
    for level in (RequirementLevel.MUST, RequirementLevel.SHOULD):
        passed, failed, open_ = (report.count(level, outcome) for outcome in Outcome)
        parts.append(f"{level}: {passed} passed, {failed} failed, {open_} not judged")
    return "; ".join(parts)
