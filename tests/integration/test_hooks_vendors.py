"""Hooks of other servers' formats as their receivers get them, and receivers of one customer scope."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import livekit.api
import pytest
from livekit.protocol.models import ParticipantInfo, TrackType
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import StartSimulator

SECRET = "a secret of thirty-two bytes, or more"


def events_of(hooks: list[dict[str, Any]]) -> list[str]:
    """Return the names of atm0s' events."""
    return [next(iter(hook["event"]["Peer"]["event"])) for hook in hooks]


async def test_livekit(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """LiveKit's own library takes each hook of a publisher and a subscriber, and refuses one that was changed."""
    simulator = await start_simulator(
        hook_uri=(receiver.url,), hook_format=("livekit",), hook_secret=(f"devkey:{SECRET}",)
    )
    async with simulator.publisher("cam", customerScope="acme", username="ann"):
        await eventually(lambda: len(receiver.hooks) >= 4, 10)
        async with simulator.subscriber("cam", customerScope="acme", username="bob"):
            await eventually(lambda: len(receiver.hooks) >= 5, 10)
    await eventually(lambda: any(b"room_finished" in hook.body for hook in receiver.hooks), 10)
    library = livekit.api.WebhookReceiver(livekit.api.TokenVerifier("devkey", SECRET))
    events = [library.receive(hook.body.decode(), hook.headers["Authorization"]) for hook in receiver.hooks]
    names = [event.event for event in events]
    assert names[:2] == ["room_started", "participant_joined"]
    assert names[-1] == "room_finished"
    assert sorted(names) == sorted(
        ["room_started", "room_finished"]
        + ["participant_joined", "participant_left", "track_published", "track_unpublished"] * 2
    )
    assert {event.room.name for event in events} == {"live/cam"}
    joined = [event.participant for event in events if event.event == "participant_joined"]
    assert [(each.identity, each.name, each.is_publisher) for each in joined] == [
        ("cam", "ann", True),
        ("bob", "bob", False),
    ]
    assert {each.state for each in joined} == {ParticipantInfo.State.ACTIVE}
    tracks = {event.track.name: event.track.type for event in events if event.event == "track_published"}
    assert tracks == {"audio_main": TrackType.AUDIO, "video_main": TrackType.VIDEO}
    assert len({event.id for event in events}) == len(events)
    changed = receiver.hooks[0].body.decode().replace("cam", "can")
    with pytest.raises(Exception, match="hash mismatch"):
        library.receive(changed, receiver.hooks[0].headers["Authorization"])


async def test_ome_signature(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """``X-OME-Signature`` is what OvenMediaEngine's receivers compute: HMAC-SHA1 of the body, in base64url without padding."""
    simulator = await start_simulator(hook_uri=(receiver.url,), hook_format=("ome",), hook_secret=(SECRET,))
    async with simulator.publisher("cam", customerScope="acme"):
        await eventually(lambda: len(receiver.hooks) == 1, 10)
    await eventually(lambda: len(receiver.hooks) == 2, 10)
    for hook in receiver.hooks:
        digest = hmac.new(SECRET.encode(), hook.body, hashlib.sha1).digest()
        assert hook.headers["X-OME-Signature"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def test_atm0s_quirks(receiver: WebhookReceiver, start_simulator: StartSimulator) -> None:
    """A receiver that refuses each hook gets the next one all the same; Disconnected comes before Leave."""
    receiver.respond = 500
    simulator = await start_simulator(hook_uri=(receiver.url,), hook_format=("atm0s-quirks",))
    async with simulator.publisher("cam", customerScope="acme"):
        await eventually(lambda: len(receiver.hooks) >= 5, 10)
    await eventually(lambda: b"Leave" in receiver.hooks[-1].body, 10)
    names = events_of([json.loads(hook.body) for hook in receiver.hooks])
    assert names == [
        "Connecting", "Connected", "Join", "RemoteTrackStarted", "RemoteTrackStarted",
        "RemoteTrackEnded", "RemoteTrackEnded", "Disconnected", "Leave",
    ]  # fmt: skip


async def test_a_receiver_for_each_customer_scope(start_simulator: StartSimulator) -> None:
    """Each gets its own customer's events, whole and in order; one without a scope gets all."""
    async with WebhookReceiver() as acme, WebhookReceiver() as other, WebhookReceiver() as everybody:
        uris = (f"scope=acme,{acme.url}", f"scope=other,{other.url}", everybody.url)
        simulator = await start_simulator(hook_uri=uris)
        publishers = [simulator.publisher(f"cam-{scope}", customerScope=scope) for scope in ("acme", "other")]
        await asyncio.gather(*(each.publish() for each in publishers))
        await asyncio.gather(*(each.close() for each in publishers))
        await eventually(lambda: sum(hook.state == "disconnected" for hook in everybody.hooks) == 2, 10)
        for receiver, scope in ((acme, "acme"), (other, "other")):
            await eventually(lambda receiver=receiver: "disconnected" in [hook.state for hook in receiver.hooks], 10)
            assert {hook.event["connection"]["customerScope"] for hook in receiver.hooks} == {scope}
            assert [hook.event["seq"] for hook in receiver.hooks] == list(range(1, len(receiver.hooks) + 1))
        assert len(everybody.hooks) == len(acme.hooks) + len(other.hooks)
