"""What clients send with values of another JSON type than the SDK's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from smproxy.origin.effects import Effect, LogProblem, Mute, Refuse, Send, SetKeyFrameInterval, StartStream, Via
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.streams import Streams
from smproxy.signaling.messages import ClientMessage, UnusableMessage, read_client
from smproxy.signaling.payloads import ConnectError

VERBS = [
    "isAvailable", "handleOffer", "handleAnswer", "handleCandidate", "publish", "unpublish", "requestOffer", "subscribe",
    "switchChannel", "mute", "standby", "send", "log", "callAdapter",
]  # fmt: skip
NAMED = ["isAvailable", "handleOffer", "handleAnswer", "publish", "requestOffer", "subscribe"]
OFFER = {"handleOffer": 4711, "data": {"sdp": {"type": "offer", "sdp": "v=0"}}}


def read(**message: Any) -> ClientMessage | None:
    return read_client(json.dumps(message))


def texts(effects: list[Effect]) -> list[dict[str, Any]]:
    return [json.loads(each.text) for each in effects if isinstance(each, Send)]


def publisher() -> PublisherSignaling:
    return PublisherSignaling(scope="live", client_id="4711", streams=Streams())


def on_air() -> PublisherSignaling:
    signaling = publisher()
    signaling.receive(json.dumps(OFFER), Via.SOCKET)
    signaling.answered("v=0 answer")
    signaling.receive(json.dumps({"publish": 4711, "mode": "live", "keyFramerate": 3000}), Via.SOCKET)
    return signaling


@pytest.mark.parametrize("verb", NAMED)
@pytest.mark.parametrize(("value", "name"), [(4711, "4711"), (-1.5, "-1.5"), ("s1", "s1")])
def test_a_number_is_a_name(verb: str, value: object, name: str) -> None:
    """S1: a number where a text should be is taken as it was written."""
    message = read(**{verb: value})
    assert isinstance(message, ClientMessage)
    field = {"isAvailable": "is_available", "requestOffer": "request_offer"}.get(verb)
    field = field or {"handleOffer": "handle_offer", "handleAnswer": "handle_answer"}.get(verb, verb)
    assert getattr(message, field) == name


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        ("keyFramerate", "3000", 3000),
        ("keyFramerate", " 2.5e3 ", 2500),
        ("keyFramerate", "undefined", None),
        ("keyFramerate", None, None),
        ("bundle", "true", True),
        ("bundle", 1, True),
        ("bundle", "False", False),
        ("bundle", None, UNSET),
        ("mode", None, UNSET),
        ("mode", 7, "7"),
        ("data", {"candidate": "text"}, None),
    ],
)
def test_what_can_be_taken_is_taken(key: str, value: object, taken: object) -> None:
    """S1: numeric text is a number, text of a boolean is one, and null is as if the key were not there."""
    message = read(publish="s1", **{key: value})
    assert message is not None
    assert not isinstance(message, UnusableMessage)
    assert message.publish == "s1"
    field = {"keyFramerate": "key_framerate"}.get(key, key)
    if key != "data":
        assert getattr(message, field) == taken


@pytest.mark.parametrize("verb", NAMED)
@pytest.mark.parametrize("value", [None, True, [], {"name": "s1"}])
def test_what_cannot_be_a_name_says_so(verb: str, value: object) -> None:
    """S1: the message names its verb, its key and what it was instead."""
    message = read(**{verb: value}, bundle=True)
    assert isinstance(message, UnusableMessage)
    assert (message.verb, message.key) == (verb, verb)
    assert message.reason.startswith(f'"{verb}" must be text, not ')


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("keyFramerate", "fast", '"keyFramerate" must be a number, not "fast".'),
        ("keyFramerate", [3000], '"keyFramerate" must be a number, not a list.'),
        ("keyFramerate", True, '"keyFramerate" must be a number, not true.'),
        ("mode", {}, '"mode" must be text, not an object.'),
        ("bundle", "maybe", '"bundle" must be true or false, not "maybe".'),
        ("data", 7, '"data" must be an object, not 7.'),
        ("data", {"sdp": "v=0"}, '"data" must be an object whose "sdp" has the texts "type" and "sdp", not an object.'),
    ],
)
def test_what_cannot_be_taken_says_so(key: str, value: object, reason: str) -> None:
    """S1: the reason has the key, what it must be, and what it was."""
    message = read(publish="s1", **{key: value})
    assert isinstance(message, UnusableMessage)
    assert message.reason == reason


@given(
    st.sampled_from(VERBS),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["data", "keyFramerate", "bundle", "mode", "id", "message", "requestId", "videoEncoding"]),
    st.booleans(),
)
def test_every_type_is_answered_or_taken_on_both_transports(verb: str, value: Any, key: str, live: bool) -> None:
    """S1: no value raises; and a message that the client waits for is answered, whatever its values are."""
    for message in ({verb: value}, {verb: "4711", key: value}):
        for via in Via:
            signaling = on_air() if live else publisher()
            viewer = SubscriberSignaling(scope="live", streams=Streams())
            frame = json.dumps(message)
            said = signaling.receive(frame, via)
            seen = viewer.receive(frame, via)
            handed_over = any(type(each).__name__ == "BecomeSubscriber" for each in said)
            if verb in ("isAvailable", "publish", "unpublish"):
                assert texts(said)
            if verb in ("isAvailable", "publish", "requestOffer", "subscribe"):
                assert texts(seen) or handed_over


@pytest.mark.parametrize("via", list(Via))
def test_an_error_is_sent_where_the_message_came_and_the_attempt_is_over(via: Via) -> None:
    """S1: a name that cannot be one is answered with an error that has a message, and logged."""
    effects = publisher().receive(json.dumps({"isAvailable": {}, "bundle": True}), via)
    (error,) = texts(effects)
    assert error["data"]["type"] == "error"
    assert error["data"]["message"] == 'isAvailable: "isAvailable" must be text, not an object.'
    assert [each.via for each in effects if isinstance(each, Send)] == [via]
    assert Refuse(ConnectError.REJECTED) in effects
    assert [type(each) for each in effects].count(LogProblem) == 1


def test_a_live_stream_goes_on() -> None:
    """S1: a message that cannot be used ends nothing that is live, and is logged once for each key."""
    signaling = on_air()
    first = signaling.receive(json.dumps({"publish": []}), Via.CHANNEL)
    second = signaling.receive(json.dumps({"publish": []}), Via.CHANNEL)
    assert len(texts(first)) == len(texts(second)) == 1
    assert not any(isinstance(each, Refuse) for each in first + second)
    assert [type(each) for each in first + second].count(LogProblem) == 1
    (stopping,) = texts(signaling.receive(json.dumps({"unpublish": None}), Via.CHANNEL))
    assert stopping["data"]["message"] == "4711 stopping"


def test_a_publish_with_numbers_goes_its_way() -> None:
    """S1: a stream named by a number is published, with a key frame interval that came as text."""
    signaling = publisher()
    assert texts(signaling.receive('{"isAvailable":4711,"bundle":"true"}', Via.SOCKET)) == [{"isAvailable": False}]
    signaling.receive(json.dumps(OFFER), Via.SOCKET)
    signaling.answered("v=0 answer")
    effects = signaling.receive('{"publish":4711,"keyFramerate":"4000"}', Via.SOCKET)
    assert texts(effects)[0]["data"]["message"] == "4711 starting"
    assert SetKeyFrameInterval(4.0) in effects
    assert StartStream("4711", "live") in effects


def test_an_sdp_of_another_type_is_invalid_sdp() -> None:
    """S1: an offer as bare text is refused in words, as invalid SDP."""
    effects = publisher().receive(json.dumps({"handleOffer": "s1", "data": {"sdp": "v=0"}}), Via.SOCKET)
    assert Refuse(ConnectError.INVALID_SDP) in effects
    assert "sdp" in texts(effects)[0]["data"]["message"]


@pytest.mark.parametrize("message", [{"mute": {"muteAudio": "true"}}, {"mute": {"muteAudio": 1}}])
def test_mute_is_taken_in_other_types(message: dict[str, Any]) -> None:
    """S1: text and numbers of a boolean mute as the boolean does."""
    assert on_air().receive(json.dumps(message), Via.CHANNEL) == [Mute(True, None)]


def test_what_is_no_object_is_logged_once() -> None:
    """A frame that is no JSON object is ignored, and the log has one line of it."""
    signaling = publisher()
    effects = [*signaling.receive("[]", Via.SOCKET), *signaling.receive("{", Via.SOCKET)]
    assert [type(each) for each in effects] == [LogProblem]


def test_a_message_that_cannot_be_used_names_no_verb_to_those_who_read_along() -> None:
    """The manager must not take for said what the origin refuses."""
    message = read(publish="s1", keyFramerate="fast")
    assert isinstance(message, UnusableMessage)
    assert message.publish is UNSET
