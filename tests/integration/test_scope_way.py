"""The modules that docs/architecture.md names are those through which a customer scope goes from URL to posted hook."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import msgspec
import pytest
import smproxy
import yarl
from smproxy.testing import WebhookReceiver

from tests.check_docs import SCOPE_WAY
from tests.integration.conftest import StartSimulator

PACKAGE = Path(smproxy.__file__).parent
MARK = "zebra-77"


def holds(value: Any, depth: int = 2) -> bool:
    """Return whether the mark is in a value, or in what a value of ours has."""
    if isinstance(value, str | bytes | bytearray):
        return (MARK if isinstance(value, str) else MARK.encode()) in value
    if isinstance(value, yarl.URL):
        return MARK in str(value)
    if not depth:
        return False
    if isinstance(value, list | tuple):
        return any(holds(each, depth - 1) for each in value[:50])
    if isinstance(value, msgspec.Struct):
        return any(holds(getattr(value, name), depth - 1) for name in value.__struct_fields__)
    if dataclasses.is_dataclass(value):
        return any(holds(getattr(value, field.name, None), depth - 1) for field in dataclasses.fields(value))
    return False


@pytest.fixture
def modules() -> Iterator[list[str]]:
    """The modules with a function that was given the mark, in the order of their first one."""
    found: list[str] = []
    inside = threading.local()

    def called(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)) or getattr(inside, "called", False):
            return
        module = str(Path(code.co_filename).relative_to(PACKAGE))
        inside.called = True
        try:
            arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if module not in found and any(holds(frame.f_locals[name]) for name in arguments if name in frame.f_locals):
                found.append(module)
        finally:
            inside.called = False

    threading.setprofile(called)
    sys.setprofile(called)
    yield found
    sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type]


async def test_the_way_of_the_customer_scope(
    receiver: WebhookReceiver, start_simulator: StartSimulator, modules: list[str]
) -> None:
    """The scope goes through the documented modules, in their order, and these are fewer than 22."""
    simulator = await start_simulator(receiver)
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{simulator.url}?id=cam&customerScope={MARK}"):
        await receiver.wait_for_count(1)
    assert [module for module in modules if module in SCOPE_WAY] == list(SCOPE_WAY)
    assert len(SCOPE_WAY) < 22
