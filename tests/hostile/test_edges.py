"""Requests that break where others are only wrong: each gets the documented refusal, and no traceback (A10, A16)."""

from __future__ import annotations

import asyncio
import gzip
import logging

import pytest

from tests.helpers import eventually, scaled
from tests.hostile.raw import WEBSOCKET, ask, connected, refusal, request
from tests.integration.conftest import StartSimulator

TRIGGER = "/api/v1/hooks/trigger"
DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
CHUNKED = "Transfer-Encoding: chunked"

#: A request, and the status of its refusal.
BROKEN = {
    "deep object": (request("POST", TRIGGER, body=b'{"event":"session","params":{"meta":' + DEEP + b"}}"), 400),
    "deep list": (request("POST", TRIGGER, body=b"[" * 100_000), 400),
    "deep fault": (request("POST", "/api/v1/faults", body=b'{"fault":"silence","parameters":' + DEEP + b"}"), 400),
    "no UTF-8": (request("POST", TRIGGER, body=b"\xff\xfe"), 400),
    "long number": (
        request("POST", TRIGGER, body=b'{"event":"session","params":{"session":' + b"9" * 5000 + b"}}"),
        400,
    ),
    "no gzip": (request("POST", TRIGGER, "Content-Encoding: gzip", body=b"no gzip"), 400),
    "no deflate": (request("POST", TRIGGER, "Content-Encoding: deflate", body=b"no deflate"), 400),
    "unknown coding": (request("POST", TRIGGER, "Content-Encoding: zstd", body=b"no zstd"), 400),
    "bomb": (request("POST", TRIGGER, "Content-Encoding: gzip", body=gzip.compress(bytes(50_000_000))), 413),
    "large body": (request("POST", TRIGGER, body=bytes(1_100_000)), 413),
    "bad chunk": (request("POST", TRIGGER, CHUNKED) + b"zz\r\nab\r\n", 400),
    "two lengths": (request("POST", TRIGGER, "Content-Length: 4", body=b"abc"), 400),
    "length and chunks": (request("POST", TRIGGER, CHUNKED, body=b"0\r\n\r\n"), 400),
    "bad header": (request("GET", "/healthz", "no header"), 400),
    "bad header later": (request("GET", "/nothing") + request("GET", "/healthz", "no header"), 400),
    "bad target": (request("GET", "http://[::1"), 400),
    "user in target": (request("GET", "http://a:b@localhost/"), 400),
    "unknown expectation": (request("POST", "/api/v1/reset", "Expect: miracles", body=b"x"), 417),
    "unknown method": (request("BREW", "/api/v1/sessions"), 400),
    "another method": (request("PATCH", "/api/v1/sessions"), 405),
    "long header": (request("GET", "/healthz", "X: " + "x" * 20_000), 431),
    "long line": (request("GET", "/healthz?" + "x" * 20_000), 414),
    "NUL in a path": (request("GET", "/api/v1/recordings/%00"), 404),
    "surrogate in a path": (request("GET", "/api/v1/streams/live/%ed%a0%80"), 404),
    "seconds": (request("GET", "/api/v1/hooks/wait?timeout=1e1"), 400),
    "negative seconds": (request("GET", "/api/v1/hooks/wait?timeout=-1"), 400),
    "endless seconds": (request("GET", "/api/v1/hooks/wait?timeout=inf"), 400),
    "foreign digits": (request("GET", "/api/v1/hooks/wait?timeout=%D9%A3"), 400),
    "handshake without a key": (request("GET", "/live/webhook", *WEBSOCKET[:3]), 400),
    "handshake of another version": (request("GET", "/live/webhook", *WEBSOCKET[:2], "Sec-WebSocket-Version: 8"), 400),
    "no handshake": (request("GET", "/live/webhook"), 400),
}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged that somebody would have to look into."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


@pytest.mark.parametrize("name", BROKEN)
async def test_refused(start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Whatever is wrong, and wherever it is found: a status, one line in JSON, nothing in the log."""
    simulator = await start_simulator()
    data, expected = BROKEN[name]
    status, headers, body = await ask(simulator.port, data)
    assert (status, bool(refusal(headers, body))) == (expected, True)
    assert errors(caplog) == []
    assert (await ask(simulator.port, request("GET", "/healthz")))[0] == 200


@pytest.mark.parametrize("how", ["abort", "close"])
@pytest.mark.parametrize(
    "path", [TRIGGER, "/api/v1/faults", "/api/v1/reset", "/live/whip/endpoint/s?customerScope=a", "/"]
)
async def test_leaving_in_mid_body(
    start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture, how: str, path: str
) -> None:
    """A client that leaves in the middle of its body leaves nothing in the log, and no connection."""
    simulator = await start_simulator()
    for lines, start in ((("Content-Length: 100",), b"{"), ((CHUNKED,), b"5\r\nab")):
        async with connected(simulator.port) as (_, writer):
            writer.write(request("POST", path, *lines) + start)
            await eventually(lambda: len(simulator.manager._listener.deadlines.bodies) == 1)
            writer.transport.abort() if how == "abort" else writer.close()
            await eventually(lambda: simulator.manager._listener.connections == 0)
    assert errors(caplog) == []


@pytest.mark.parametrize("timeout", ["0.3333333333333333", "0.1", ".1", "0.", "0", "0.30000000000000004"])
async def test_seconds_as_programs_write_them(start_simulator: StartSimulator, timeout: str) -> None:
    """A third, as Python and JavaScript write it, is a number of seconds."""
    simulator = await start_simulator()
    status, headers, body = await ask(simulator.port, request("GET", f"/api/v1/hooks/wait?timeout={timeout}"))
    assert status == 408
    assert headers["content-type"].startswith("application/json")
    assert b"within" in body


BAD_TEXTS = {
    "id": ["x" * 256, "a%00b", "a%0Ab", "a%1B[31m", "a%E2%80%AEb", "a%C2%85b", ""],
    "username": ["x" * 256, "a%0Db"],
    "customerScope": ["x" * 256, "a%E2%80%8Fb"],
    "app": ["x" * 256, "live%00", "a%2F..%2Fb"],
    "context": ["a%0Ab"],
    "meta": ["%7B%22a%22:" * 65 + "1" + "%7D" * 65, "[]", "{", "%7B%22a%22:%22" + "x" * 4096 + "%22%7D"],
    "host": ["a%0Ab", "undefined"],
    "recording": ["perhaps"],
    "simulate": ["x" * 1025, "a%0Ab"],
}


@pytest.mark.parametrize("key", BAD_TEXTS)
async def test_connection_parameters(
    start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    """What a name may not have in it is refused in the signaling's words, by the same rule for each parameter."""
    simulator = await start_simulator()
    for value in BAD_TEXTS[key]:
        query = "&".join(f"{name}={text}" for name, text in {"id": "s", "customerScope": "acme", key: value}.items())
        async with connected(simulator.port) as (reader, writer):
            writer.write(request("GET", f"/streammanager?{query}", *WEBSOCKET))
            assert (await reader.readline()).split()[1] == b"101"
            async with asyncio.timeout(scaled(10)):
                await reader.readuntil(b"NetConnection.Connect.Rejected")
    assert errors(caplog) == []
    assert all(record.getMessage().isprintable() for record in caplog.records)


async def test_settings_show_no_credentials() -> None:
    """Neither URLs of receivers nor secrets nor tokens are in the ``repr`` of the settings."""
    from smproxy.settings import Settings

    settings = Settings(
        hook_uri=("https://ann:hush@receiver.example/?token=hush",), hook_secret=("hush",), admin_token="hush",
        webhooks_endpoint="http://ann:hush@receiver.example/",
    )  # fmt: skip
    assert "hush" not in repr(settings)
    assert "hush" not in repr(settings.sinks)
