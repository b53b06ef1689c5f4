"""The NATS sink against a real NATS server."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from smproxy.certificates import self_signed
from smproxy.hooks.delivery import Limits
from smproxy.hooks.dispatcher import HookDispatcher
from smproxy.hooks.event import EncodedEvent, encode
from smproxy.hooks.sink import DELIVERED, SKIPPED, Dead, Outcome, Retry, Sink
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import WebSocketPayload

from tests.helpers import eventually, scaled
from tests.hooks_support import QUICK, connection, encoded, hook_event
from tests.nats_server import NatsServer, free_port, nats_server


@asynccontextmanager
async def started(uri: str, timeout: float = 5.0, **options: object) -> AsyncIterator[Sink]:
    sink = parse_hook_uri(uri, timeout=scaled(timeout), **options)  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@asynccontextmanager
async def client(server: NatsServer) -> AsyncIterator[Client]:
    made = Client()
    await made.connect(server.url, allow_reconnect=False)
    try:
        yield made
    finally:
        await made.close()


def why(outcome: Outcome) -> str:
    """Return the reason of a failed attempt, which is one line."""
    assert isinstance(outcome, Retry), outcome
    assert "\n" not in outcome.why
    return outcome.why


async def test_what_is_published(tmp_path: Path) -> None:
    """An event is stored with its bytes, its identity and a subject of prefix, customer scope and event."""
    async with nats_server(tmp_path) as server, started(server.url) as sink:
        assert await sink.deliver(encoded(1, 1, "acme")) == DELIVERED
        assert await sink.deliver(encoded(2, 1, "a.b c>*é")) == DELIVERED
        assert await sink.deliver(encoded(3, 1, None)) == DELIVERED
        first, second, third = await server.messages("hooks")
        event = encoded(1, 1, "acme")
        assert first == (
            "hooks.acme.session", {"Nats-Msg-Id": event.uuid, "Content-Type": "application/json"}, event.body
        )  # fmt: skip
        assert second[0] == "hooks.a%2Eb%20c%3E%2A%C3%A9.session"
        assert third[0] == "hooks._.session"


async def test_a_repeated_attempt_is_stored_once(tmp_path: Path) -> None:
    """The server knows an event again by its uuid, also after its own restart, and says delivered each time."""
    async with nats_server(tmp_path) as server, started(server.url) as sink:
        assert await sink.deliver(encoded(1, 1)) == DELIVERED
        assert await sink.deliver(encoded(1, 1)) == DELIVERED
        await server.kill()
        await server.start()
        await _delivered(sink, encoded(1, 1))
        assert await sink.deliver(encoded(1, 2)) == DELIVERED
        assert [body for _, _, body in await server.messages("hooks")] == [encoded(1, 1).body, encoded(1, 2).body]


async def test_the_stream_is_made_once_by_whoever_comes_first(tmp_path: Path) -> None:
    """Many events at once, from two sinks, make one stream; it keeps messages for a limited time on disk."""
    async with (
        nats_server(tmp_path) as server,
        started(f"{server.url}/eu.live") as one,
        started(f"{server.url}/eu.live") as two,
    ):
        outcomes = await asyncio.gather(
            *(sink.deliver(encoded(session, 1)) for session in range(1, 33) for sink in (one, two))
        )
        assert set(outcomes) == {DELIVERED}
        info = await server.stream("eu_live")
        assert info is not None
        assert info.config.subjects == ["eu.live.>"]
        assert (info.config.storage, info.config.max_age, info.config.duplicate_window) == ("file", 7 * 86400, 600)
        assert info.state.messages == 32
        assert await server.stream("hooks") is None


async def test_a_stream_that_takes_the_subjects_is_used(tmp_path: Path) -> None:
    """A stream that somebody set up for these subjects is used as it is, whatever its name."""
    async with nats_server(tmp_path) as server:
        async with client(server) as admin:
            await admin.jetstream().add_stream(StreamConfig(name="MINE", subjects=["hooks.>"], max_msgs=5))
        async with started(server.url) as sink:
            assert await sink.deliver(encoded()) == DELIVERED
        assert len(await server.messages("MINE")) == 1
        assert await server.stream("hooks") is None


async def test_a_stream_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """When the stream goes away under a live connection, the next attempts make it again."""
    async with nats_server(tmp_path) as server, started(server.url) as sink:
        assert await sink.deliver(encoded(1, 1)) == DELIVERED
        async with client(server) as admin:
            await admin.jetstream().delete_stream("hooks")
        assert why(await sink.deliver(encoded(1, 2))) == "NATS: no JetStream stream takes this subject"
        assert await sink.deliver(encoded(1, 2)) == DELIVERED
        assert [body for _, _, body in await server.messages("hooks")] == [encoded(1, 2).body]


async def test_a_name_that_is_taken_gets_one_line(tmp_path: Path) -> None:
    """A stream of the same name for other subjects is left alone; the attempt says what is in the way."""
    async with nats_server(tmp_path) as server, started(server.url) as sink:
        async with client(server) as admin:
            await admin.jetstream().add_stream(StreamConfig(name="hooks", subjects=["other.>"]))
        assert re.fullmatch("NATS: stream hooks cannot be made: .*already in use.*", why(await sink.deliver(encoded())))


@pytest.mark.parametrize("credentials", ["", "ann:wr0ng@", "t0ken@"])
async def test_refused_credentials_are_one_line(
    tmp_path: Path, credentials: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that wants other credentials is tried again later; nothing that is logged or said shows them."""
    async with nats_server(tmp_path, "--user", "ann", "--pass", "s3cret") as server:
        uri = server.url.replace("://", f"://{credentials}")
        with caplog.at_level(logging.DEBUG):
            async with started(uri) as sink:
                reason = why(await sink.deliver(encoded()))
        assert reason == "NATS: the server refused the user, password or token"
        assert re.search("wr0ng|s3cret|t0ken", caplog.text + reason + repr(sink)) is None
        async with started(server.url.replace("://", "://ann:s3cret@")) as sink:
            assert await sink.deliver(encoded()) == DELIVERED


async def test_a_server_that_hangs_up_on_credentials_is_understood() -> None:
    """A server that wants credentials and ends the connection without a word has refused them."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","auth_required":true,"max_payload":1048576}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with started(f"nats://ann:s3cret@127.0.0.1:{port}", timeout=30.0) as sink:
            assert why(await sink.deliver(encoded())) == "NATS: the server refused the user, password or token"


async def test_a_token_is_a_user_without_a_password(tmp_path: Path) -> None:
    """nats://token@host authenticates with a token, as in other NATS clients."""
    async with (
        nats_server(tmp_path, "--auth", "t0k/en") as server,
        started(server.url.replace("://", "://t0k%2Fen@")) as sink,
    ):
        assert await sink.deliver(encoded()) == DELIVERED


async def test_a_server_that_is_not_there_is_one_line() -> None:
    """Without a server each attempt fails at once and says so."""
    async with started(f"nats://127.0.0.1:{free_port()}") as sink:
        assert re.search("Connect call failed|Connection refused", why(await sink.deliver(encoded())))


async def test_a_server_without_jetstream_is_one_line(tmp_path: Path) -> None:
    """A plain NATS server, which stores nothing, is not taken for one that does."""
    server = NatsServer(tmp_path)
    await server.start()
    try:
        async with started(server.url) as sink:
            assert why(await sink.deliver(encoded())) == "NATS: JetStream is not available on this server"
    finally:
        await server.kill()


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """Something that accepts connections and never speaks costs one time-out."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        async with started(f"nats://127.0.0.1:{port}", timeout=0.2) as sink:
            outcomes = await asyncio.gather(*(sink.deliver(encoded(session, 1)) for session in range(1, 9)))
            assert {why(outcome).partition(" within")[0].removeprefix("NATS: ") for outcome in outcomes} <= {
                "no connection", "no acknowledgement"
            }  # fmt: skip


async def test_a_message_that_is_too_large_is_dead(tmp_path: Path) -> None:
    """An event that the server or its stream will never take is given up at once and does not block its session."""
    configuration = tmp_path / "small.conf"
    configuration.write_text("max_payload: 2000\njetstream {}\n")
    large = msgspec.structs.replace(hook_event(), connection=connection(meta={"text": "x" * 2000}))
    async with nats_server(tmp_path, "-c", str(configuration)) as server, started(server.url) as sink:
        outcome = await sink.deliver(encode(large))
        assert isinstance(outcome, Dead)
        assert "more than the server takes" in outcome.why
    (tmp_path / "other").mkdir()
    async with nats_server(tmp_path / "other") as server, started(server.url) as sink:
        async with client(server) as admin:
            await admin.jetstream().add_stream(StreamConfig(name="hooks", subjects=["hooks.>"], max_msg_size=100))
        outcome = await sink.deliver(encoded())
        assert isinstance(outcome, Dead)
        assert "exceeds" in outcome.why


async def test_a_full_stream_is_tried_again(tmp_path: Path) -> None:
    """A stream that refuses because it is full may have room later."""
    async with nats_server(tmp_path) as server, started(server.url) as sink:
        async with client(server) as admin:
            await admin.jetstream().add_stream(
                StreamConfig(name="hooks", subjects=["hooks.>"], max_msgs=1, discard="new")  # type: ignore[arg-type]
            )
            assert await sink.deliver(encoded(1, 1)) == DELIVERED
            assert "maximum messages exceeded" in why(await sink.deliver(encoded(1, 2)))
            await admin.jetstream().purge_stream("hooks")
        assert await sink.deliver(encoded(1, 2)) == DELIVERED


async def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    """When the server forbids the subject, the attempt says which, for it would else only be a time-out."""
    configuration = tmp_path / "permissions.conf"
    configuration.write_text(
        "jetstream {}\n"
        'authorization { users = [ { user: ann, password: s3cret, permissions: { publish: ["$JS.API.>"], '
        'subscribe: ["_INBOX.>"] } } ] }\n'
    )
    async with (
        nats_server(tmp_path, "-c", str(configuration)) as server,
        started(server.url.replace("://", "://ann:s3cret@"), timeout=1.0) as sink,
    ):
        reason = why(await sink.deliver(encoded()))
        assert reason.startswith("no acknowledgement within ")
        assert "permissions violation" in reason.lower()
        assert "hooks.acme.session" in reason


async def test_the_permissions_in_the_documentation_are_enough(tmp_path: Path) -> None:
    """A user who may do just what the documentation lists can publish, the making of the stream included."""
    configuration = tmp_path / "permissions.conf"
    configuration.write_text(
        "jetstream {}\n"
        "authorization { users = [ { user: ann, password: s3cret, permissions: { "
        'publish: ["eu.live.>", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.CREATE.eu_live"], subscribe: ["_INBOX.>"] } } ] }\n'
    )
    async with (
        nats_server(tmp_path, "-c", str(configuration)) as server,
        started(server.url.replace("://", "://ann:s3cret@") + "/eu.live") as sink,
    ):
        assert await sink.deliver(encoded()) == DELIVERED


@pytest.mark.parametrize("scheme", ["tls", "nats"])
@pytest.mark.parametrize("verify", [True, False])
async def test_tls_is_verified_unless_told_otherwise(tmp_path: Path, verify: bool, scheme: str) -> None:
    """Neither scheme talks to a server whose certificate nobody vouches for, except on request."""
    files = self_signed(tmp_path / "tls", ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    options = ("--tls", "--tlscert", str(files.certificate), "--tlskey", str(files.key))
    async with (
        nats_server(tmp_path, *options) as server,
        started(server.url.replace("nats://", f"{scheme}://"), verify_tls=verify) as sink,
    ):
        outcome = await sink.deliver(encoded())
        if verify:
            assert "certificate verify failed" in why(outcome).lower()
        else:
            assert outcome == DELIVERED


async def test_tls_urls_insist_on_tls(tmp_path: Path) -> None:
    """tls:// says nothing to a server that speaks in the clear; least of all a password."""
    heard = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","auth_required":true,"max_payload":1048576}\r\n')
        while data := await reader.read(4096):
            heard.extend(data)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        for credentials in ("ann:s3cret@", "t0ken@"):
            async with started(f"tls://{credentials}127.0.0.1:{port}") as sink:
                assert why(await sink.deliver(encoded())) == "NATS: the server does not ask for TLS"
    assert heard == b""
    async with nats_server(tmp_path) as server, started(server.url.replace("nats:", "tls:")) as sink:
        assert why(await sink.deliver(encoded())) == "NATS: the server does not ask for TLS"


async def test_formats_keep_apart(tmp_path: Path) -> None:
    """Two formats in one stream are two messages each, and what a format does not tell is not published."""
    socket = WebSocketPayload(session=1, event="websocket_connected")
    internal = encode(msgspec.structs.replace(hook_event(1, 1), event="websocket", payload=socket))
    async with (
        nats_server(tmp_path) as server,
        started(server.url) as own,
        started(server.url, format="cloudevents") as cloud,
    ):
        for sink in (own, cloud):
            assert await sink.deliver(encoded(1, 2)) == DELIVERED
            assert await sink.deliver(internal) == SKIPPED
        first, second = await server.messages("hooks")
        assert json.loads(second[2])["data"] == json.loads(first[2])
        assert second[1]["Content-Type"] == "application/cloudevents+json"


async def test_a_server_that_hangs_gets_nothing_twice(tmp_path: Path) -> None:
    """Attempts at a frozen server end in time; when it goes on and takes them all, each event is stored once."""
    async with nats_server(tmp_path) as server, started(server.url, timeout=0.3) as sink:
        assert await sink.deliver(encoded(1, 1)) == DELIVERED
        server.freeze()
        for _ in range(3):
            assert why(await sink.deliver(encoded(1, 2))).startswith("no acknowledgement within ")
        server.thaw()
        await _delivered(sink, encoded(1, 2))
        assert await sink.deliver(encoded(1, 3)) == DELIVERED
        assert [body for _, _, body in await server.messages("hooks")] == [encoded(1, seq).body for seq in (1, 2, 3)]


async def test_a_lost_connection_ends_the_attempts_on_it(tmp_path: Path) -> None:
    """When the server dies, whoever waits for its acknowledgement learns it at once and not at the time-out."""
    async with nats_server(tmp_path) as server, started(server.url, timeout=60.0) as sink:
        assert await sink.deliver(encoded(1, 1)) == DELIVERED
        server.freeze()
        waiting = [asyncio.ensure_future(sink.deliver(encoded(session, 2))) for session in range(1, 9)]
        await server.kill()
        async with asyncio.timeout(scaled(10.0)):
            assert {why(outcome) for outcome in await asyncio.gather(*waiting)} <= {
                "NATS: the connection was lost", "NATS: connection closed"
            }  # fmt: skip


async def test_restarts_under_load_lose_and_reorder_nothing(tmp_path: Path) -> None:
    """While the server is killed and started again and again, every event arrives once and in its session's order."""
    sessions, events, restarts = 40, 150, 4
    async with nats_server(tmp_path) as server:
        dispatcher = await HookDispatcher.start(
            [parse_hook_uri(server.url, timeout=scaled(5.0))],
            clock=Clock(), rng=random.Random(1), profile=QUICK, limits=Limits(queue=sessions * events),
        )  # fmt: skip
        try:
            for restart in range(restarts):
                share = range(restart * events // restarts, (restart + 1) * events // restarts)
                for seq in share:
                    for session in range(1, sessions + 1):
                        dispatcher.publish(hook_event(session, seq + 1, f"scope-{session % 3}"))
                # In the middle of the load, wherever that is.
                before = dispatcher.status()[0].delivered
                await eventually(partial(_beyond, dispatcher, before + 100), timeout=20.0)
                await server.kill()
                await server.start()
            await eventually(lambda: dispatcher.status()[0].backlog == 0, timeout=60.0)
            status = dispatcher.status()[0]
            assert (status.delivered, status.dead, status.dropped) == (sessions * events, 0, 0)
            assert status.attempts > status.delivered, "no restart was noticed"
        finally:
            await dispatcher.stop(0.0)
        arrived: dict[int, list[int]] = defaultdict(list)
        for subject, _, body in await server.messages("hooks"):
            message = json.loads(body)
            arrived[message["payload"]["session"]].append(message["seq"])
            assert subject == f"hooks.{message['connection']['customerScope']}.session"
        assert dict(arrived) == {session: list(range(1, events + 1)) for session in range(1, sessions + 1)}


def _beyond(dispatcher: HookDispatcher, delivered: int) -> bool:
    return dispatcher.status()[0].delivered > delivered


async def _delivered(sink: Sink, event: EncodedEvent) -> None:
    """Try until the event is delivered: what a restart cost the connection may show only at the first attempt."""
    for _ in range(50):
        if await sink.deliver(event) == DELIVERED:
            return
    raise AssertionError("the server is up and the event is not delivered")
