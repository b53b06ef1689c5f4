"""The fixtures, the marker and the settings."""

from __future__ import annotations

import functools
import inspect
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast, get_args

import pytest

from smproxy.pytest_plugin.running import Running, running_in, settle, wants

if TYPE_CHECKING:
    from pathlib import Path

    from smproxy.embedded import EmbeddedSimulator
    from smproxy.faults import FaultRegistry
    from smproxy.testing.auth_back_end import AuthBackEnd
    from smproxy.testing.clients import Clients
    from smproxy.testing.hook_app import HookApp
    from smproxy.testing.loop_thread import LoopThread
    from smproxy.testing.pending_calls import PendingCalls
    from smproxy.testing.remote import Remote
    from smproxy.testing.webhook_receiver import WebhookReceiver

T = TypeVar("T")

MARKER = "stream_manager"
#: Seconds for the sessions of a test to end when another test uses the same stream manager.
SETTLE = 1.0
#: Seconds for which hooks are still delivered after a test; a receiver that hangs on purpose must not cost more.
FLUSH = 0.2
Scope: TypeAlias = Literal["function", "module", "session"]
#: The calls that a test has not awaited yet.
PENDING: pytest.StashKey[PendingCalls] = pytest.StashKey()
SCOPES: tuple[Scope, ...] = get_args(Scope)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "stream_manager_scope",
        "how long a stream manager of the tests runs: function, module or session",
        default="function",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**settings): settings of the stream manager of this test, such as hook_uri or reconnect_window",
    )
    config.stash[Running.KEY] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for running in item.config.stash[Running.KEY]:
        running.begin_test()
    if wants(item, MARKER):
        _check_markers(item)
        if "freezegun" in sys.modules:
            from smproxy.testing.real_datetime import see_real_datetime

            see_real_datetime()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when != "teardown":
        for running in running_in(item):
            report.sections.append(("Stream manager: timeline", running.timeline()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    return (yield from _all_awaited(pyfuncitem))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _all_awaited(item))


def _all_awaited(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed without awaiting what it expects."""
    __tracebackhide__ = True
    try:
        result = yield
    finally:
        calls = item.stash.get(PENDING, None)
        forgotten = [] if calls is None else calls.close()
    if forgotten:
        pytest.fail(
            f"never awaited, so nothing was checked: {'; '.join(forgotten)}: write await before it", pytrace=False
        )
    return result


def _scope(fixture_name: str, config: pytest.Config) -> Scope:
    scope = config.getini("stream_manager_scope")
    if scope not in SCOPES:
        raise pytest.UsageError(f"stream_manager_scope = {scope}: choose one of {', '.join(SCOPES)}")
    return cast("Scope", scope)


def _check_markers(item: pytest.Item) -> None:
    """Refuse a marker that would have no effect."""
    scope = _scope(MARKER, item.config)
    shared = {
        "function": (),
        "module": (pytest.Item, pytest.Class),
        "session": (pytest.Item, pytest.Class, pytest.Module),
    }
    for node, mark in item.iter_markers_with_node(MARKER):
        if mark.args:
            pytest.fail("the marker stream_manager takes settings by name: stream_manager(node=7)", pytrace=False)
        if isinstance(node, shared[scope]):
            better = "set pytestmark in the module" if scope == "module" else "override stream_manager_settings"
            pytest.fail(
                f"{node.name} has settings of its own for a stream manager that other tests share: {better}, "
                f"or leave out stream_manager_scope = {scope}",
                pytrace=False,
            )


@pytest.fixture(scope=_scope)
def stream_manager_settings() -> dict[str, Any]:
    """Settings of the stream manager, by their names in ``Settings``.

    Override this fixture to give some.
    """
    return {}


@pytest.fixture(scope=_scope)
def _stream_manager_thread() -> Iterator[LoopThread]:
    from smproxy.testing.loop_thread import LoopThread

    thread = _started(LoopThread.start)
    yield thread
    thread.stop()


@pytest.fixture(scope=_scope)
def _webhook_server(_stream_manager_thread: LoopThread) -> Iterator[WebhookReceiver]:
    from smproxy.testing.webhook_receiver import WebhookReceiver

    thread = _stream_manager_thread
    receiver = thread.call(WebhookReceiver)
    _started(lambda: thread.run(receiver.start()))
    yield receiver
    thread.run(receiver.stop())


@pytest.fixture(scope=_scope)
def hook_application() -> Any:
    """Your application, for ``hook_app``: override this fixture.

    It returns an ASGI, WSGI or aiohttp application, or ``"module:attribute"``, which takes hooks at ``/hooks``; or a
    :class:`smproxy.testing.HookApp` with another path.
    """
    pytest.fail(
        "hook_app serves your application: override the fixture hook_application, which returns it", pytrace=False
    )


@pytest.fixture(scope=_scope)
def _hook_app_server(hook_application: Any) -> Iterator[HookApp]:
    from smproxy.testing.hook_app import HookApp, HookAppError

    try:
        served = hook_application if isinstance(hook_application, HookApp) else HookApp(hook_application)
        served.start()
    except HookAppError as error:
        pytest.fail(str(error), pytrace=False)
    yield served
    served.stop()


@pytest.fixture(scope=_scope)
def _auth_server(_stream_manager_thread: LoopThread) -> Iterator[AuthBackEnd]:
    from smproxy.testing.auth_back_end import AuthBackEnd

    thread = _stream_manager_thread
    back_end = thread.call(AuthBackEnd)
    _started(lambda: thread.run(back_end.start()))
    yield back_end
    thread.run(back_end.stop())


@pytest.fixture(scope=_scope)
def stream_manager(
    request: pytest.FixtureRequest, stream_manager_settings: dict[str, Any], _stream_manager_thread: LoopThread
) -> Iterator[EmbeddedSimulator]:
    """A stream manager on a free port that keeps everything in memory.

    Recordings go to a temporary directory.

    Its settings are those of the fixture ``stream_manager_settings`` and of the marker ``stream_manager``. It runs on a
    thread of its own, so its methods block in every test, and nothing that a test does holds it up.
    """
    from smproxy.embedded import EmbeddedSimulator
    from smproxy.simulator import Simulator

    settings = {"recordings": _new_directory(request), **stream_manager_settings}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        settings |= mark.kwargs
    uris = settings.get("hook_uri", ())
    receivers = [uris] if isinstance(uris, str) else list(uris)
    if any(wants(item, "webhook_receiver") for item in _items_of(request.node)):
        receivers.append(request.getfixturevalue("_webhook_server").url)
    if any(wants(item, "hook_app") for item in _items_of(request.node)):
        receivers.append(request.getfixturevalue("_hook_app_server").hook_url)
    if receivers:
        settings["hook_uri"] = receivers
    if any(wants(item, "auth") for item in _items_of(request.node)):
        settings["auth_uri"] = request.getfixturevalue("_auth_server").url
    thread = _stream_manager_thread

    def start() -> EmbeddedSimulator:
        simulator = Simulator(flush=FLUSH, **settings)
        thread.call(lambda: simulator.hook_log)
        return EmbeddedSimulator.start(simulator, thread)

    embedded = _started(start)
    running = Running(request.node, embedded)
    request.config.stash[Running.KEY].append(running)
    yield embedded
    request.config.stash[Running.KEY].remove(running)
    embedded.stop()


@pytest.fixture
def hooks(request: pytest.FixtureRequest, stream_manager: EmbeddedSimulator) -> Any:
    """The hooks since the test began: ``hooks.expect("session", state="connected", id="s1")``.

    Awaited in an async test.

    See :class:`smproxy.testing.Hooks`.
    """
    from smproxy.testing.hooks import Hooks

    log = stream_manager.inner.hook_log
    return _facade(request)(Hooks(log, log.count), stream_manager.thread)


@pytest.fixture
def _clients(request: pytest.FixtureRequest, stream_manager: EmbeddedSimulator) -> Iterator[Clients]:
    from smproxy.testing.clients import Clients
    from smproxy.testing.hooks import Hooks

    log = stream_manager.inner.hook_log
    begin = log.count
    clients = Clients(stream_manager.url, stream_manager.thread, _facade(request))
    yield clients
    clients.close()
    if _scope(MARKER, request.config) != "function":
        # The next test may publish under the same names.
        stream_manager.thread.run(settle(Hooks(log, begin), SETTLE))


@pytest.fixture
def publisher(_clients: Clients) -> Callable[..., Any]:
    """Makes headless publishers.

    ``with publisher("s1", recording=True):``, in an async test ``async with``.

    Options are those of :class:`smproxy.testing.Publisher`, and connection parameters by name.
    """
    return _clients.publisher


@pytest.fixture
def subscriber(_clients: Clients) -> Callable[..., Any]:
    """Makes headless subscribers: ``with subscriber("s1"):``.

    See :class:`smproxy.testing.Subscriber`.
    """
    return _clients.subscriber


@pytest.fixture
def webhook_receiver(request: pytest.FixtureRequest, _webhook_server: WebhookReceiver) -> Any:
    """An HTTP server that the stream manager posts its hooks to.

    Set ``respond`` to make it fail.

    See :class:`smproxy.testing.WebhookReceiver`.
    """
    for running in running_in(request.node):
        if not running.posts_to(_webhook_server.url):
            pytest.fail(
                "the stream manager was started without this receiver: name webhook_receiver in the arguments of the test",
                pytrace=False,
            )
    thread: LoopThread = request.getfixturevalue("_stream_manager_thread")
    thread.call(_webhook_server.reset)
    return _facade(request)(_webhook_server, thread)


@pytest.fixture
def hook_app(request: pytest.FixtureRequest, _hook_app_server: HookApp) -> HookApp:
    """Your own application on a free port, which the stream manager posts its hooks to.

    It is what the fixture ``hook_application`` returns. ``url`` is its base URL, ``app`` the application.
    """
    for running in running_in(request.node):
        if not running.posts_to(_hook_app_server.hook_url):
            pytest.fail(
                "the stream manager was started without this receiver: name hook_app in the arguments of the test",
                pytrace=False,
            )
    return _hook_app_server


@pytest.fixture
def auth(request: pytest.FixtureRequest, _auth_server: AuthBackEnd, stream_manager: EmbeddedSimulator) -> Any:
    """The back end that the stream manager asks who may publish: ``auth.deny("ann")``.

    See :class:`smproxy.testing.AuthBackEnd`.
    """
    if stream_manager.inner.settings.auth_uri != _auth_server.url:
        pytest.fail(
            "the stream manager was started without this back end: name auth in the arguments of the test",
            pytrace=False,
        )
    stream_manager.thread.call(_auth_server.reset)
    return _facade(request)(_auth_server, stream_manager.thread)


@pytest.fixture
def faults(stream_manager: EmbeddedSimulator) -> Iterator[FaultRegistry]:
    """What goes wrong on purpose: ``faults.add("publish-denied", id="s1")``.

    All are switched off after the test.

    See :mod:`smproxy.faults`.
    """
    book = stream_manager.faults
    yield book
    book.clear()


def _facade(request: pytest.FixtureRequest) -> Callable[[Any, LoopThread], Remote]:
    """Choose how the test waits: a coroutine awaits, a function blocks."""
    from smproxy.testing.pending_calls import PendingCalls
    from smproxy.testing.remote import Awaiting, Blocking

    function = request.function
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        return Blocking
    return functools.partial(Awaiting, calls=request.node.stash.setdefault(PENDING, PendingCalls()))


def _started(start: Callable[[], T]) -> T:
    """Start something for a test.

    What keeps it from starting fails the test in one line, without a traceback.
    """
    from smproxy.settings import SettingsError
    from smproxy.testing.errors import CannotRun

    try:
        return start()
    except (SettingsError, TypeError) as error:
        refused = f"the stream manager cannot be started: {error}"
    except CannotRun as error:
        refused = str(error)
    except RuntimeError as error:
        if not CannotRun.explains(error):
            raise
        refused = str(CannotRun.because(error))
    pytest.fail(refused, pytrace=False)  # outside of the handler, so that the report is this line alone


def _new_directory(request: pytest.FixtureRequest) -> Path:
    """Name a directory for recordings, which is made when there is one."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return factory.getbasetemp() / f"recordings-{uuid.uuid4().hex[:12]}"


def _items_of(node: pytest.Item | pytest.Collector) -> list[pytest.Item]:
    """Return the tests that share what is made for ``node``."""
    if isinstance(node, pytest.Item):
        return [node]
    return [item for item in node.session.items if node in item.listchain()]
