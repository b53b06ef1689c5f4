"""The publisher's side of the signaling: what it says, when, and what it makes of what it hears."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate
from smproxy.testing.dialogue import (
    Action,
    Dialogue,
    Ended,
    MakeOffer,
    Refused,
    Say,
    Started,
    State,
    Stopped,
    SwitchSoon,
    TakeAnswer,
    TakeCandidate,
)

SUCCESS = messages.connect_status(messages.CONNECT_SUCCESS)
TRICKLED = messages.connect_status(messages.TRICKLE_COMPLETED)
CANDIDATE = Candidate("candidate:1 1 udp 2130706431 127.0.0.1 49152 typ host", "0", 0)


def said(actions: list[Action], channel: str = "ws") -> list[dict[str, Any]]:
    """Return the messages that are to be sent, all on the one channel."""
    assert all(isinstance(action, Say) and action.channel == channel for action in actions)
    return [json.loads(action.text) for action in actions if isinstance(action, Say)]


def live(**options: Any) -> Dialogue:
    """Bring a dialogue to the point where the stream is live."""
    dialogue = Dialogue("cam", **options)
    dialogue.heard(SUCCESS, "ws")
    dialogue.heard(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    dialogue.answer_applied()
    dialogue.heard(TRICKLED, "ws")
    assert dialogue.heard(messages.publish_starting("cam"), "ws") == [Started()]
    return dialogue


def test_the_whole_conversation() -> None:
    """A publisher asks for the name, offers, trickles, publishes when the answer and the end of trickling are in, and stops."""
    dialogue = Dialogue("cam", mode="record")
    assert said(dialogue.heard(SUCCESS, "ws")) == [{"isAvailable": "cam", "bundle": True}]
    assert dialogue.heard(messages.availability(False), "ws") == [MakeOffer()]
    offer, candidate, end = said(dialogue.offered("v=0", [CANDIDATE]))
    assert offer == {"handleOffer": "cam", "transport": "udp", "data": {"sdp": {"sdp": "v=0", "type": "offer"}}}
    assert candidate["data"]["candidate"] == {"candidate": CANDIDATE.candidate, "sdpMid": "0", "sdpMLineIndex": 0}
    assert end == {"handleCandidate": "cam", "data": {"candidate": {"type": "candidate", "candidate": ""}}}
    assert dialogue.heard(messages.answer("v=1"), "ws") == [TakeAnswer("v=1")]
    assert dialogue.answer_applied() == []
    assert said(dialogue.heard(TRICKLED, "ws")) == [{"publish": "cam", "mode": "record", "keyFramerate": 3000}]
    assert dialogue.heard(messages.publish_starting("cam"), "ws") == [Started()]
    assert said(dialogue.unpublish()) == [{"unpublish": "cam"}]
    assert dialogue.heard(messages.unpublish_stopping("cam"), "ws") == [Stopped()]
    assert dialogue.state is State.OVER


def test_the_end_of_trickling_may_come_before_the_answer() -> None:
    """The end of trickling is remembered until the answer was applied."""
    dialogue = Dialogue("cam")
    dialogue.heard(SUCCESS, "ws")
    dialogue.heard(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    assert dialogue.heard(TRICKLED, "ws") == []
    assert said(dialogue.answer_applied())[0]["publish"] == "cam"


def test_old_sdk() -> None:
    """Without the data channel it speaks like SDK 7: bundle false, and the channel's offer is ignored."""
    dialogue = live(data_channel=False)
    assert dialogue.heard(messages.data_channel_available(), "ws") == []
    fresh = Dialogue("cam", data_channel=False)
    assert said(fresh.heard(SUCCESS, "ws")) == [{"isAvailable": "cam", "bundle": False}]


def test_bypass_available() -> None:
    """With bypass_available it offers without asking for the name."""
    assert Dialogue("cam", bypass_available=True).heard(SUCCESS, "ws") == [MakeOffer()]


def test_switch() -> None:
    """After the switch it speaks on the data channel, in the SDK's indented JSON, and is deaf on the socket."""
    dialogue = live()
    assert dialogue.heard(messages.data_channel_available("other"), "ws") == [SwitchSoon("other")]
    assert said(dialogue.switch("other")) == [{"switchChannel": "other"}]
    assert dialogue.switched
    assert dialogue.heard(messages.connect_error(messages.CONNECT_FAILED), "ws") == []
    [unpublish] = dialogue.unpublish()
    assert unpublish == Say("dc", '{\n  "unpublish": "cam"\n}')
    assert dialogue.heard(messages.unpublish_stopping("cam"), "dc") == [Stopped()]


def test_switch_is_not_offered_before_the_stream_is_live() -> None:
    """DataChannel.Available before "starting" does not cut the socket off."""
    dialogue = Dialogue("cam")
    dialogue.heard(SUCCESS, "ws")
    assert dialogue.heard(messages.data_channel_available(), "ws") == []
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
    dialogue = Dialogue("cam")
    [refused] = dialogue.heard(text, "ws")
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert dialogue.state is State.OVER


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
    dialogue = Dialogue("cam")
    assert dialogue.heard(text, "ws") == []
    assert dialogue.state is State.CONNECTING


def test_name_in_use() -> None:
    """isAvailable true means that the stream exists; the string "true" does not."""
    dialogue = Dialogue("cam")
    dialogue.heard(SUCCESS, "ws")
    [refused] = dialogue.heard(messages.availability(True), "ws")
    assert isinstance(refused, Refused)
    assert refused.code == "Publish.InvalidName"
    dialogue = Dialogue("cam")
    dialogue.heard(SUCCESS, "ws")
    assert dialogue.heard('{"isAvailable":"true"}', "ws") == [MakeOffer()]


def test_error_after_publish_takes_its_leave() -> None:
    """A stream error after "publish" is answered by an unpublish, as SDK 8 and later do."""
    dialogue = Dialogue("cam")
    dialogue.heard(SUCCESS, "ws")
    dialogue.heard(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    dialogue.answer_applied()
    dialogue.heard(TRICKLED, "ws")
    unpublish, refused = dialogue.heard(messages.stream_error("NetStream.Publish.Denied", "no"), "ws")
    assert said([unpublish]) == [{"unpublish": "cam"}]
    assert refused == Refused("NetStream.Publish.Denied", "no")


@pytest.mark.parametrize("text", ["Stream cam starting", "cam2 starting", "starting"])
def test_the_stream_name_in_starting_must_match(text: str) -> None:
    """Only "<name> starting" starts; other words leave publish() pending."""
    dialogue = Dialogue("cam")
    dialogue.heard(SUCCESS, "ws")
    dialogue.heard(messages.availability(False), "ws")
    dialogue.offered("v=0", [])
    dialogue.answer_applied()
    dialogue.heard(TRICKLED, "ws")
    assert dialogue.heard(messages.stream_status(messages.PUBLISH_START, text), "ws") == []


def test_kick_on_the_data_channel() -> None:
    """Connect.Closed on the data channel ends the stream, and is answered by an unpublish there."""
    dialogue = live()
    unpublish, ended = dialogue.heard(messages.connect_status(messages.CONNECT_CLOSED), "dc")
    assert said([unpublish], "dc") == [{"unpublish": "cam"}]
    assert ended == Ended(messages.CONNECT_CLOSED)


def test_an_error_on_the_data_channel_changes_nothing() -> None:
    """Errors on the data channel are only events to the SDK."""
    dialogue = live()
    assert dialogue.heard(messages.stream_error("x", "y"), "dc") == []
    assert dialogue.state is State.LIVE


def test_candidates() -> None:
    """Trickled candidates are taken; empty and malformed ones are not."""
    dialogue = Dialogue("cam")
    text = '{"data":{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}}'
    assert dialogue.heard(text, "ws") == [TakeCandidate(Candidate("candidate:1", "0", 0))]
    for empty in ("{}", '""', '{"candidate":7}', "[]"):
        assert dialogue.heard(f'{{"data":{{"candidate":{empty}}}}}', "ws") == []
