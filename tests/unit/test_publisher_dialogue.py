"""The publisher's side of the signaling: what it says, when, and what it makes of what it hears."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate
from smproxy.testing.dialogue import AddCandidate, DialogueState, Ended, Refused, SendText, Started, SwitchSoon
from smproxy.testing.publisher_dialogue import (
    Action,
    ApplyAnswer,
    CreateOffer,
    PublisherDialogue,
    Stopped,
)

SUCCESS = messages.connect_status(messages.CONNECT_SUCCESS)
TRICKLED = messages.connect_status(messages.TRICKLE_COMPLETED)
CANDIDATE = Candidate("candidate:1 1 udp 2130706431 127.0.0.1 49152 typ host", "0", 0)


def said(actions: list[Action], channel: str = "ws") -> list[dict[str, Any]]:
    """Return the messages that are to be sent, all on the one channel."""
    assert all(isinstance(action, SendText) and action.channel == channel for action in actions)
    return [json.loads(action.text) for action in actions if isinstance(action, SendText)]


def live(**options: Any) -> PublisherDialogue:
    """Bring a dialogue to the point where the stream is live."""
    dialogue = PublisherDialogue("cam", **options)
    dialogue.receive(SUCCESS, "ws")
    dialogue.receive(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    dialogue.answer_applied()
    dialogue.receive(TRICKLED, "ws")
    assert dialogue.receive(messages.publish_starting("cam"), "ws") == [Started()]
    return dialogue


def test_the_whole_conversation() -> None:
    """A publisher asks for the name, offers, trickles, publishes when the answer and the end of trickling are in, and stops."""
    dialogue = PublisherDialogue("cam", mode="record")
    assert said(dialogue.receive(SUCCESS, "ws")) == [{"isAvailable": "cam", "bundle": True}]
    assert dialogue.receive(messages.availability(False), "ws") == [CreateOffer()]
    offer, candidate, end = said(dialogue.offered("v=0", [CANDIDATE]))
    assert offer == {"handleOffer": "cam", "transport": "udp", "data": {"sdp": {"sdp": "v=0", "type": "offer"}}}
    assert candidate["data"]["candidate"] == {"candidate": CANDIDATE.candidate, "sdpMid": "0", "sdpMLineIndex": 0}
    assert end == {"handleCandidate": "cam", "data": {"candidate": {"type": "candidate", "candidate": ""}}}
    assert dialogue.receive(messages.answer("v=1"), "ws") == [ApplyAnswer("v=1")]
    assert dialogue.answer_applied() == []
    assert said(dialogue.receive(TRICKLED, "ws")) == [{"publish": "cam", "mode": "record", "keyFramerate": 3000}]
    assert dialogue.receive(messages.publish_starting("cam"), "ws") == [Started()]
    assert said(dialogue.unpublish()) == [{"unpublish": "cam"}]
    assert dialogue.receive(messages.unpublish_stopping("cam"), "ws") == [Stopped()]
    assert dialogue.state is DialogueState.OVER


def test_the_end_of_trickling_may_come_before_the_answer() -> None:
    """The end of trickling is remembered until the answer was applied."""
    dialogue = PublisherDialogue("cam")
    dialogue.receive(SUCCESS, "ws")
    dialogue.receive(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    assert dialogue.receive(TRICKLED, "ws") == []
    assert said(dialogue.answer_applied())[0]["publish"] == "cam"


def test_old_sdk() -> None:
    """Without the data channel it speaks like SDK 7: bundle false, and the channel's offer is ignored."""
    dialogue = live(data_channel=False)
    assert dialogue.receive(messages.data_channel_available(), "ws") == []
    fresh = PublisherDialogue("cam", data_channel=False)
    assert said(fresh.receive(SUCCESS, "ws")) == [{"isAvailable": "cam", "bundle": False}]


def test_bypass_available() -> None:
    """With bypass_available it offers without asking for the name."""
    assert PublisherDialogue("cam", bypass_available=True).receive(SUCCESS, "ws") == [CreateOffer()]


def test_switch() -> None:
    """After the switch it speaks on the data channel, in the SDK's indented JSON, and is deaf on the socket."""
    dialogue = live()
    assert dialogue.receive(messages.data_channel_available("other"), "ws") == [SwitchSoon("other")]
    assert said(dialogue.switch("other")) == [{"switchChannel": "other"}]
    assert dialogue.switched
    assert dialogue.receive(messages.connect_error(messages.CONNECT_FAILED), "ws") == []
    [unpublish] = dialogue.unpublish()
    assert unpublish == SendText("dc", '{\n  "unpublish": "cam"\n}')
    assert dialogue.receive(messages.unpublish_stopping("cam"), "dc") == [Stopped()]


def test_switch_is_not_offered_before_the_stream_is_live() -> None:
    """DataChannel.Available before "starting" does not cut the socket off."""
    dialogue = PublisherDialogue("cam")
    dialogue.receive(SUCCESS, "ws")
    assert dialogue.receive(messages.data_channel_available(), "ws") == []
    assert dialogue.switch("red5pro") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (messages.connect_status(messages.CONNECT_REJECTED), messages.CONNECT_REJECTED),
        (messages.connect_error(messages.CONNECT_REJECTED), messages.CONNECT_REJECTED),
        (messages.connect_error(messages.CONNECT_FAILED), messages.CONNECT_FAILED),
        (messages.stream_error("NetStream.Publish.Denied", "no"), "NetStream.Publish.Denied"),
    ],
)
def test_refusals_before_success(text: str, code: str) -> None:
    """Each form of refusal ends the conversation with its code."""
    dialogue = PublisherDialogue("cam")
    [refused] = dialogue.receive(text, "ws")
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert dialogue.state is DialogueState.OVER


@pytest.mark.parametrize(
    "text",
    [
        messages.connect_status(messages.CONNECT_FAILED),
        messages.stream_status(messages.CONNECT_SUCCESS, "welcome"),
        messages.connect_error("NetStream.Failed"),
        '{"data":{"isAvailable":false}}',
        "not json",
        "[]",
        '{"data":null}',
    ],
)
def test_what_the_sdk_does_not_understand(text: str) -> None:
    """What makes the SDK wait for ever is not understood here either, so that a test of a server can fail."""
    dialogue = PublisherDialogue("cam")
    assert dialogue.receive(text, "ws") == []
    assert dialogue.state is DialogueState.CONNECTING


def test_name_in_use() -> None:
    """isAvailable true means that the stream exists; the string "true" does not."""
    dialogue = PublisherDialogue("cam")
    dialogue.receive(SUCCESS, "ws")
    [refused] = dialogue.receive(messages.availability(True), "ws")
    assert isinstance(refused, Refused)
    assert refused.code == "Publish.InvalidName"
    dialogue = PublisherDialogue("cam")
    dialogue.receive(SUCCESS, "ws")
    assert dialogue.receive('{"isAvailable":"true"}', "ws") == [CreateOffer()]


def test_error_after_publish_takes_its_leave() -> None:
    """A stream error after "publish" is answered by an unpublish, as SDK 8 and later do."""
    dialogue = PublisherDialogue("cam")
    dialogue.receive(SUCCESS, "ws")
    dialogue.receive(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    dialogue.answer_applied()
    dialogue.receive(TRICKLED, "ws")
    unpublish, refused = dialogue.receive(messages.stream_error("NetStream.Publish.Denied", "no"), "ws")
    assert said([unpublish]) == [{"unpublish": "cam"}]
    assert refused == Refused("NetStream.Publish.Denied", "no")


@pytest.mark.parametrize("text", ["Stream cam starting", "cam2 starting", "starting"])
def test_the_stream_name_in_starting_must_match(text: str) -> None:
    """Only "<name> starting" starts; other words leave publish() pending."""
    dialogue = PublisherDialogue("cam")
    dialogue.receive(SUCCESS, "ws")
    dialogue.receive(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    dialogue.answer_applied()
    dialogue.receive(TRICKLED, "ws")
    assert dialogue.receive(messages.stream_status(messages.PUBLISH_START, text), "ws") == []


def test_kick_on_the_data_channel() -> None:
    """Connect.Closed on the data channel ends the stream, and is answered by an unpublish there."""
    dialogue = live()
    unpublish, ended = dialogue.receive(messages.connect_status(messages.CONNECT_CLOSED), "dc")
    assert said([unpublish], "dc") == [{"unpublish": "cam"}]
    assert ended == Ended(messages.CONNECT_CLOSED)


def test_an_error_on_the_data_channel_changes_nothing() -> None:
    """Errors on the data channel are only events to the SDK."""
    dialogue = live()
    assert dialogue.receive(messages.stream_error("x", "y"), "dc") == []
    assert dialogue.state is DialogueState.LIVE


def test_candidates() -> None:
    """Trickled candidates are taken; empty and malformed ones are not."""
    dialogue = PublisherDialogue("cam")
    text = '{"data":{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}}'
    assert dialogue.receive(text, "ws") == [AddCandidate(Candidate("candidate:1", "0", 0))]
    for empty in ("{}", '""', '{"candidate":7}', "[]"):
        assert dialogue.receive(f'{{"data":{{"candidate":{empty}}}}}', "ws") == []
