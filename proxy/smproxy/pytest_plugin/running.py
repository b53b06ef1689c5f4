"""A stream manager that runs for tests, and its part of their reports."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from smproxy.embedded import EmbeddedSimulator
    from smproxy.testing.hooks import Hooks

_ENDS = frozenset({"disconnected", "connect_error"})


class Running:
    """A stream manager, the tests that it serves, and when the current one began."""

    KEY: pytest.StashKey[list[Running]] = pytest.StashKey()

    def __init__(self, node: pytest.Item | pytest.Collector, embedded: EmbeddedSimulator) -> None:
        self.node = node
        self._embedded = embedded
        self._since_ms = 0
        self.begin_test()

    def begin_test(self) -> None:
        """Another test begins: what came before is of no interest when it fails."""
        from smproxy.signaling.clock import Clock

        self._since_ms = Clock().wall_ms()

    def posts_to(self, url: str) -> bool:
        """Return whether it was started with this receiver."""
        return url in self._embedded.settings.hook_uri

    def timeline(self) -> str:
        """Return what happened in this test, as text.

        Never raises: a report must not hide the failure that it is about.
        """
        from smproxy.pytest_plugin.timeline import write_timeline
        from smproxy.testing.hook_report import table

        try:
            return write_timeline(self._embedded, self._since_ms)
        except Exception as error:
            hooks = "\n".join(table(list(self._embedded.inner.hook_log)))
            return f"(not to be had: {type(error).__name__}: {error}; the hooks:)\n{hooks}"


def running_in(item: pytest.Item) -> list[Running]:
    """Return the stream managers that a test may have used."""
    chain = item.listchain()
    return [running for running in item.config.stash[Running.KEY] if running.node in chain]


async def settle(hooks: Hooks, timeout: float) -> None:
    """Wait until the sessions that began in these hooks have ended, or the time is over."""
    import asyncio  # with a test that uses a stream manager it is there already; other runs need not pay for it

    begun = {hook.session for hook in hooks.all() if hook.state == "connecting"}
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            for session in begun:
                await hooks.expect("session", session=session, state=_ENDS.__contains__, timeout=2 * timeout)


def wants(item: pytest.Item, fixture: str) -> bool:
    """Return whether a test uses a fixture, itself or through others."""
    return fixture in getattr(item, "fixturenames", ())
