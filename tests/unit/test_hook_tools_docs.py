"""The page about the hook tools says what the code does."""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from smproxy.cli import make_parser
from smproxy.commands.hooks import add_arguments as add_hooks
from smproxy.commands.listen import add_arguments as add_listen
from smproxy.faults import FaultRegistry
from smproxy.hooks.broadcast import HookBroadcast
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.journal import Journal
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.hooks.trigger import Trigger
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.hooks import DEFAULT_LIMIT, FILTERS, MAX_LIMIT, HookRoutes
from smproxy.manager.rest.metrics import Metrics
from smproxy.manager.rest.sinks import SinkRoutes
from smproxy.manager.services import Services
from smproxy.manager.settings import ManagerSettings
from smproxy.signaling.clock import Clock

TEXT = (Path(__file__).parents[2] / "docs" / "hook-tools.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return a section of the page, without its subsections' headings."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert match is not None, heading
    return match[1]


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings if name.startswith("--")} - {"--help"}


def test_listen_options() -> None:
    """The table has every option of ``listen``, and no other."""
    parser = argparse.ArgumentParser()
    add_listen(parser)
    rows = re.findall(r"^\| (`--.*?) \|", section("`smproxy listen`"), re.MULTILINE)
    assert set(re.findall(r"--[a-z-]+", " ".join(rows))) == options(parser)


def test_hooks_filters() -> None:
    """The table of filters is that of ``hooks list`` and ``hooks dead``."""
    parser = argparse.ArgumentParser()
    add_hooks(parser)
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    rows = re.findall(r"^\| (`--.*?) \|", section("list, dead, show"), re.MULTILINE)
    for name in ("list", "dead"):
        assert set(re.findall(r"--[a-z-]+", " ".join(rows))) | {"--data-dir"} == options(commands[name])
    for name in ("resend", "trigger"):
        assert options(commands[name]) <= set(re.findall(r"--[a-z-]+", TEXT)), name


def test_every_command_line_is_understood() -> None:
    """Each command on the page is one that the parser takes."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("smproxy ")]
    assert len(commands) > 12
    import shlex

    for command in commands:
        make_parser().parse_args(shlex.split(command)[1:])


async def test_api_and_metrics() -> None:
    """The tables of calls, filters and metrics hold what there is, and nothing else."""
    clock, rng = Clock(), random.Random()
    journal = await Journal.start(None, clock=clock)
    dispatcher = await HookDispatcher.start(
        [parse_hook_uri("http://127.0.0.1:9/")], clock=clock, rng=rng, journal=journal
    )
    trigger = Trigger(dispatcher, rng=rng)
    routes = {
        f"{route.method} {route.path.replace('{uuid}', 'UUID').replace('{sink:.+}', 'NAME')}"
        for route in (*HookRoutes(dispatcher, trigger).routes(), *SinkRoutes(dispatcher, clock=clock).routes())
    }
    told = section("The API")
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) .*?)` \|", told, re.MULTILINE)) == routes
    for name in (*FILTERS, "deliveries"):
        assert f"`{name}`" in told, name
    assert f"default {DEFAULT_LIMIT}, at most {MAX_LIMIT}" in told
    services = Services(
        ManagerSettings(),
        dispatcher=dispatcher,
        broadcast=HookBroadcast(),
        clock=clock,
        rng=rng,
        faults=FaultRegistry(clock=clock, rng=rng),
    )
    metrics = Metrics(services, ClientLimit("listeners"))
    registry = metrics._registry
    assert isinstance(registry, CollectorRegistry)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    named = {family.name for family in families}
    page = re.findall(r"^\| (`smproxy.*?) \|", section("Metrics"), re.MULTILINE)
    documented: set[str] = set()
    for row in page:
        first = ""
        for name in re.findall(r"`([a-z_]+)", row):
            full = name if not name.startswith("_") else (re.sub(r"_[a-z]+(_total)?$", "", first) + name)
            first = first or name
            documented.add(re.sub(r"_(total|sum|count|bucket)$", "", full))
    assert documented == named
    await dispatcher.stop(0)
    await journal.stop()
