"""The example back ends, as they stand, decide for a real stream manager."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import aiohttp
import pytest
from smproxy.testing import PublishRejected, WebhookReceiver

from tests.helpers import scaled
from tests.integration.conftest import StartSimulator

EXAMPLES = Path(__file__).parents[2] / "examples" / "auth"
COMMANDS = {
    "fastapi": [sys.executable, "-m", "uvicorn", "fastapi_back_end:app", "--log-level", "error", "--port"],
    "node": [shutil.which("node") or "node", "back_end.mjs"],
}


async def live(url: str) -> list[str]:
    """Return what the back end knows to be live."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/live") as response:
        streams: list[str] = await response.json()
        return streams


async def until_live(url: str, wanted: list[str]) -> None:
    """Wait until the back end runs and knows these streams."""
    async with asyncio.timeout(scaled(20)):
        while True:
            try:
                if await live(url) == wanted:
                    return
            except aiohttp.ClientError:  # it does not listen yet
                continue


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_example(
    start_simulator: StartSimulator, receiver: WebhookReceiver, unused_tcp_port: int, command: list[str]
) -> None:
    """It lets in who is known, refuses a wrong password and a publisher that may only watch, and notes ends."""
    process = await asyncio.create_subprocess_exec(*command, str(unused_tcp_port), cwd=EXAMPLES)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    try:
        await until_live(url, [])
        simulator = await start_simulator(receiver, auth_uri=url)
        async with simulator.publisher("cam", customerScope="acme", username="ann", password="an example"):
            await until_live(url, ["cam"])
            async with simulator.subscriber("cam", customerScope="acme", username="ann", password="an example"):
                pass
        await until_live(url, [])
        for username, password in (("ann", "wrong"), ("bob", "an example"), ("constructor", "x")):
            with pytest.raises(PublishRejected):
                await simulator.publisher("cam2", customerScope="acme", username=username, password=password).publish()
        assert await live(url) == []
    finally:
        process.terminate()
        await process.wait()
