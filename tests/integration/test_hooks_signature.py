"""Signed webhooks and their formats, as a receiver on a real socket gets them."""

from __future__ import annotations

import base64
import datetime
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from smproxy.certificates import self_signed, server_context
from smproxy.hooks.event import HookEvent, encode
from smproxy.hooks.formats.registry import FORMATS
from smproxy.hooks.sink import DELIVERED, SKIPPED, Retry, Sink
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import PeerPayload, WebSocketPayload
from smproxy.testing.webhook_receiver import WebhookReceiver
from standardwebhooks import Webhook, WebhookVerificationError

from tests.hooks_support import connection, encoded, hook_event, receiver, statuses

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def joined() -> HookEvent:
    """Make an event that every format has."""
    payload = PeerPayload(session=1, peer="cam", room="live", event="peer_joined")
    return msgspec.structs.replace(hook_event(1, 2), event="peer", payload=payload)


@asynccontextmanager
async def started(uri: str, **options: object) -> AsyncIterator[Sink]:
    sink = parse_hook_uri(uri, **options)  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@pytest.mark.parametrize("secret", [SECRET, "correct horse battery staple"])
@pytest.mark.parametrize("name", FORMATS)
async def test_the_library_verifies_what_arrived(name: str, secret: str) -> None:
    """The verifier of standardwebhooks takes the body and headers that arrived, in every format, and none that differ."""
    named = msgspec.structs.replace(joined(), connection=connection(meta={"é": "\ud800", "url": "a/b"}))
    key = secret if secret == SECRET else secret.encode()
    async with receiver() as made, started(made.url, format=name, secret=secret) as sink:
        assert await sink.deliver(encode(named)) == DELIVERED
        request = made.requests[0]
    verifier = Webhook(key)
    assert verifier.verify(request.body, request.headers) == json.loads(request.body)
    for place in range(0, len(request.body), 7):
        changed = request.body[:place] + bytes([request.body[place] ^ 1]) + request.body[place + 1 :]
        with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
            verifier.verify(changed, request.headers, json_parse=False)
    for header, value in (
        ("webhook-id", "another"),
        ("webhook-timestamp", str(int(request.headers["webhook-timestamp"]) + 1)),
    ):
        with pytest.raises(WebhookVerificationError):
            verifier.verify(request.body, {**request.headers, header: value})
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another key").verify(request.body, request.headers)


async def test_each_attempt_is_signed_for_its_own_time() -> None:
    """A later attempt has the same id and body, a new timestamp and a signature that covers it."""
    times = iter((1_790_000_000.9, 1_790_000_061.0))
    clock = Clock(wall=lambda: next(times, 1_790_000_061.0))
    async with receiver(statuses(204)) as made, started(made.url, secret=SECRET, clock=clock) as sink:
        # The clock is read for the timestamp and for Retry-After.
        await sink.deliver(encoded())
        await sink.deliver(encoded())
        first, second = made.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1790000000", "1790000061")
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_without_a_secret_nothing_is_signed() -> None:
    """No secret, no signature header."""
    async with receiver() as made, started(made.url) as sink:
        await sink.deliver(encoded())
        assert "webhook-signature" not in made.requests[0].headers


async def test_a_format_has_its_media_type_and_its_silence() -> None:
    """Each format is posted with its own media type; an event that it does not tell is skipped without a request."""
    socket = WebSocketPayload(session=1, event="websocket_connected")
    internal = encode(msgspec.structs.replace(hook_event(1, 1), event="websocket", payload=socket))
    types = {}
    async with receiver() as made:
        for name in FORMATS:
            async with started(made.url, format=name) as sink:
                assert await sink.deliver(encode(joined())) == DELIVERED
                types[name] = made.requests[-1].headers["Content-Type"]
                sent = len(made.requests)
                told = await sink.deliver(internal)
                assert (told, len(made.requests) - sent) == ((DELIVERED, 1) if name == "red5" else (SKIPPED, 0))
    assert types == {
        "envelope": "application/json",
        "red5": "application/json",
        "cloudevents": "application/cloudevents+json",
        "livekit": "application/webhook+json",
        **dict.fromkeys(("antmedia", "ome", "srs", "atm0s", "atm0s-quirks"), "application/json"),
    }


@pytest.mark.parametrize("verify", [True, False])
async def test_tls_is_verified_unless_told_otherwise(tmp_path: Path, verify: bool) -> None:
    """https does not talk to a receiver whose certificate nobody vouches for, except on request."""
    files = self_signed(tmp_path, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    context: ssl.SSLContext = server_context(files.certificate, files.key)
    async with WebhookReceiver(ssl=context) as made, started(made.url, verify_tls=verify) as sink:
        outcome = await sink.deliver(encoded())
        if verify:
            assert isinstance(outcome, Retry)
            assert "certificate verify failed" in outcome.why.lower()
            assert made.hooks == []
        else:
            assert outcome == DELIVERED
