"""``smproxy serve``: runs a simulator until a signal stops it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TextIO

from smproxy.logs import configure_logging
from smproxy.printable import printable
from smproxy.settings import DETACHED, Settings, SettingsError, default_of, load_settings, unknown_variables
from smproxy.settings.options import OPTIONS, Option
from smproxy.signals import on_ending_signals

logger = logging.getLogger(__name__)

USAGE_ERROR = 2
#: Seconds between two looks at whether the process that started this one still lives.
PARENT_CHECK = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the option table."""
    for option in OPTIONS:
        if option.flag is None:
            continue
        arguments: dict[str, Any] = {"dest": option.setting, "default": None, "help": _help(option)}
        if option.metavar is None:
            arguments["action"] = "store_true"
            arguments["default"] = None
        else:
            arguments["metavar"] = option.metavar
            arguments["action"] = "append" if option.repeatable else "store"
        parser.add_argument(option.flag, **arguments)


def run(arguments: argparse.Namespace) -> int:
    """Run ``smproxy serve`` and return its exit code."""
    parent = os.getppid()  # before the imports, which take time in which it may end
    gc.disable()  # what a start makes stays: see _freeze_what_is_there
    try:
        settings = load_settings(vars(arguments), os.environ)
        if settings.detach and DETACHED not in os.environ:
            from smproxy.detach import serve_detached

            return serve_detached(arguments, settings)
        configure_logging(settings.log_level, settings.log_format, _open_log(settings))
        for warning in unknown_variables(os.environ):
            logger.warning("%s", warning)
        _allow_many_sockets()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, parent))
    except SettingsError as error:
        print(f"smproxy serve: {printable(str(error))}", file=sys.stderr)
        return USAGE_ERROR
    return 0


async def _serve(settings: Settings, parent: int) -> None:
    from smproxy.banner import banner
    from smproxy.pid_file import PidFileError, check_free, pid_file
    from smproxy.ready import ReadyFile, ReadyFileError, ready_facts
    from smproxy.simulator import Simulator

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        # The second signal: whoever sends it does not want to wait. A terminal that closes sends SIGHUP twice by itself.
        if stopped.is_set() and number is not getattr(signal, "SIGHUP", None):
            os._exit(1)
        stopped.set()

    on_ending_signals(loop, stop)

    def look_for_parent() -> None:
        if os.getppid() == parent:
            loop.call_later(PARENT_CHECK, look_for_parent)
        else:
            stopped.set()

    if settings.exit_with_parent:
        look_for_parent()
    in_json = settings.log_format == "json"
    ready_file = ReadyFile(settings.ready_file)
    simulator = Simulator(settings)
    try:
        ready_file.remove()
        check_free(settings.pid_file)
        with contextlib.ExitStack() as until_stopped:
            await simulator.start()
            try:
                until_stopped.enter_context(pid_file(settings.pid_file))
                facts = ready_facts(simulator)
                with ready_file.there(facts):
                    _say(_line("ready", **facts) if in_json else banner(simulator))
                    await _first_of(stopped.wait(), simulator.load_media())
                    _freeze_what_is_there()
                    await stopped.wait()
                _say(_line("stopping") if in_json else "Stopping: ending sessions, delivering their hooks.")
            finally:
                await simulator.stop()
    except (ReadyFileError, PidFileError) as error:
        raise SettingsError(str(error)) from None


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Wait for the first that is done, and cancel the others. Raises what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for task in done:
        task.result()


def _open_log(settings: Settings) -> TextIO | None:
    """Open the file of ``--log-file``, for the rest of the process."""
    if settings.log_file is None:
        return None
    try:
        return open(settings.log_file, "a", encoding="utf-8", buffering=1)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SettingsError(f"--log-file {settings.log_file}: {why}: give a file that can be written to") from None


def _line(event: str, **facts: object) -> str:
    """Return a line of JSON, with the fields of a log line."""
    return json.dumps({"ts": int(time.time() * 1000), "level": "info", "event": event, "message": event, **facts})


def _say(text: str) -> None:
    """Print, unless nobody reads any more (``serve | head``, a closed terminal)."""
    try:
        print(text, flush=True)
    except OSError:  # a pipe that was closed, or a terminal
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process


def _freeze_what_is_there() -> None:
    """Have the garbage collector begin, and never look at what the start has made.

    Most of that are modules. Each full collection went over all of it: that was a tenth of a second every few thousand
    sessions. Nothing is collected before, which would take longer than what it frees is worth.
    """
    gc.freeze()
    gc.enable()


def _allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one.

    A session takes four or more, and many systems start at 1,024.
    """
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _help(option: Option) -> str:
    default = default_of(option)
    notes = [f"default {default}"] if default and option.metavar else []
    if option.repeatable:
        notes.append("may be repeated")
    if option.key:
        notes.append(f"{option.key} in --config")
    text = option.help.replace("%", "%%")
    return f"{text} ({'; '.join(notes)})" if notes else text
