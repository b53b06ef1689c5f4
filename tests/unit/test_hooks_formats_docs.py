"""The page about formats says what the code does."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from smproxy.hooks.formats.registry import FORMATS
from smproxy.hooks.sinks.nats import DEFAULT_PORT, DEFAULT_PREFIX, NatsSink, customer_scope_token
from smproxy.hooks.sinks.signature import Signer
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.signaling.payloads import RoomPayload
from standardwebhooks import Webhook

from tests.unit.test_hooks_formats import PEER, PUBLISHER, SUBSCRIBER, made, projected, state

PAGE = Path(__file__).parents[2] / "docs" / "hook-formats.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_table_of_formats_is_complete() -> None:
    """The table lists every format with its media type."""
    rows = re.findall(r"^\| `([\w-]+)`[^|]*\|[^|]*\| `([\w/+]+)` \|$", TEXT, re.MULTILINE)
    assert dict(rows) == {name: known.content_type for name, known in FORMATS.items()}


def test_the_samples_are_what_is_sent() -> None:
    """The samples have the keys, in their order, and the values of what is made of such an event."""
    red5, cloud, atm0s, room = (json.loads(block) for block in blocks("json"))
    assert projected("atm0s", made(state("connecting", remote_ip="127.0.0.1"))) == atm0s | {"node": 3}
    started = RoomPayload(session=7, room="live", event="room_started", peers=1)
    assert projected("atm0s", made(started)) == room | {"node": 3}
    assert list(projected("red5", made(PEER)).items()) == list(red5.items())
    event = made(state("connected", remote_ip="127.0.0.1", after_ms=412), 2)
    sent = projected("cloudevents", event)
    assert list(sent) == list(cloud)
    differ = {key for key in sent if sent[key] != cloud[key]}
    assert differ == {"id", "source", "data"}, "the random part, the node of the test, and what is left out"
    assert list(cloud["data"])[:4] == list(sent["data"])[:4]


def test_every_red5_event_is_named() -> None:
    """The table of the Red5 format has exactly the webhooks that can be sent."""
    table = TEXT.partition("| our event |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`((?:websocket|connection|stream|video)-[a-z]+)`", table))
    assert named == {word for _, _, word in (*PUBLISHER, *SUBSCRIBER) if word is not None}


def test_the_verifying_example_works() -> None:
    """The example takes what is signed with its secret and refuses what is not, whatever it gets."""
    example: dict[str, Any] = {}
    exec(next(block for block in blocks("python") if "webhook.verify" in block), example)
    secret = re.search(r'Webhook\("(whsec_\w+)"\)', TEXT)
    assert secret is not None
    now = int(time.time())
    headers = {"webhook-id": "a", "webhook-timestamp": str(now), **Signer(secret[1]).headers("a", now, b"{}")}
    assert example["check"](b"{}", headers)
    for body, changes in (
        (b"{ }", {}),
        (b"\xff", {}),
        (b"{}", {"webhook-signature": "nonsense"}),
        (b"{}", {"webhook-signature": "v1,x"}),
        (b"{}", {"webhook-timestamp": "0"}),
    ):
        assert not example["check"](body, {**headers, **changes})
    assert isinstance(Webhook(b"any other text"), Webhook)


def test_names_of_nats_are_those_of_the_code() -> None:
    """Port, prefix and subjects are the defaults; the URLs shown are accepted."""
    assert f"port {DEFAULT_PORT}, prefix `{DEFAULT_PREFIX}`" in TEXT
    assert customer_scope_token("a.b") == "a%2Eb"
    assert customer_scope_token(None) == "_"
    for uri in re.findall(r"(?:nats|tls)://[\w.:@/]+", TEXT):
        assert isinstance(parse_hook_uri(uri), NatsSink)
