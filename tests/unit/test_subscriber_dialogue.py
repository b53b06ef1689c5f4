"""The subscriber's side of the signaling: what it says, when, and what it makes of what it hears."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.signaling import messages
from smproxy.signaling.messages import Candidate
from smproxy.testing.dialogue import AddCandidate, DialogueState, Ended, Refused, SendText, Started, SwitchSoon
from smproxy.testing.subscriber_dialogue import (
    Action,
    ApplyOffer,
    CallResult,
    Invoke,
    Metadata,
    SubscriberDialogue,
    Unpublished,
)

UNPUBLISH_NOTIFY = messages.PLAY_UNPUBLISH_NOTIFY
SUCCESS = messages.connect_status(messages.CONNECT_SUCCESS)
TRICKLED = messages.connect_status(messages.TRICKLE_COMPLETED)
STARTING = messages.stream_status(messages.PLAY_START, "cam starting")
OFFER = json.dumps({"data": {"sdp": {"type": "offer", "sdp": "v=1"}}})
CANDIDATE = Candidate("candidate:1 1 udp 2130706431 127.0.0.1 49152 typ host", "0", 0)
ID = "subscriber-1b31"


def make(**options: Any) -> SubscriberDialogue:
    """Make a dialogue at its beginning."""
    return SubscriberDialogue("cam", ID, rng=random.Random(1), **options)


def said(actions: list[Action], channel: str = "ws") -> list[dict[str, Any]]:
    """Return the messages that are to be sent, all on the one channel."""
    assert all(isinstance(action, SendText) and action.channel == channel for action in actions)
    return [json.loads(action.text) for action in actions if isinstance(action, SendText)]


def live(**options: Any) -> SubscriberDialogue:
    """Bring a dialogue to the point where the stream is live."""
    dialogue = make(**options)
    for text in (SUCCESS, messages.availability(True), OFFER):
        dialogue.receive(text, "ws")
    dialogue.answered("v=0", [])
    dialogue.receive(TRICKLED, "ws")
    assert dialogue.receive(STARTING, "ws") == [Started()]
    return dialogue


def test_the_whole_conversation() -> None:
    """A subscriber asks for the stream, requests an offer, answers, trickles, and subscribes when trickling is over."""
    dialogue = make()
    assert said(dialogue.receive(SUCCESS, "ws")) == [{"isAvailable": "cam"}]
    [request] = said(dialogue.receive(messages.availability(True), "ws"))
    assert request == {
        "requestOffer": "cam",
        "requestId": ID,
        "transport": "udp",
        "datachannel": True,
        "doNotSwitch": False,
    }
    assert dialogue.receive(OFFER, "ws") == [ApplyOffer("v=1")]
    answer, candidate, end = said(dialogue.answered("v=0", [CANDIDATE]))
    assert answer == {
        "handleAnswer": "cam",
        "requestId": ID,
        "data": {"sdp": {"sdp": "v=0", "type": "answer"}},
    }
    assert candidate == {
        "handleCandidate": "cam",
        "requestId": ID,
        "data": {"candidate": {"candidate": CANDIDATE.candidate, "sdpMid": "0", "sdpMLineIndex": 0}},
    }
    assert end == {"handleCandidate": "cam", "data": {"candidate": {"type": "candidate", "candidate": ""}}}
    assert said(dialogue.receive(TRICKLED, "ws")) == [{"subscribe": "cam", "requestId": ID}]
    assert dialogue.receive(STARTING, "ws") == [Started()]
    assert dialogue.live


def test_old_sdk() -> None:
    """SDK 7 says nothing of data channels and codecs, never switches, knows no ``send``, and stays after an unpublish."""
    dialogue = make(sdk=7, video_encoding="H264")
    dialogue.receive(SUCCESS, "ws")
    [request] = said(dialogue.receive(messages.availability(True), "ws"))
    assert request == {"requestOffer": "cam", "requestId": ID, "transport": "udp"}
    dialogue = live(sdk=7)
    assert dialogue.receive(messages.data_channel_available(), "ws") == []
    assert dialogue.receive('{"data":{},"send":{"method":"chat","data":"hi"}}', "ws") == []
    assert dialogue.receive('{"type":"metadata","method":"chat","data":"hi"}', "ws") == [Invoke("chat", "hi")]
    notice = messages.connect_status(UNPUBLISH_NOTIFY)
    assert dialogue.receive(notice, "ws") == [Unpublished()]
    assert dialogue.live


def test_wishes() -> None:
    """Wished codecs and the wish for no data channel are in the request."""
    dialogue = make(data_channel=False, video_encoding="H264", audio_encoding="Opus")
    dialogue.receive(SUCCESS, "ws")
    [request] = said(dialogue.receive(messages.availability(True), "ws"))
    assert (request["datachannel"], request["videoEncoding"], request["audioEncoding"]) == (False, "H264", "Opus")


def test_bypass_available() -> None:
    """With bypass_available it requests the offer without asking for the stream."""
    assert "requestOffer" in said(make(bypass_available=True).receive(SUCCESS, "ws"))[0]


def test_no_such_stream() -> None:
    """isAvailable false, or anything but true, means that there is no such stream."""
    for reply in (messages.availability(False), '{"isAvailable":"true"}', '{"isAvailable":1}'):
        dialogue = make()
        dialogue.receive(SUCCESS, "ws")
        assert dialogue.receive(reply, "ws") == [Refused("Subscribe.InvalidName", "Stream cam does not exist.")]
        assert dialogue.over


def test_each_end_of_trickling_subscribes() -> None:
    """A server that says twice that trickling is over gets two requests, as from the SDK; before the offer it gets none."""
    dialogue = make()
    assert dialogue.receive(TRICKLED, "ws") == []
    dialogue = live()
    assert said(dialogue.receive(TRICKLED, "ws"))[0]["subscribe"] == "cam"


@pytest.mark.parametrize("text", ["Stream cam starting", "cam2 starting", "starting"])
def test_the_stream_name_in_starting_must_match(text: str) -> None:
    """Only "<name> starting" starts; other words leave subscribe() pending."""
    dialogue = make()
    for heard in (SUCCESS, messages.availability(True), OFFER, TRICKLED):
        dialogue.receive(heard, "ws")
    assert dialogue.receive(messages.stream_status(messages.PLAY_START, text), "ws") == []
    assert dialogue.state is DialogueState.STARTING


def test_switch() -> None:
    """After the switch it speaks on the data channel, in the SDK's indented JSON, and is deaf on the socket."""
    dialogue = live()
    assert dialogue.receive(messages.data_channel_available("other"), "ws") == [SwitchSoon("other")]
    assert said(dialogue.switch("other")) == [{"switchChannel": "other"}]
    assert dialogue.receive(messages.connect_status(UNPUBLISH_NOTIFY), "ws") == []
    [mute] = dialogue.send({"mute": {"muteAudio": True}})
    assert isinstance(mute, SendText)
    assert (mute.channel, mute.text[:4]) == ("dc", "{\n  ")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"data": {"type": "status", "code": UNPUBLISH_NOTIFY}}),
        json.dumps({"data": {"status": UNPUBLISH_NOTIFY}}),
    ],
)
@pytest.mark.parametrize("channel", ["ws", "dc"])
def test_unpublish(text: str, channel: Any) -> None:
    """Both forms of the notice end the subscription of SDK 8 and later, on either channel."""
    dialogue = live()
    if channel == "dc":
        dialogue.switch("red5pro")
    assert dialogue.receive(text, channel) == [Unpublished(), Ended(UNPUBLISH_NOTIFY)]
    assert dialogue.over


@pytest.mark.parametrize("channel", ["ws", "dc"])
def test_kick(channel: Any) -> None:
    """Connect.Closed ends the subscription on either channel, without an answer."""
    dialogue = live()
    if channel == "dc":
        dialogue.switch("red5pro")
    assert dialogue.receive(messages.connect_status(messages.CONNECT_CLOSED), channel) == [
        Ended(messages.CONNECT_CLOSED)
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (messages.connect_status(messages.CONNECT_REJECTED), messages.CONNECT_REJECTED),
        (messages.connect_error(messages.CONNECT_FAILED), messages.CONNECT_FAILED),
        (messages.stream_error("NetStream.Play.Failed", "no"), "NetStream.Play.Failed"),
    ],
)
def test_refusals(text: str, code: str) -> None:
    """Each form of refusal ends the conversation with its code; on a live stream the same error ends nothing."""
    [refused] = make().receive(text, "ws")
    assert isinstance(refused, Refused)
    assert refused.code == code
    if "message" in text:
        assert live().receive(text, "ws") == []


@pytest.mark.parametrize(
    "text",
    [
        messages.connect_status(messages.CONNECT_FAILED),
        messages.stream_status(messages.CONNECT_SUCCESS, "welcome"),
        messages.connect_error("NetStream.Failed"),
        '{"data":{"isAvailable":true}}',
        "not json",
        "[]",
        '{"data":null}',
    ],
)
def test_what_the_sdk_does_not_understand(text: str) -> None:
    """What makes the SDK wait for ever is not understood here either, so that a test of a server can fail."""
    dialogue = make()
    assert dialogue.receive(text, "ws") == []
    assert dialogue.state is DialogueState.CONNECTING


@pytest.mark.parametrize(
    ("text", "channel", "action"),
    [
        ('{"type":"metadata","metadata":{"a":1}}', "ws", Metadata({"a": 1})),
        ('{"type":"metadata","data":{"a":1}}', "dc", Metadata({"a": 1})),
        ('{"type":"metadata","method":"onMetaData","data":{"a":1}}', "ws", Metadata({"a": 1})),
        ('{"type":"metadata","method":"chat","data":{"a":1}}', "ws", Invoke("chat", {"a": 1})),
        ('{"data":{},"send":{"method":"chat","data":"hi"}}', "ws", Invoke("chat", "hi")),
        ('{"send":{"method":"chat","data":"hi"}}', "ws", None),
        ('{"send":{"method":"chat","data":"hi"}}', "dc", Invoke("chat", "hi")),
        ('{"method":"chat","data":"hi"}', "dc", Invoke("chat", "hi")),
        ('{"send":{"method":"onMetaData","data":{"orientation":90}},"data":{}}', "ws", Metadata({"orientation": 90})),
        ('{"type":"Metadata","data":{"a":1}}', "ws", None),
    ],
)
def test_metadata_and_data(text: str, channel: Any, action: Action | None) -> None:
    """Metadata and application data are taken in the forms that the SDK takes, and in no other."""
    dialogue = live()
    if channel == "dc":
        dialogue.switch("red5pro")
    assert dialogue.receive(text, channel) == ([] if action is None else [action])


def test_tickets() -> None:
    """A call is answered by something true, or by an error, on its own transport, and by nothing else."""
    dialogue = live()
    ticket, say = dialogue.call("getLiveStreams", ["live"])
    assert json.loads(say.text) == {
        "callAdapter": {"method": "getLiveStreams", "arguments": ["live"]},
        "id": ticket,
        "async": True,
    }
    reply = {"async": True, "id": ticket, "data": ["cam"]}
    assert dialogue.receive(json.dumps(reply), "dc") == []
    assert dialogue.receive(json.dumps(reply | {"id": "other"}), "ws") == []
    for nothing in (0, "", False, None):
        assert dialogue.receive(json.dumps(reply | {"data": nothing}), "ws") == []
    assert dialogue.receive(json.dumps(reply), "ws") == [CallResult(ticket, ["cam"])]
    assert dialogue.receive(json.dumps(reply), "ws") == []
    ticket, _ = dialogue.call("getLiveStreams", [])
    assert dialogue.receive(json.dumps(reply | {"id": ticket, "data": []}), "ws") == [CallResult(ticket, [])]
    ticket, _ = dialogue.call("no", [])
    assert dialogue.receive(messages.adapter_error(ticket, "no such method"), "ws") == [
        CallResult(ticket, error="no such method")
    ]


def test_candidates() -> None:
    """Trickled candidates are taken; without an m-line index they are lost, as in the SDK, and so are malformed ones."""
    dialogue = make()
    text = '{"data":{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}}'
    assert dialogue.receive(text, "ws") == [AddCandidate(Candidate("candidate:1", "0", 0))]
    for empty in ("{}", '""', '{"candidate":7}', "[]", '{"candidate":"candidate:1","sdpMid":"0"}'):
        assert dialogue.receive(f'{{"data":{{"candidate":{empty}}}}}', "ws") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        "data",
        "type",
        "code",
        "message",
        "status",
        "error",
        "sdp",
        "candidate",
        "async",
        "id",
        "send",
        "method",
        "metadata",
    ]
)


@given(
    st.dictionaries(WORDS, JSON | st.dictionaries(WORDS, JSON, max_size=4), max_size=5), st.sampled_from(["ws", "dc"])
)
def test_nothing_a_server_says_is_too_much(message: dict[str, Any], channel: Any) -> None:
    """Whatever JSON comes, there is a list of actions and no exception."""
    dialogue = make()
    dialogue.receive(SUCCESS, "ws")
    assert isinstance(dialogue.receive(json.dumps(message), channel), list)
