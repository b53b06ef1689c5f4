"""The hooks' own HTTP client against libraries, behind the same sink: durable events per second, in turns.

    pip install pyreqwest aiosonic httpx2
    python bench/hook_clients.py [--sessions 2000] [--rounds 5]

Set up as ``bench/hooks.py``. A library that keeps 0.8 of our rate, and passes the tests of hostile receivers, may replace ours.
What is not installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import multiprocessing
import random
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from hooks import BACKLOG, Counting, durable, lives, receive
from results import Figure
from smproxy.hooks.sinks.http import ReceiverAnswer
from yarl import URL

#: Seconds that an attempt may take.
TIMEOUT = 5.0


class Aiohttp:
    """aiohttp."""

    def __init__(self, url: URL, headers: Mapping[str, str]) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return ReceiverAnswer(answer.status, answer.headers.get("Retry-After"))

    def close(self) -> None:
        self._closing = asyncio.ensure_future(self._session.close())


class Pyreqwest:
    """pyreqwest: reqwest and hyper, in Rust."""

    def __init__(self, url: URL, headers: Mapping[str, str]) -> None:
        from pyreqwest.client import ClientBuilder

        builder = ClientBuilder().timeout(timedelta(seconds=TIMEOUT)).no_proxy().default_headers(dict(headers))
        self._client = builder.follow_redirects(False).build()
        self._url = str(url)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        request = self._client.post(self._url).headers(dict(headers)).body_bytes(body).build()
        answer = await request.send()
        return ReceiverAnswer(answer.status, answer.get_header("retry-after"))

    def close(self) -> None:
        self._closing = asyncio.ensure_future(self._client.close())


class BoundedPyreqwest(Pyreqwest):
    """pyreqwest that reads 64 KiB of an answer at most, as the product must."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        request = self._client.post(self._url).headers(dict(headers)).body_bytes(body).build_streamed()
        async with request as answer:
            await answer.body_reader.read(64 * 1024)
            return ReceiverAnswer(answer.status, answer.get_header("retry-after"))


class Aiosonic:
    """aiosonic."""

    def __init__(self, url: URL, headers: Mapping[str, str]) -> None:
        import aiosonic

        self._client = aiosonic.HTTPClient(aiosonic.TCPConnector(pool_configs={":default": {"size": 64}}))
        self._url, self._headers = str(url), dict(headers)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        answer = await self._client.post(self._url, data=body, headers=self._headers | dict(headers))
        await answer.content()
        return ReceiverAnswer(answer.status_code, answer.headers.get("retry-after"))

    def close(self) -> None:
        self._closing = asyncio.ensure_future(self._client.connector.cleanup())


class Httpx2:
    """httpx2."""

    def __init__(self, url: URL, headers: Mapping[str, str]) -> None:
        import httpx2

        self._client = httpx2.AsyncClient(headers=dict(headers), timeout=TIMEOUT, trust_env=False)
        self._url = str(url)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> ReceiverAnswer:
        answer = await self._client.post(self._url, content=body, headers=dict(headers))
        return ReceiverAnswer(answer.status_code, answer.headers.get("retry-after"))

    def close(self) -> None:
        self._closing = asyncio.ensure_future(self._client.aclose())


CLIENTS: dict[str, Any] = {
    "aiohttp": Aiohttp,
    "pyreqwest": Pyreqwest,
    "pyreqwest, bounded": BoundedPyreqwest,
    "aiosonic": Aiosonic,
    "httpx2": Httpx2,
}


class WithClient(Counting):
    """The product's sink over another client."""

    def __init__(self, url: URL, client: Any) -> None:
        super().__init__(url)
        self._client = client

    async def start(self) -> None:
        self._poster = self._client(self._url, self._headers)


async def measure(port: int, sessions: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Measure every client once in each round, in an order of its own; the first round, which warms up, does not count."""
    url = URL(f"http://127.0.0.1:{port}/hooks")
    clients = {name: made for name, made in CLIENTS.items() if importlib.util.find_spec(name.split(",")[0])}
    rates: dict[str, list[float]] = {name: [] for name in ("ours", *clients)}
    for number in range(rounds + 1):
        order = list(rates)
        random.Random(number).shuffle(order)
        for name in order:
            events = lives(max(50, sessions // rounds if number else 50), 1 + number * sessions)
            sink = Counting(url) if name == "ours" else WithClient(url, clients[name])
            rate = await durable(url, events, folder, sink=sink)
            if number:
                rates[name].append(rate)
    return rates


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=receive, args=(theirs,), daemon=True)
    process.start()
    with tempfile.TemporaryDirectory() as folder:
        rates = uvloop.run(measure(pipe.recv(), arguments.sessions, arguments.rounds, Path(folder)))
    pipe.send("end")
    process.join()
    print(f"Durable events per second, {BACKLOG} on their way at most; median of {arguments.rounds} rounds (range)\n")
    for name, values in rates.items():
        share = Figure.of([own / base for own, base in zip(values, rates["ours"], strict=True)])
        print(f"{name:20} {Figure.of(values).text():>28}   of ours: {share.text(2)}")


if __name__ == "__main__":
    main()
