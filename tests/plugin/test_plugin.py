"""The pytest plugin as its users have it: test suites of their own, run by another pytest."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import smproxy.origin.origin  # so that the suites which run in this process find it imported
import smproxy.simulator
import smproxy.testing.publisher_peer
import smproxy.testing.publishing_tracks
import smproxy.testing.subscriber_peer
import smproxy.testing.webhook_receiver  # noqa: F401

pytest_plugins = ["pytester"]

INI = """
    [pytest]
    asyncio_mode = {mode}
    asyncio_default_fixture_loop_scope = function
    filterwarnings = error
    {more}
"""

#: Without plugins that have no part in it: Hypothesis takes a second to be imported.
PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

SYNC = """
    def test_publish(publisher, hooks):
        with publisher("s1", meta={"room": "A"}):
            hooks.expect("session", state="connected", id="s1", meta={"room": "A"}, timeout=20)
        hooks.expect_order("connecting", "connected", "disconnected", id="s1", timeout=20)
        hooks.none("connect_error", id="s1", during=0)
"""

ASYNC = """
    import pytest
    {mark}
    async def test_publish(publisher, hooks):
        async with publisher("s1", meta={{"room": "A"}}):
            await hooks.expect("session", state="connected", id="s1", meta={{"room": "A"}}, timeout=20)
        await hooks.expect_order("connecting", "connected", "disconnected", id="s1", timeout=20)
        await hooks.none("connect_error", id="s1", during=0)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    return Suite(pytester)


class Suite:
    """A test suite of a user of the plugin."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.settings(mode="strict")

    def settings(self, mode: str = "strict", more: str = "") -> None:
        """Write the settings."""
        self._pytester.makeini(textwrap.dedent(INI.format(mode=mode, more=more)))

    def has(self, **files: str) -> None:
        """Write test files."""
        self._pytester.makepyfile(**{name: textwrap.dedent(text) for name, text in files.items()})

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run it in this process, which has imported what takes time."""
        # The outer run has imported the package already, which pytest would rather do itself.
        quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        return self._pytester.runpytest_inprocess(*PLAIN, *quiet, *arguments)

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """Run it in a process of its own."""
        return self._pytester.runpytest_subprocess(*PLAIN, *arguments)


@pytest.mark.parametrize(
    ("mode", "mark"),
    [
        ("auto", ""),
        ("strict", "@pytest.mark.asyncio"),
        ("strict", "@pytest.mark.anyio\n    @pytest.mark.parametrize('anyio_backend', ['asyncio'])"),
    ],
    ids=["asyncio auto", "asyncio strict", "anyio"],
)
def test_async(suite: Suite, mode: str, mark: str) -> None:
    """An async test awaits, whichever plugin runs it; a sync test beside it blocks."""
    suite.settings(mode)
    suite.has(test_async=ASYNC.format(mark=mark), test_sync=SYNC)
    suite.run().assert_outcomes(passed=2)


def test_nodes(suite: Suite) -> None:
    """A test adds, loses and takes out the nodes of its stream manager, and waits for their states."""
    suite.has(
        test_nodes="""
            import pytest

            @pytest.mark.stream_manager(nodes=2)
            def test_sunset(stream_manager, publisher, hooks):
                nodes = stream_manager.nodes
                with publisher("s1"):
                    hooks.expect("connected", id="s1", timeout=20)
                    nodes.sunset("node1", within=0)
                    hooks.expect("disconnected", id="s1", reason=2, timeout=20)
                nodes.wait("node1", "TERMINATED", timeout=20)
                added = nodes.add(region="eu", start=0)
                nodes.wait(added, "INSERVICE", timeout=20)
                assert [(node.id, node.region) for node in nodes.list()] == [("node2", "local"), ("node3", "eu")]
                with pytest.raises(ValueError, match="there is no node 'node9'"):
                    nodes.fault("node9")
        """
    )
    suite.run().assert_outcomes(passed=1)


def test_sync_without_any_async_plugin(suite: Suite, pytester: pytest.Pytester) -> None:
    """A synchronous suite needs no plugin for asyncio."""
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    suite.has(test_sync=SYNC)
    suite.run_apart("-p", "no:asyncio", "-p", "no:anyio").assert_outcomes(passed=1)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_message_of_a_failure(suite: Suite, kind: str) -> None:
    """A failure points at the line of the test and shows what came, what differs, and the session's timeline."""
    suite.settings("auto")
    waits, word = ("await ", "async ") if kind == "async" else ("", "")
    suite.has(
        test_failing=f"""
            {word}def test_publish(publisher, hooks, webhook_receiver):
                webhook_receiver.respond = [503]
                {word}with publisher("s1"):
                    {waits}webhook_receiver.expect("remote_track_started", track="video_main", timeout=20)
                    {waits}hooks.expect("session", state="connected", id="s2", timeout=0.1)
        """
    )
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>*hooks.expect(*id="s2"*',
            "E*expected session state=connected id=s2 within 0.1 s: * came, nearest first*",
            "E*n*session*seq*event*state*id*came*",
            "E*2*session*connected*!s1*ago",
            "E*1*session*!connecting*!s1*ago",
            "E*the nearest, 2, differs in:*",
            "E*- id: s2 (expected)",
            "E*+ id: s1",
            "*Stream manager: timeline*",
            "session *: publisher 's1' of test: *",
        ]
    )
    text = result.stdout.str()
    for kind_of_entry, title in (("hook", "#2 connected"), ("signaling", "publish s1"), ("delivery", "#1 connecting")):
        assert any(f" {kind_of_entry} " in line and title in line for line in text.splitlines()), title
    assert "retry, took " in text
    assert "HTTP 503" in text
    table = [line for line in text.splitlines() if " #" in line and "peer_joined" in line]
    assert len({line.index("#3") for line in table}) == 1, table
    for inside in ("proxy/smproxy/testing", "proxy/smproxy/pytest_plugin", "concurrent/futures"):
        assert inside not in text.partition("Captured")[0].partition("timeline")[0]


def test_a_receiver_that_fails(suite: Suite) -> None:
    """The receiver answers as it is told, and what is refused comes again."""
    suite.has(
        test_receiver="""
            def test_retry(publisher, webhook_receiver):
                webhook_receiver.respond = [500, 503]
                with publisher("s1"):
                    webhook_receiver.expect("connected", id="s1", timeout=20)
                assert [hook.state for hook in webhook_receiver.hooks][:3] == ["connecting"] * 3
                assert len({hook.uuid for hook in webhook_receiver.hooks[:3]}) == 1

            def test_fresh(webhook_receiver, publisher):
                assert webhook_receiver.hooks == []
                with publisher("s2"):
                    webhook_receiver.expect("connected", id="s2", timeout=20)
                webhook_receiver.none(id="s1", during=0)
        """
    )
    suite.run().assert_outcomes(passed=2)


def test_a_receiver_that_comes_too_late(suite: Suite) -> None:
    """A receiver that is asked for when the stream manager runs already would get nothing, which is told at once."""
    suite.has(
        test_late="""
            def test_late(stream_manager, request):
                request.getfixturevalue("webhook_receiver")
        """
    )
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*started without this receiver: name webhook_receiver in the arguments*"])


def test_faults(suite: Suite) -> None:
    """Faults are switched on for one test, say how often they acted, and are off in the next."""
    suite.settings("auto", more="stream_manager_scope = module")
    suite.has(
        test_faults="""
            import pytest
            from smproxy.testing import PublishRejected

            def test_on(publisher, faults, hooks):
                fault = faults.add("publish-denied", id="s1")
                with pytest.raises(PublishRejected):
                    publisher("s1").publish()
                hooks.expect("connect_error", id="s1", timeout=20)
                assert fault.injected == 1
                with pytest.raises(ValueError, match="publish-denied"):
                    faults.add("publish-denid")

            async def test_off(publisher, faults, hooks):
                assert faults.active() == []
                async with publisher("s1"):
                    await hooks.expect("connected", id="s1", timeout=20)
        """
    )
    suite.run().assert_outcomes(passed=2)


def test_subscriber(suite: Suite) -> None:
    """A subscriber sees what a publisher sends, and a recording is made where nothing else is kept."""
    suite.has(
        test_watch="""
            def test_watch(publisher, subscriber, hooks, stream_manager):
                with publisher("s1", recording=True), subscriber("s1") as watching:
                    watching.wait_for_frames(3, timeout=20)
                hooks.expect("disconnected", role="subscriber", timeout=20)
                saved = hooks.expect("recording_saved", timeout=20)
                assert (stream_manager.settings.recordings / saved["file"]).stat().st_size == saved["size"]
        """
    )
    suite.run().assert_outcomes(passed=1)


def test_whip_and_whep(suite: Suite) -> None:
    """Publishers and subscribers over WHIP and WHEP are sessions like any other, and their hooks name the transport."""
    suite.settings("auto")
    suite.has(
        test_http="""
            def test_blocking(publisher, subscriber, hooks):
                with publisher("s1", transport="whip", customerScope="acme") as publishing:
                    hooks.expect("connected", id="s1", customerScope="acme", transport="whip", timeout=20)
                    with subscriber("s1", transport="whep") as watching:
                        watching.wait_for_frames(3, timeout=20)
                    hooks.expect("disconnected", role="subscriber", reason=0, transport="whep", timeout=20)
                assert publishing.ended_by == "client"
                hooks.expect_order("connected", "peer_joined", "peer_leaved", "disconnected", id="s1", timeout=20)

            async def test_awaiting(publisher, hooks):
                async with publisher("s2", transport="whip", data_channel=False):
                    await hooks.expect("connected", id="s2", timeout=20)
        """
    )
    suite.run().assert_outcomes(passed=2)


def test_settings(suite: Suite) -> None:
    """Settings come from the fixture and, before it, from the marker; texts are read as on the command line."""
    suite.has(
        test_settings="""
            import pytest

            @pytest.fixture
            def stream_manager_settings():
                return {"reconnect_window": 5, "node": 7}

            def test_fixture(stream_manager):
                assert (stream_manager.settings.reconnect_window, stream_manager.settings.node) == (5, 7)

            @pytest.mark.stream_manager(reconnect_window="9", hook_uri="http://127.0.0.1:9/hooks")
            def test_marker(stream_manager, webhook_receiver):
                assert (stream_manager.settings.reconnect_window, stream_manager.settings.node) == (9, 7)
                assert stream_manager.settings.hook_uri == ("http://127.0.0.1:9/hooks", webhook_receiver.url)
        """
    )
    suite.run().assert_outcomes(passed=2)


def test_settings_that_cannot_be(suite: Suite) -> None:
    """A setting that there is not, or that cannot be used, is told in one line."""
    suite.has(
        test_settings="""
            import pytest

            @pytest.mark.stream_manager(hook_url="http://127.0.0.1:9/")
            def test_name(stream_manager):
                pass

            @pytest.mark.stream_manager(media_gap=9, media_timeout=1)
            def test_value(hooks):
                pass

            def test_option(publisher):
                publisher("s1", recordng=True)
        """
    )
    result = suite.run()
    result.assert_outcomes(errors=2, failed=1)
    result.stdout.fnmatch_lines_random(
        [
            "the stream manager cannot be started: there is no setting 'hook_url': did you mean 'hook_uri'?",
            "the stream manager cannot be started: --media-timeout 1 must be longer than --media-gap 9",
            "E*a publisher has no option 'recordng'*",
        ]
    )
    assert "proxy/smproxy/simulator.py" not in result.stdout.str()
    assert "proxy/smproxy/testing" not in result.stdout.str()


@pytest.mark.parametrize("scope", ["module", "session"])
def test_scopes(suite: Suite, scope: str) -> None:
    """With a wider scope tests share one stream manager, each sees its own hooks only, and no client is left over."""
    suite.settings(more=f"stream_manager_scope = {scope}")
    test = """
        def test_first(stream_manager, publisher, hooks, webhook_receiver):
            publisher("left").publish()
            hooks.expect("connected", id="left", timeout=20)
            webhook_receiver.expect("connected", id="left", timeout=20)
            print("PORT", stream_manager.port)

        def test_second(stream_manager, publisher, hooks):
            assert [hook for hook in hooks.all() if hook.state == "connecting"] == []
            with publisher("left"):
                hooks.expect("connected", id="left", timeout=20)
            print("PORT", stream_manager.port)
    """
    suite.has(test_a=test, test_b=test)
    result = suite.run("-s")
    result.assert_outcomes(passed=4)
    ports = {line.split()[-1] for line in result.outlines if "PORT" in line}
    assert len(ports) == {"module": 2, "session": 1}[scope]


@pytest.mark.parametrize(("scope", "passed"), [("module", 1), ("session", 0)])
def test_a_marker_on_a_test_that_shares(suite: Suite, scope: str, passed: int) -> None:
    """A test that shares its stream manager cannot have settings of its own, and is told so; a whole module may."""
    suite.settings(more=f"stream_manager_scope = {scope}")
    suite.has(
        test_shared="""
            import pytest

            pytestmark = pytest.mark.stream_manager(node=7)

            def test_module(stream_manager):
                assert stream_manager.settings.node == 7

            @pytest.mark.stream_manager(node=8)
            def test_own(stream_manager):
                pass
        """
    )
    result = suite.run()
    result.assert_outcomes(passed=passed, errors=2 - passed)
    result.stdout.fnmatch_lines(["*test_own has settings of its own*leave out stream_manager_scope*"])


def test_the_timeline_of_a_setup_that_fails(suite: Suite) -> None:
    """The report of a test that never began does not tell of the test before it."""
    suite.settings(more="stream_manager_scope = module")
    suite.has(
        test_shared="""
            import pytest

            def test_before(publisher, hooks):
                with publisher("earlier"):
                    hooks.expect("connected", id="earlier", timeout=20)

            @pytest.mark.stream_manager(node=8)
            def test_own(stream_manager):
                pass
        """
    )
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    assert "earlier" not in result.stdout.str()


def test_a_scope_that_there_is_not(suite: Suite) -> None:
    """A scope that does not exist is a usage error that names those that do."""
    suite.settings(more="stream_manager_scope = class")
    suite.has(test_sync=SYNC)
    result = suite.run()
    assert result.ret != 0
    (result.stdout.fnmatch_lines if "choose one" in result.stdout.str() else result.stderr.fnmatch_lines)(
        ["*stream_manager_scope = class: choose one of function, module, session*"]
    )


def test_xdist(suite: Suite) -> None:
    """Workers run side by side, and a failure's message and timeline come from them whole."""
    suite.has(
        test_many="""
            import pytest

            @pytest.mark.parametrize("number", range(6))
            def test_publish(publisher, hooks, number):
                with publisher("s1"):
                    hooks.expect("connected", id="s1", timeout=20)
                    hooks.expect("connected", id="s2", timeout=0) if number == 5 else None
        """
    )
    result = suite.run_apart("-n", "2")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["E*expected state=connected id=s2*", "*Stream manager: timeline*", "session *'s1'*"])


LEAKS = """
    import os, pathlib, threading

    def sockets():
        names = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        links = [os.readlink(name) for name in names if os.path.lexists(name)]
        return sorted(link for link in links if link.startswith(("socket:", "anon_inode:[event")))

    def pytest_configure(config):
        config.before = sockets()

    def pytest_sessionfinish(session):
        children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        print("LEFT", left, [each for each in sockets() if each not in session.config.before], children)
"""


def test_nothing_is_left_behind(suite: Suite) -> None:
    """After the tests no thread, process or socket is left, also of those that left their publishers open, or failed."""
    suite.has(
        conftest=LEAKS,
        test_leaks="""
            import pytest

            @pytest.mark.parametrize("number", range(3))
            def test_open(publisher, webhook_receiver, number):
                webhook_receiver.respond = "hang"
                publisher("s1").publish()
                lost = publisher("s2")
                lost.publish()
                lost.vanish("silent")
                assert number != 2
        """,
    )
    result = suite.run_apart("-s")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*LEFT [[]] [[]] [[]]*"])


def test_a_run_that_does_not_use_it_pays_nothing(suite: Suite, pytester: pytest.Pytester) -> None:
    """In a run that asks for no fixture the installed plugin imports itself and nothing else, not even of Python."""
    pytester.makeini("[pytest]")
    suite.has(
        conftest="""
            import sys

            def pytest_sessionfinish():
                print("IMPORTED", *sorted(sys.modules))
        """,
        test_other="def test_other():\n    pass\n",
    )
    plain = ["-s", *(f"-pno:{name}" for name in ("asyncio", "anyio", "xdist", "pytest_cov", "socket"))]

    def imported(*more: str) -> set[str]:
        result = suite.run_apart(*plain, *more)
        result.assert_outcomes(passed=1)
        (line,) = [line for line in result.outlines if "IMPORTED" in line]
        return set(line.partition("IMPORTED")[2].split())

    assert imported() - imported("-pno:stream_manager") == {
        "smproxy",
        "smproxy.pytest_plugin",
        "smproxy.pytest_plugin.plugin",
        "smproxy.pytest_plugin.running",
    }


def test_clients_without_media_cost_no_media(suite: Suite) -> None:
    """The testing tools import aiortc when a client starts, not before."""
    code = (
        "import sys; from smproxy.testing import Publisher, Subscriber, WebhookReceiver; "
        "Publisher('ws://127.0.0.1/', stream='s'); Subscriber('ws://127.0.0.1/', stream='s'); "
        "assert not {'aiortc', 'av', 'cryptography'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_says_what_it_has(suite: Suite) -> None:
    """``--fixtures`` and ``--markers`` explain the fixtures and the marker."""
    result = suite.run("--fixtures")
    for name in (
        "stream_manager",
        "hooks",
        "publisher",
        "subscriber",
        "webhook_receiver",
        "faults",
        "stream_manager_settings",
    ):
        assert any(line.startswith(name) and "no docstring" not in line for line in result.outlines), name
    suite.run("--markers").stdout.fnmatch_lines(["@pytest.mark.stream_manager(*)*"])


def test_captured_packets_are_named(suite: Suite) -> None:
    """With a directory for captures the report of a failed test names the file of each session, which is there then."""
    suite.has(
        test_packets="""
            import pytest

            @pytest.mark.stream_manager(capture="packets")
            def test_publish(publisher, hooks):
                with publisher("s1"):
                    hooks.expect("peer_joined", id="s1", timeout=20)
                    raise RuntimeError("the test fails")
        """
    )
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["session *: publisher 's1' of test: *", "  packets: packets/test-publisher-s1-*.pcapng"]
    )
    (named,) = [line.split()[1] for line in result.stdout.lines if line.startswith("  packets: ")]
    assert (suite._pytester.path / named).stat().st_size > 1000
