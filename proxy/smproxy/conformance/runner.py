"""Runs the checks one by one against one server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom

from smproxy.conformance import access, constraints, ice_updates, playback, session_end, session_setup
from smproxy.conformance.check import Check, Outcome, RequirementLevel, Result
from smproxy.conformance.exchange import NotJudged, Protocol, Violated
from smproxy.conformance.http import Http, NoAnswer
from smproxy.conformance.server import ServerUnderCheck

ALL = (
    *session_setup.CHECKS,
    *ice_updates.CHECKS,
    *session_end.CHECKS,
    *constraints.CHECKS,
    *access.CHECKS,
    *playback.CHECKS,
)
#: A row may take so many times the time of an answer: it makes several requests.
_ANSWERS_OF_A_ROW = 8


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, in order."""

    protocol: Protocol
    url: str
    results: tuple[Result, ...]

    def count(self, level: RequirementLevel, outcome: Outcome) -> int:
        """Count the rows of a level that ended so."""
        return sum(each.check.level is level and each.outcome is outcome for each in self.results)

    @property
    def conforms(self) -> bool:
        """Whether no MUST is failed, and at least one was met."""
        return (
            not self.count(RequirementLevel.MUST, Outcome.FAILED)
            and self.count(RequirementLevel.MUST, Outcome.PASSED) > 0
        )


def checks_of(
    protocol: Protocol, *, only: Collection[str] = (), before_publishing: bool = False, media: bool = True
) -> list[Check]:
    """Choose the checks of a protocol.

    ``only`` names rows, ``W8`` for all of W8.1, W8.2 and so on.

    Raises:
        ValueError: there is no such row.
    """
    of_protocol = [each for each in (*playback.BEFORE_PUBLISHING, *ALL) if protocol in each.protocols]
    for name in only:
        if not any(_is(name, each.row) for each in of_protocol):
            raise ValueError(f"there is no row {name} of {protocol.upper()}")
    pool = playback.BEFORE_PUBLISHING if before_publishing else ALL
    return [
        each
        for each in pool
        if protocol in each.protocols
        and (media or not each.media)
        and (not only or any(_is(name, each.row) for name in only))
    ]


def _is(name: str, row: str) -> bool:
    return row.lower() == name.lower() or row.lower().startswith(name.lower() + ".")


async def run(server: ServerUnderCheck, checks: Sequence[Check], done: Callable[[Result], None]) -> list[Result]:
    """Run the checks; ``done`` gets each result as it comes.

    Raises nothing for what a server does.
    """
    results = []
    for check in checks:
        result = await _run(server, check)
        done(result)
        results.append(result)
    return results


async def _run(server: ServerUnderCheck, check: Check) -> Result:
    started = time.monotonic()
    server.http.exchanges.clear()
    limit = server.timeout * _ANSWERS_OF_A_ROW + (server.consent if check.media else 0)
    try:
        async with asyncio.timeout(limit):
            remark = await check.run(server)
        outcome, detail = Outcome.PASSED, remark or ""
    except Violated as exc:
        outcome, detail = Outcome.FAILED, str(exc)
    except NotJudged as exc:
        outcome, detail = Outcome.NOT_JUDGED, str(exc)
    except NoAnswer as exc:
        outcome, detail = Outcome.FAILED, str(exc)
    except TimeoutError:
        outcome, detail = Outcome.FAILED, f"it took more than {limit:g} s"
    except Exception as exc:  # a broken server may bring out a mistake of the check: the other rows go on
        outcome, detail = Outcome.NOT_JUDGED, f"the check failed: {type(exc).__name__}: {exc}".splitlines()[0]
    exchanges = tuple(server.http.exchanges)
    await server.clean()
    return Result(check, outcome, detail, exchanges, time.monotonic() - started)


@asynccontextmanager
async def published(url: str, http: Http, timeout: float) -> AsyncIterator[None]:
    """Publish a test stream over WHIP, for the players of a check.

    Raises:
        NotJudged: it cannot be published; the text says why.
    """
    publishing = ServerUnderCheck("whip", url, http, rng=SystemRandom(), timeout=timeout, consent=timeout)
    try:
        await publishing.connect()
        yield
    finally:
        await publishing.clean()
