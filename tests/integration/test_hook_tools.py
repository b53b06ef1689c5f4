"""The hook tools with the whole product: a real ``smproxy serve``, a real publisher, and the commands as processes."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
from smproxy.testing import Publisher

from tests.helpers import eventually
from tests.integration.commands import finish, listening, run, start
from tests.integration.lives import STARTS, check_whole_life, spell
from tests.integration.test_serve_command import serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_a_life_seen_by_every_tool(tmp_path: Path) -> None:
    """A session's life is the same on a verified receiver, on the webhook socket, in a replay, and in the journal."""
    async with listening("--json", "--count", "10", SMPROXY_HOOK_SECRET=SECRET) as (receiver, url):
        async with serving("--hook-uri", url, cwd=tmp_path, SMPROXY_HOOK_SECRET=SECRET) as serve:
            api = f"http://127.0.0.1:{serve.port}"
            socket = f"ws://127.0.0.1:{serve.port}/live/webhook"
            watching = await start("listen", f"{socket}?customerScope=acme", "--json")
            async with aiohttp.ClientSession() as http:

                async def metrics() -> str:
                    async with http.get(f"{api}/metrics") as response:
                        return await response.text()

                async def journalled() -> list[str]:
                    async with http.get(f"{api}/api/v1/hooks") as response:
                        return [spell(event) for event in (await response.json())["hooks"]]

                text = ""
                while "smproxy_webhook_listeners 1.0" not in text:
                    text = await metrics()
                async with Publisher(serve.url, stream="s", params={"customerScope": "acme"}):
                    text = await metrics()
                    assert "smproxy_sessions 1.0" in text
                    told: list[str] = []
                    while len(told) < 5:
                        told = await journalled()
                    assert told[:3] == STARTS
                while len(told) < 9:
                    told = await journalled()
                check_whole_life(told)
            done = await run("hooks", "trigger", "connected", "--param", "customerScope=other", "--url", api)
            assert done.code == 0, done.err
            received = await finish(receiver)
            assert received.code == 0, received.err
            replay = await run("listen", f"{socket}?since=0&customerScope=acme", "--json", "--count", "9")
            assert replay.lines == received.lines[:9]
            assert await serve.stop() == 0
            watched = await finish(watching)
            assert watched.lines == received.lines[:9]
            assert "1001" in watched.err
        done = await run("hooks", "list", "--json", cwd=tmp_path)
        listed = [json.loads(line) for line in done.lines]
        for event in listed:
            del event["id"]
        assert listed == [json.loads(line) for line in received.lines]
        done = await run("hooks", "show", listed[0]["uuid"], cwd=tmp_path)
        assert "delivered after 1 attempt" in done.out
        assert SECRET not in serve.log.read_text() + received.err


async def test_the_last_hooks_reach_listeners(tmp_path: Path) -> None:
    """When the instance stops, listeners get the ends of what lived before they are closed with 1001."""
    async with serving(cwd=tmp_path) as serve:
        watching = await start("listen", f"ws://127.0.0.1:{serve.port}/live/webhook?since=0", "--json")
        publisher = Publisher(serve.url, stream="s", params={"customerScope": "acme"})
        await publisher.publish()
        assert watching.stdout is not None
        lines = [await watching.stdout.readline() for _ in range(5)]
        assert await serve.stop() == 0
        watched = await finish(watching)
        await eventually(lambda: publisher.closed.is_set())
        await publisher.close()
    check_whole_life([spell(json.loads(line)) for line in [*lines, *watched.lines]])
    assert "1001" in watched.err
