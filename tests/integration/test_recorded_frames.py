"""Frames of real SDK sessions, recorded in headless Chromium against this project, hold what they promise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientMessage, read_client, read_server
from websockets.asyncio.client import connect

from tests.helpers import scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published

FRAMES = Path(__file__).parents[2] / "fixtures/frames"
RECORDINGS = sorted(FRAMES.glob("*.jsonl"))

#: What comes only once media or the data channel is up, which a replay of signaling alone does not bring about; and what a
#: subscriber hears from then on.
NEEDS_MEDIA = {messages.PUBLISH_AVAILABLE, messages.PLAY_START, messages.DATA_CHANNEL_AVAILABLE}
NEEDS_MEDIA |= {messages.PLAY_UNPUBLISH_NOTIFY, "metadata", "send"}

#: The keys that name the messages of an SDK.
KNOWN = {"is_available", "handle_offer", "handle_candidate", "publish", "unpublish", "switch_channel"}
KNOWN |= {"request_offer", "handle_answer", "subscribe"}


def frames(recording: Path) -> Iterator[tuple[str, str]]:
    """Read a recording as (sender, text)."""
    for line in recording.read_text().splitlines():
        frame = json.loads(line)
        yield frame["from"], frame["text"]


def kind(text: str) -> str:
    """Name a server's message by what an SDK goes by."""
    message: dict[str, Any] = json.loads(text)
    data = message.get("data", {})
    if "isAvailable" in message:
        return f"isAvailable {message['isAvailable']}"
    for word in ("send", "metadata"):
        if word in message or message.get("type") == word:
            return word
    return str(data.get("code") or "".join(sorted(data)))


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_every_client_frame_is_known(recording: Path) -> None:
    """Every frame that an SDK sent is read as a message of the known ones, with the stream's name where it has one."""
    sent = [text for sender, text in frames(recording) if sender == "client"]
    assert sent
    for text in sent:
        message = read_client(text)
        assert message is not None
        given = {field for field in ClientMessage.__struct_fields__ if getattr(message, field) is not UNSET}
        assert given & KNOWN


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_what_the_sdk_goes_by(recording: Path) -> None:
    """Connection statuses have no ``message``, stream statuses have one, and availability is a boolean at the top."""
    for sender, text in frames(recording):
        if sender == "client":
            continue
        message = read_server(text)
        assert message is not None
        if message.data is UNSET:
            assert isinstance(message.is_available, bool)
        elif message.data.code is not UNSET:
            # The notice of an unpublish is the one stream status without.
            alone = (
                message.data.code.startswith("NetConnection.") or message.data.code == messages.PLAY_UNPUBLISH_NOTIFY
            )
            assert (message.data.message is UNSET) is alone


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
async def test_replay(start_simulator: StartSimulator, publisher: MakePublisher, recording: Path) -> None:
    """A recorded client that is played again through the proxy gets the answers that the recording has, in its order."""
    simulator = await start_simulator()
    name = "camera-1"
    if recording.stem.startswith("subscribe"):
        await published(simulator, publisher(simulator, "camera-1"))
        name = "subscriber-1b31"
    async with connect(f"{simulator.url}?id={name}&customerScope=acme") as socket, asyncio.timeout(scaled(10)):
        for sender, text in frames(recording):
            if "switchChannel" in text:
                break
            if sender == "client":
                await socket.send(text)
            elif kind(text) not in NEEDS_MEDIA:
                assert kind(str(await socket.recv())) == kind(text)
