"""The plugin beside plugins and tools that take something away: the clock, sockets."""

from __future__ import annotations

import textwrap

import pytest

pytest_plugins = ["pytester"]

PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-W", "error")
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"

FROZEN = """
    import time
    import freezegun
    import pytest

    @pytest.fixture
    def frozen():
        with freezegun.freeze_time("2012-01-14"):
            yield

    def test_fixtures_that_are_made_while_it_is_frozen(frozen, publisher, subscriber, hooks, webhook_receiver):
        began = time.time()
        with publisher("s1"), subscriber("s1") as watching:
            watching.wait_for_frames(3, timeout=20)
            hooks.expect("remote_track_started", id="s1", track="video_main", timeout=20)
        ended = hooks.expect("disconnected", id="s1", timeout=20)
        webhook_receiver.expect("disconnected", id="s1", timeout=20)
        assert ended["duration"] > 0
        assert ended["ts"] > 1_700_000_000_000, "hooks have the real time"
        assert time.time() == began, "the test's own time stands still"
        hooks.none("connect_error", during=0.05)

    @freezegun.freeze_time("2012-01-14")
    def test_decorated(publisher, hooks):
        with publisher("s1"):
            hooks.expect("connected", id="s1", timeout=20)

    @freezegun.freeze_time("2012-01-14")
    def test_what_does_not_come(hooks):
        hooks.expect("connected", id="s1", timeout=0.05)
"""

WATCH = """
    def test_watch(publisher, subscriber, hooks, webhook_receiver):
        with publisher("s1"), subscriber("s1") as watching:
            watching.wait_for_frames(1, timeout=20)
        webhook_receiver.expect("disconnected", id="s1", timeout=20)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(INI)
    return pytester


def has(suite: pytest.Pytester, **files: str) -> None:
    """Write test files."""
    suite.makepyfile(**{name: textwrap.dedent(text) for name, text in files.items()})


def test_frozen_time(suite: pytest.Pytester) -> None:
    """With freezegun the stream manager, its clients and the wait for hooks keep the real time, and the test its own (T2)."""
    has(suite, test_frozen=FROZEN)
    result = suite.runpytest_subprocess(*PLAIN)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["E*expected state=connected id=s1 within 0.05 s: no hook came at all"])


@pytest.mark.parametrize("more", [[], ["--allow-unix-socket"]], ids=["all", "but unix"])
def test_sockets_forbidden(suite: pytest.Pytester, more: list[str]) -> None:
    """With pytest-socket's ``--disable-socket`` a fixture fails at once, in one line that says what to allow (T2)."""
    has(suite, test_watch=WATCH, test_manager="def test_manager(stream_manager):\n    pass\n")
    result = suite.runpytest_subprocess(*PLAIN, "-W", "ignore::UserWarning", "--disable-socket", *more)
    result.assert_outcomes(errors=2)
    lines = [line for line in result.outlines if line.startswith("the stream manager cannot run")]
    assert lines == 2 * [
        "the stream manager cannot run (A test tried to use socket.socket): it needs sockets of this machine: run pytest "
        "with --allow-hosts=127.0.0.1,::1,localhost too, or give the test the marker enable_socket"
    ]
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("how", ["option", "marker"])
def test_sockets_of_this_machine_allowed(suite: pytest.Pytester, how: str) -> None:
    """What that line advises is enough."""
    mark = "import pytest\npytestmark = pytest.mark.enable_socket\n" if how == "marker" else ""
    has(suite, test_watch=mark + textwrap.dedent(WATCH))
    options = ["--allow-hosts=127.0.0.1,::1,localhost"] if how == "option" else []
    suite.runpytest_subprocess(*PLAIN, "--disable-socket", *options).assert_outcomes(passed=1)


def test_an_expectation_that_is_not_awaited(suite: pytest.Pytester) -> None:
    """An async test that forgets ``await`` fails, with the call named; one that awaits later, or in a task, does not (T3)."""
    has(
        suite,
        test_awaits="""
            import asyncio
            import pytest

            async def test_forgets(hooks):
                hooks.expect("connected", id="s1")

            async def test_forgets_others(publisher, webhook_receiver):
                publisher("s1").publish()
                webhook_receiver.none("connected")

            async def test_awaits_later(publisher, hooks):
                waiting = hooks.expect("connected", id="s1", timeout=20)
                async with publisher("s1"):
                    await waiting

            async def test_in_a_task(publisher, hooks):
                waiting = asyncio.create_task(hooks.expect("connected", id="s1", timeout=20))
                async with publisher("s1"):
                    await asyncio.gather(waiting, hooks.expect("peer_joined", id="s1", timeout=20))

            async def test_fails_anyway(hooks):
                hooks.expect("connected", id="s1")
                raise ValueError("of its own")

            @pytest.fixture
            async def forgetful(hooks):
                yield
                hooks.none("connected")

            async def test_of_a_fixture(forgetful):
                pass
        """,
    )
    result = suite.runpytest_subprocess(*PLAIN)
    result.assert_outcomes(passed=3, failed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "never awaited, so nothing was checked: Expectations.expect(…) in test_forgets, line 5: write await before it",
            "never awaited*: Publisher.publish(…) in test_forgets_others, line 8; *none(…) in test_forgets_others, line 9:*",
            "E*ValueError: of its own",
        ]
    )
