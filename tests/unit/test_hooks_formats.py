"""The formats: what is sent for each event, to the byte."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from smproxy.hooks.event import Context, EncodedEvent, EventFactory, encode
from smproxy.hooks.formats.cloudevents import rfc3339
from smproxy.hooks.formats.red5 import Red5, connection_guid
from smproxy.hooks.formats.registry import ENVELOPE, FORMATS, format_named
from smproxy.hooks.journal import Journal, JournalQuery, JournalReader
from smproxy.hooks.sinks.nats import subject_of
from smproxy.signaling.clock import Clock
from smproxy.signaling.payloads import (
    ConnectError,
    Kind,
    LocalTrackPayload,
    Payload,
    PeerPayload,
    Reason,
    RecordingPayload,
    RemoteTrackPayload,
    Role,
    SessionPayload,
    WebSocketPayload,
)

from tests.hooks_support import NOW, connection

SESSION = 5577006791947779
STREAM = "live/room1/cam-1"
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"


def made(payload: Payload, seq: int = 1, *, context: Context | None = None, **changes: Any) -> EncodedEvent:
    """Make an event as a sink gets it."""
    factory = EventFactory(node=3, clock=Clock(wall=lambda: NOW), rng=random.Random(seq))
    context = context or Context(user_agent=AGENT, stream=STREAM)
    return encode(factory.make(payload, seq, connection(**changes)), context)


def state(name: str, **values: Any) -> SessionPayload:
    return SessionPayload(session=SESSION, state=name, **values)


def projected(name: str, event: EncodedEvent) -> Any:
    """Return what a format makes of an event, decoded."""
    body = FORMATS[name].project(event)
    return None if body is None else json.loads(body)


JOINED = Context(user_agent=AGENT, stream=STREAM, joined=True)
PEER = PeerPayload(session=SESSION, peer="cam-1", room="live/room1", event="peer_joined")
LEFT = PeerPayload(session=SESSION, peer="cam-1", room="live/room1", event="peer_leaved")


def remote(kind: Kind, event: str) -> RemoteTrackPayload:
    return RemoteTrackPayload(session=SESSION, track=f"{kind.name.lower()}_main", kind=kind, event=event)


#: A publisher's life, in the order in which it is told, with what a Red5 receiver hears of each step.
PUBLISHER: tuple[tuple[Payload, Context | None, str | None], ...] = (
    (state("connecting", remote_ip="127.0.0.1"), None, None),
    (WebSocketPayload(session=SESSION, event="websocket_connected"), None, "websocket-connect"),
    (state("connected", remote_ip="127.0.0.1", after_ms=5), None, "connection-connect"),
    (PEER, None, "stream-published"),
    (WebSocketPayload(session=SESSION, event="websocket_disconnected"), JOINED, "websocket-disconnect"),
    (RecordingPayload(session=SESSION, event="recording_started", file="a.webm"), JOINED, None),
    (remote(Kind.AUDIO, "remote_track_started"), JOINED, None),
    (remote(Kind.VIDEO, "remote_track_started"), JOINED, "video-started"),
    (state("reconnect", remote_ip="127.0.0.1"), JOINED, None),
    (state("reconnected", remote_ip="127.0.0.1", after_ms=5), JOINED, None),
    (remote(Kind.AUDIO, "remote_track_ended"), JOINED, None),
    (remote(Kind.VIDEO, "remote_track_ended"), JOINED, None),
    (LEFT, JOINED, "connection-disconnect"),
    (state("disconnected", duration=9, reason=Reason.USER_ACTION), JOINED, "stream-unpublished"),
    (
        RecordingPayload(session=SESSION, event="recording_saved", file="a.webm", duration=9, size=9),
        JOINED,
        "video-saved",
    ),
)

SUBSCRIBER: tuple[tuple[Payload, Context | None, str | None], ...] = (
    (state("connecting", remote_ip="127.0.0.1"), None, None),
    (WebSocketPayload(session=SESSION, event="websocket_connected"), None, "websocket-connect"),
    (state("connected", remote_ip="127.0.0.1", after_ms=5), None, "connection-connect"),
    (PEER, None, "stream-subscribed"),
    (LocalTrackPayload(session=SESSION, track=1, event="local_track", kind=Kind.VIDEO), JOINED, None),
    (WebSocketPayload(session=SESSION, event="websocket_disconnected"), JOINED, "websocket-disconnect"),
    (LocalTrackPayload(session=SESSION, track=0, event="local_track_attached"), JOINED, None),
    (LocalTrackPayload(session=SESSION, track=1, event="local_track_attached"), JOINED, "video-started"),
    (LocalTrackPayload(session=SESSION, track=1, event="local_track_detached"), JOINED, None),
    (LEFT, JOINED, "connection-disconnect"),
    (state("disconnected", duration=9, reason=Reason.USER_ACTION), JOINED, "stream-unsubscribed"),
)


@pytest.mark.parametrize(("life", "role"), [(PUBLISHER, Role.PUBLISHER), (SUBSCRIBER, Role.SUBSCRIBER)])
def test_red5_tells_a_life_in_the_documented_order(
    life: tuple[tuple[Payload, Context | None, str | None], ...], role: Role
) -> None:
    """A life becomes Red5's webhooks in Red5's order; what it has no word for is not told."""
    for payload, context, word in life:
        webhook = projected("red5", made(payload, context=context, role=role))
        assert (webhook and webhook["event"]) == word, payload


def test_red5_to_the_byte() -> None:
    """A Red5 webhook has the documented keys, in their order, and nothing else."""
    assert FORMATS["red5"].project(made(PEER)) == (
        b'{"event":"stream-published","guid":"live/room1/cam-1","username":"ann",'
        b'"userAgent":"Mozilla/5.0 (X11; Linux x86_64)","clusterNodeType":"TYPE_ORIGIN","timestamp":1790000000123,'
        b'"nodePublicIp":"127.0.0.1"}'
    )
    assert Red5("203.0.113.5").project(made(PEER)) != FORMATS["red5"].project(made(PEER))


def test_red5_tells_where_a_recording_is() -> None:
    """``video-saved`` names the file when it was saved, and the error with the file when it was not."""
    saved = RecordingPayload(session=SESSION, event="recording_saved", file="live/cam.webm", duration=9, size=9)
    webhook = projected("red5", made(saved, context=JOINED))
    assert webhook is not None
    told = {"status": "success", "bucket": "", "objectKey": "live/cam.webm", "recording": "live/cam.webm"}
    assert {key: webhook[key] for key in list(webhook)[7:]} == told
    failed = RecordingPayload(session=SESSION, event="recording_failed", file="live/cam.webm", error="the disk is full")
    webhook = projected("red5", made(failed, context=JOINED))
    assert webhook is not None
    told_of = {"status": "failure", "error": "the disk is full", "recordings": ["live/cam.webm"]}
    assert {key: webhook[key] for key in list(webhook)[7:]} == told_of


def test_red5_keeps_the_documented_quirks() -> None:
    """The guid is the socket's, the connection's or the stream's by category, and the socket's end has the connection's."""
    seen = {}
    for payload, context, word in PUBLISHER:
        if word is not None:
            seen[word] = projected("red5", made(payload, context=context))
    connected = seen["connection-connect"]["guid"]
    assert re.fullmatch(r"[0-9A-Z]{13}", connected)
    assert int(connected, 36) == SESSION
    assert seen["connection-disconnect"]["guid"] == seen["websocket-disconnect"]["guid"] == connected
    assert re.fullmatch(r"\d{1,5}", seen["websocket-connect"]["guid"])
    for word in ("stream-published", "video-started", "stream-unpublished"):
        assert seen[word]["guid"] == STREAM
    assert seen.pop("websocket-connect")["clusterNodeType"] == "undefined"
    assert {webhook["clusterNodeType"] for webhook in seen.values()} == {"TYPE_ORIGIN"}
    assert projected("red5", made(PEER, role=Role.SUBSCRIBER))["clusterNodeType"] == "TYPE_EDGE"


def test_red5_ends_a_connection_that_never_had_a_stream() -> None:
    """A session without a stream ends with connection-disconnect, and one that never connected is not told of."""
    ended = projected("red5", made(state("disconnected", duration=1, reason=Reason.TIMEOUT)))
    assert (ended["event"], ended["guid"]) == ("connection-disconnect", connection_guid(SESSION))
    assert projected("red5", made(state("connect_error", after_ms=1, error=ConnectError.REJECTED))) is None


def test_red5_without_what_it_does_not_know() -> None:
    """What is not known of a client is null, and a stream without a context is named by application and id."""
    webhook = projected("red5", made(PEER, context=Context(), username=None))
    assert (webhook["username"], webhook["userAgent"], webhook["guid"]) == (None, None, "live/cam-1")


def test_cloudevents_to_the_byte() -> None:
    """A CloudEvent has its attributes in lower case and our own message, unchanged, as its data."""
    event = made(state("connected", remote_ip="127.0.0.1", after_ms=5), 2)
    assert FORMATS["cloudevents"].project(event) == (
        b'{"specversion":"1.0","id":"' + event.uuid.encode() + b'","source":"/stream-manager-proxy/nodes/3",'
        b'"type":"dev.stream-manager.session.connected","subject":"sessions/5577006791947779",'
        b'"time":"2026-09-21T14:13:20.123Z","datacontenttype":"application/json",'
        b'"partitionkey":"5577006791947779","sequence":"0000000002","customerscope":"acme","data":' + event.body + b"}"
    )


def test_cloudevents_leave_out_what_has_no_value() -> None:
    """An attribute without a value is absent, as the specification prefers."""
    bare = projected("cloudevents", made(PEER, customer_scope=None))
    assert not {"customerscope", "traceparent"}.intersection(bare)


def test_cloudevents_go_on_with_a_trace() -> None:
    """An event of a traced session has the distributed tracing extension: its trace, with a span of its own."""
    root = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = made(PEER, context=Context(traceparent=root))
    sent = projected("cloudevents", event)["traceparent"]
    assert sent == event.traceparent
    assert sent.split("-")[1] == root.split("-")[1]
    assert sent != root


@pytest.mark.parametrize("name", ["envelope", "cloudevents"])
def test_internal_events_are_not_told(name: str) -> None:
    """Events that only Red5 knows do not appear in the other formats."""
    assert projected(name, made(WebSocketPayload(session=SESSION, event="websocket_connected"))) is None


def test_the_envelope_is_the_body() -> None:
    """Our own format sends the journalled bytes and nothing else."""
    event = made(PEER)
    assert ENVELOPE.project(event) is event.body


def test_an_unknown_format_gets_one_line() -> None:
    """A format that does not exist is refused with the names of those that do."""
    with pytest.raises(ValueError, match="'xml': expected envelope, red5, cloudevents"):
        format_named("xml")


@pytest.mark.parametrize(
    ("ts", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_790_000_000_120, "2026-09-21T14:13:20.120Z"),
    ],
)
def test_times_are_rfc_3339(ts: int, text: str) -> None:
    """Milliseconds become an RFC 3339 time in UTC without rounding."""
    assert rfc3339(ts) == text


# A lone surrogate is what a client's \ud800 in meta decodes to; such text is journalled escaped.
TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud800\udfff\x00\uffff"), max_size=20)
NAME = st.none() | TEXT
LONE = "a\ud800"
PAYLOADS = st.sampled_from(tuple(payload for payload, _, _ in (*PUBLISHER, *SUBSCRIBER)))


@given(
    payload=PAYLOADS,
    seq=st.integers(1, 2**31),
    names=st.fixed_dictionaries({"id": NAME, "username": NAME, "customer_scope": NAME, "app": NAME}),
    role=st.sampled_from(Role),
    meta=st.none() | st.dictionaries(TEXT, TEXT, max_size=3),
    agent=NAME,
    stream=NAME,
    joined=st.booleans(),
)
@example(
    PEER, 1, dict.fromkeys(("id", "username", "customer_scope", "app"), LONE), Role.PUBLISHER, None, None, None, True
)
@example(PEER, 1, {"username": "ann"}, Role.PUBLISHER, {LONE: LONE}, LONE, LONE, True)
@example(PEER, 1, {"customer_scope": "\x00\ufdd0\U0001ffff"}, Role.PUBLISHER, None, None, None, True)
def test_every_format_makes_json_and_always_the_same(
    payload: Payload,
    seq: int,
    names: dict[str, str | None],
    role: Role,
    meta: dict[str, str] | None,
    agent: str | None,
    stream: str | None,
    joined: bool,
) -> None:
    """Whatever a client calls itself, each format makes valid UTF-8 JSON of one line, the same each time, or nothing."""
    context = Context(user_agent=agent, stream=stream, joined=joined)
    event = made(payload, seq, context=context, role=role, meta=meta, **names)
    again = made(payload, seq, context=context, role=role, meta=meta, **names)
    for known in FORMATS.values():
        body = known.project(event)
        assert body == known.project(again)
        if body is None:
            continue
        text = body.decode("utf-8")
        assert "\n" not in text
        message = json.loads(text)
        if known.name == "cloudevents":
            assert message["data"] == json.loads(event.body)
            assert all(re.fullmatch("[a-z0-9]+", attribute) for attribute in message)
            scope = message.get("customerscope", "")
            assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001ffff]", scope)
        if known.name == "red5":
            msgspec.json.decode(body)  # which refuses lone surrogates
            assert message["timestamp"] == event.ts


async def test_an_event_from_the_journal_is_told_like_a_new_one(tmp_path: Path) -> None:
    """What was written to disk and read back is told to the byte like what never left memory, whatever a client sent."""
    context = Context(user_agent=LONE, stream=f"live/{LONE}", joined=True)
    events = [
        made(payload, seq, context=context, customer_scope=LONE, username=LONE, meta={LONE: LONE}, id=LONE)
        for seq, (payload, _, _) in enumerate(PUBLISHER, 1)
    ]
    path = tmp_path / "hooks.db"
    journal = await Journal.start(path, clock=Clock(wall=lambda: NOW))
    for event in events:
        journal.append(event)
    await journal.stop()
    reader = JournalReader.open(path)
    try:
        stored = [found.event for found in reader.find(JournalQuery(internal=True))]
    finally:
        reader.close()
    assert len(stored) == len(events)
    for known in FORMATS.values():
        assert [known.project(event) for event in stored] == [known.project(event) for event in events]
    assert [subject_of("hooks", event) for event in stored] == [subject_of("hooks", event) for event in events]
