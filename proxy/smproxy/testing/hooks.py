"""Expectations about hooks: that one comes, that some come in an order, that none comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from smproxy.testing.expectation import Expectation, Step
from smproxy.testing.hook_log import Hook, HookLog
from smproxy.testing.hook_report import report

T = TypeVar("T")

#: Seconds that a hook is waited for.
TIMEOUT: Final = 5.0
#: Seconds in which a hook that must not come could come.
QUIET: Final = 0.25


class HookExpectationError(AssertionError):
    """Hooks were not as expected.

    The message holds a table of what came and how the nearest differs.
    """


class Expectations:
    """The expectations about the hooks of a log.

    Each looks at what came already, then at what comes.

    Fields have the names of the message's JSON, without a path: ``id``, ``customerScope``, ``session``, ``seq``, ``track``,
    ``reason`` … ``event`` is the kind of event and ``state`` what happened. A value is compared, or called with the hook's if
    it is a function. A name or field that no hook can have raises ``TypeError``.
    """

    _log: HookLog
    #: Number of the last hook that is of no interest.
    _start = 0

    async def expect(
        self, what: str | None = None, *, timeout: float = TIMEOUT, after: Hook | None = None, **fields: Any
    ) -> Hook:
        """Return the first hook that is so.

        ``expect("session", state="connected", id="s1")``, ``expect("connected")``.

        ``what`` is an event (``session``) or a state (``connected``). With ``after``, hooks up to that one do not count.

        Raises:
            HookExpectationError: None came within ``timeout`` seconds.
        """
        __tracebackhide__ = True
        expected = Expectation.of(what, **fields)
        start = self._start if after is None else after.number

        def find(hooks: Sequence[Hook]) -> Hook | None:
            return next((hook for hook in hooks if expected.matches(hook)), None)

        found = await self._wait(find, start, timeout)
        if found is None:
            since = "" if after is None else f" after hook {after.number}"
            heading = f"expected {expected}{since} within {timeout:g} s"
            raise HookExpectationError(report(heading, expected, self._log.since(start)))
        return found

    async def expect_order(self, *steps: Step, timeout: float = TIMEOUT, **fields: Any) -> list[Hook]:
        """Return hooks that came in this order, others between them allowed.

        A step is a name, or a mapping of fields such as ``{"state": "remote_track_started", "track": "video_main"}``;
        ``fields`` hold for every step: ``expect_order("connecting", "connected", "disconnected", id="s1")``.

        Raises:
            HookExpectationError: The order was not complete within ``timeout`` seconds.
        """
        __tracebackhide__ = True
        if not steps:
            raise TypeError("expect_order takes the steps: expect_order('connecting', 'connected')")
        wanted = [Expectation.of(step, **fields) for step in steps]

        def find(hooks: Sequence[Hook]) -> list[Hook] | None:
            found = _in_order(wanted, hooks)
            return found if len(found) == len(wanted) else None

        found = await self._wait(find, self._start, timeout)
        if found is None:
            raise HookExpectationError(self._order_report(wanted, timeout))
        return found

    async def none(self, what: str | None = None, *, during: float = QUIET, **fields: Any) -> None:
        """Return if no such hook has come, and none comes in the next ``during`` seconds.

        Raises:
            HookExpectationError: One came; at once, when it does.
        """
        __tracebackhide__ = True
        expected = Expectation.of(what, **fields)

        def find(hooks: Sequence[Hook]) -> Hook | None:
            return next((hook for hook in hooks if expected.matches(hook)), None)

        found = await self._wait(find, self._start, during)
        if found is not None:
            came = self._log.since(self._start)
            raise HookExpectationError(
                report(f"expected no {expected}, but hook {found.number} is one", expected, came)
            )

    async def _wait(self, find: Callable[[Sequence[Hook]], T | None], start: int, timeout: float) -> T | None:
        """Look until ``find`` finds something in what came after ``start``.

        ``None`` when the time is over.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (found := find(self._log.since(start))) is None:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._log.more()
            except TimeoutError:
                return find(self._log.since(start))
        return found

    def _order_report(self, wanted: Sequence[Expectation], timeout: float) -> str:
        came = self._log.since(self._start)
        found = _in_order(wanted, came)
        missing = wanted[len(found)]
        earlier = [hook for hook in came if missing.matches(hook)]
        lines = [f"expected {len(wanted)} hooks in order within {timeout:g} s:"]
        lines += [f"  {step}: hook {hook.number}" for step, hook in zip(wanted, found, strict=False)]
        lines += [f"  {missing}: MISSING{_too_early(earlier)}"]
        lines += [f"  {step}: not looked for" for step in wanted[len(found) + 1 :]]
        after = f" after hook {found[-1].number}" if found else ""
        rest = [hook for hook in came if not found or hook.number > found[-1].number]
        if not rest and came:
            return "\n".join([*lines, f"nothing came{after}"])
        return "\n".join([*lines, report(f"missing {missing}{after}", missing, rest)])


class Hooks(Expectations):
    """The hooks of a stream manager, from a point in time on."""

    def __init__(self, log: HookLog, start: int = 0) -> None:
        self._log = log
        self._start = start

    def __repr__(self) -> str:
        return f"<Hooks {len(self.all())} since {self._start}>"

    def all(self) -> list[Hook]:
        """Return what came so far, in order."""
        return self._log.since(self._start)

    def forget(self) -> None:
        """Let what came so far count no more, for what is expected from now on."""
        self._start = self._log.count


def _in_order(wanted: Sequence[Expectation], hooks: Sequence[Hook]) -> list[Hook]:
    """Take the first hook for each step after the one before, as far as it goes."""
    found: list[Hook] = []
    for hook in hooks:
        if len(found) < len(wanted) and wanted[len(found)].matches(hook):
            found.append(hook)
    return found


def _too_early(earlier: Sequence[Hook]) -> str:
    return f", came too early, as hook {earlier[-1].number}" if earlier else ""
