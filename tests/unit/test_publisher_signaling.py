"""The publisher's conversation and the traps of the vendor SDK, without any network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.connection_request import read_connection_request
from smproxy.origin.effects import (
    Effect,
    EndStream,
    LogClientLine,
    Refuse,
    Send,
    SetKeyFrameInterval,
    StartStream,
    TakeOffer,
    Via,
)
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.streams import Streams
from smproxy.signaling.payloads import ConnectError

OFFER = {"handleOffer": "s1", "data": {"sdp": {"type": "offer", "sdp": "v=0"}}}


class Talk:
    """A conversation and what it said."""

    def __init__(self, streams: Streams | None = None, client_id: str = "s1") -> None:
        self.streams = Streams() if streams is None else streams
        self.core = PublisherSignaling(scope="live", client_id=client_id, streams=self.streams)
        self.effects: list[Effect] = self.core.opened()

    def say(self, via: Via = Via.SOCKET, /, **message: Any) -> list[Effect]:
        new = self.core.receive(json.dumps(message), via)
        self.effects += new
        return new

    def on_air(self) -> Talk:
        self.say(**OFFER)
        self.effects += self.core.answered("v=0 answer")
        self.say(publish="s1", mode="live")
        return self


def texts(effects: list[Effect]) -> list[dict[str, Any]]:
    return [json.loads(each.text) for each in effects if isinstance(each, Send)]


def codes(effects: list[Effect]) -> list[str]:
    return [str(each["data"].get("code", "sdp")) for each in texts(effects)]


def test_connect_success_has_no_message() -> None:
    """T-1: with a message key the SDK would not look at the code."""
    assert texts(Talk().effects) == [{"data": {"type": "status", "code": "NetConnection.Connect.Success"}}]


def test_availability_is_a_boolean_at_top_level() -> None:
    """T-7: nested or as a string the SDK would wait for ever."""
    assert texts(Talk().say(isAvailable="s1", bundle=True)) == [{"isAvailable": False}]


def test_a_taken_name_is_refused_but_not_ones_own() -> None:
    """True is for names of others only; it ends the attempt once, and questions go on being answered."""
    streams = Streams()
    first = Talk(streams).on_air()
    assert texts(first.say(isAvailable="s1", bundle=True)) == [{"isAvailable": False}]
    second = Talk(streams)
    effects = second.say(isAvailable="s1", bundle=False)
    assert texts(effects) == [{"isAvailable": True}]
    assert Refuse(ConnectError.NAME_IN_USE) in effects
    assert texts(second.say(isAvailable="s1", bundle=False)) == [{"isAvailable": True}]
    assert second.effects.count(Refuse(ConnectError.NAME_IN_USE)) == 1


def test_a_subscriber_question_has_no_consequences() -> None:
    """Without bundle and with an id of its own it is a question: true when live, false when only claimed."""
    streams = Streams()
    publisher = Talk(streams)
    publisher.say(**OFFER)
    subscriber = Talk(streams, client_id="subscriber-1b31")
    assert subscriber.say(isAvailable="s1") == [Send('{"isAvailable":false}', Via.SOCKET)]
    publisher.core.answered("v=0")
    publisher.say(publish="s1")
    assert subscriber.say(isAvailable="s1") == [Send('{"isAvailable":true}', Via.SOCKET)]


def test_the_answer_is_followed_by_one_trickle_completed() -> None:
    """The answer first, TrickleCompleted after it, once."""
    talk = Talk().on_air()
    said = codes(talk.effects)
    assert said.index("sdp") + 1 == said.index("NetConnection.ICE.TrickleCompleted")
    assert said.count("NetConnection.ICE.TrickleCompleted") == 1


def test_starting_names_the_stream_alone() -> None:
    """T-8: the text before " starting" is just the name."""
    talk = Talk().on_air()
    starting = next(each for each in texts(talk.effects) if each["data"].get("code") == "NetStream.Publish.Start")
    assert starting["data"]["message"] == "s1 starting"
    assert StartStream("s1", "live") in talk.effects


def test_a_repeated_publish_is_answered_and_started_once() -> None:
    """A publish said twice gets its reply twice and is one start."""
    talk = Talk().on_air()
    talk.say(publish="s1", mode="live")
    assert codes(talk.effects).count("NetStream.Publish.Start") == 2
    assert talk.effects.count(StartStream("s1", "live")) == 1


def test_the_data_channel_is_announced_after_starting_only() -> None:
    """T-2, T-11: never before starting, with no message, once, and not at all when no channel is open."""
    talk = Talk()
    talk.say(**OFFER)
    talk.core.answered("v=0")
    assert talk.core.channel_opened("red5pro") == []
    effects = talk.say(publish="s1")
    assert codes(effects) == ["NetStream.Publish.Start", "NetConnection.DataChannel.Available"]
    assert texts(effects)[1] == {
        "data": {"type": "status", "code": "NetConnection.DataChannel.Available", "description": "red5pro"}
    }
    assert talk.core.channel_opened("other") == []
    assert "NetConnection.DataChannel.Available" not in codes(Talk().on_air().effects)


def test_available_is_said_once_and_where_the_client_listens() -> None:
    """T-12: before the switch on the socket, after it on the channel."""
    talk = Talk().on_air()
    talk.core.channel_opened("red5pro")
    talk.say(switchChannel="red5pro")
    assert talk.core.switched
    effects = talk.core.media_came()
    assert [each.via for each in effects if isinstance(each, Send)] == [Via.CHANNEL]
    assert talk.core.media_came() == []


def test_a_switch_before_an_answer_is_no_switch() -> None:
    """A socket that says switchChannel without any peer connection is still all there is of the client."""
    talk = Talk()
    talk.say(switchChannel="red5pro")
    assert not talk.core.switched


@pytest.mark.parametrize("via", list(Via))
def test_unpublish_is_answered_where_it_was_said_and_ends_once(via: Via) -> None:
    """T-9: a stopping reply always, on the same transport; the end once."""
    talk = Talk().on_air()
    effects = talk.say(via, unpublish="s1")
    assert [each.via for each in effects if isinstance(each, Send)] == [via]
    assert texts(effects)[0]["data"]["message"] == "s1 stopping"
    again = talk.say(via, unpublish="s1")
    assert texts(again)[0]["data"]["message"] == "s1 stopping"
    assert talk.effects.count(EndStream()) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"mute": {"muteAudio": True}},
        {"send": {"method": "onMetaData", "data": {"deviceOrientation": 90}}},
        {"handleCandidate": "s1", "data": {"candidate": {"candidate": ""}}},
        {"unheardOf": 1},
        {"joinGroup": "g", "streamName": "n"},
        {"callAdapter": {"method": "x"}},
    ],
)
def test_what_expects_no_reply_gets_none(message: dict[str, Any]) -> None:
    """T-46: an error for an unknown message would kill a publish."""
    assert texts(Talk().on_air().say(**message)) == []


def test_a_ticket_is_answered_with_its_own_id() -> None:
    """T-22: unknown methods are refused on the ticket."""
    effects = Talk().say(callAdapter={"method": "unheardOf", "arguments": []}, id="9f3a", **{"async": True})
    assert texts(effects)[0]["id"] == "9f3a"
    assert texts(effects)[0]["async"] is True
    assert texts(effects)[0]["error"]["message"]


def test_client_logs_are_passed_on_in_bounds() -> None:
    """Log lines lose their line breaks and are limited in length and number."""
    talk = Talk()
    assert talk.say(log="WARN", message="a\nb") == [LogClientLine("WARN", "a b")]
    for _ in range(1000):
        talk.say(log="INFO", message={"x": "y" * 5000})
    logged = [each for each in talk.effects if isinstance(each, LogClientLine)]
    assert len(logged) <= 200
    assert max(len(each.text) for each in logged) <= 500


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\r\nb", "\x9b31m", "\u202eback", "\u2028", "\x00", "\x7f"])
def test_a_client_cannot_paint_our_log(text: str) -> None:
    """Control characters come neither with the text nor with the level of a log line, nor in a message that is no string."""
    for message in (text, {"key": text}):
        (logged,) = Talk().say(log=text + "L" * 5000, message=message)
        assert isinstance(logged, LogClientLine)
        assert logged.level.isprintable()
        assert logged.text.isprintable()
        assert len(logged.level) == 16


@pytest.mark.parametrize(
    ("wished", "seconds"), [(3000, 3.0), (None, 3.0), (1, 0.5), (0, 0.5), (1e9, 60.0), (1500.5, 1.5005), (-5, 0.5)]
)
def test_the_key_frame_rate_is_clamped(wished: float | None, seconds: float) -> None:
    """keyFramerate is milliseconds between 500 and 60000, 3000 when it is null."""
    talk = Talk()
    talk.say(**OFFER)
    talk.core.answered("v=0")
    assert SetKeyFrameInterval(seconds) in talk.say(publish="s1", keyFramerate=wished)


def test_publish_takes_another_name_when_it_is_free() -> None:
    """The name of publish counts, and the name of the offer is given back."""
    streams = Streams()
    talk = Talk(streams)
    talk.say(**{**OFFER, "handleOffer": "s2"})
    talk.core.answered("v=0")
    assert StartStream("s3", "live") in talk.say(publish="s3", mode="strange")
    assert not streams.taken_by_another("live", "s2", object())


@pytest.mark.parametrize(
    ("name", "error"),
    [("s1", ConnectError.NAME_IN_USE), ("", ConnectError.REJECTED), ("x" * 513, ConnectError.REJECTED)],
)
def test_a_publish_under_a_name_that_cannot_be_had_ends_the_attempt(name: str, error: ConnectError) -> None:
    """It is refused in words and for its reason, as an offer under that name would be; unpublish is still answered."""
    streams = Streams()
    Talk(streams).on_air()
    talk = Talk(streams)
    talk.say(**{**OFFER, "handleOffer": "s2"})
    talk.core.answered("v=0")
    refused = talk.say(publish=name)
    assert texts(refused)[0]["data"]["code"] == "NetStream.Publish.BadName"
    assert refused[1:] == [Refuse(error)]
    assert codes(talk.say(unpublish=name)) == ["NetStream.Unpublish.Success"]
    assert talk.effects.count(EndStream()) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"switchChannel": "c"}, {"isAvailable": "s1"}),
        ({"switchChannel": "c"}, OFFER),
        ({"switchChannel": "c"}, {"publish": "s1"}),
        ({"switchChannel": "c"}, {"unpublish": "s1"}),
        ({"switchChannel": "c"}, {"requestOffer": "s1"}),
        (OFFER, {"publish": "s1"}),
        (OFFER, {"requestOffer": "s1"}),
        ({"publish": "s1"}, {"unpublish": "s1"}),
        ({"publish": "s1"}, {"subscribe": "s1"}),
        ({"unpublish": "s1"}, {"requestOffer": "s1"}),
        ({"requestOffer": "s1"}, {"isAvailable": "s1"}),
        ({"isAvailable": "s1"}, {"callAdapter": {}, "id": "1"}),
        ({"callAdapter": {}, "id": "1"}, {"log": "INFO", "message": "m"}),
    ],
)
def test_of_two_verbs_in_a_message_one_counts(first: dict[str, Any], second: dict[str, Any]) -> None:
    """switchChannel before all others, then the order in which the manager reads; the key order does not matter."""

    def said(message: dict[str, Any]) -> tuple[list[Effect], bool]:
        talk = Talk().on_air()
        return talk.say(**message), talk.core.switched

    assert said(second) != said(first)
    assert said({**first, **second}) == said({**second, **first}) == said(first)


def test_offers_are_taken_once_and_never_when_draining() -> None:
    """The second offer and any offer to a draining node are refused; the codec wishes travel with the first."""
    talk = Talk()
    effects = talk.say(**OFFER, videoEncoding="H264", audioEncoding="Opus")
    assert effects == [TakeOffer("v=0", "H264", "Opus")]
    assert codes(talk.say(**OFFER)) == ["NetStream.Publish.Failed"]
    draining = Talk()
    draining.core.draining = True
    assert Refuse(ConnectError.REJECTED) in draining.say(**OFFER)


@pytest.mark.parametrize(
    "message",
    [
        {"handleOffer": "s1"},
        {"handleOffer": "s1", "data": {}},
        {"handleOffer": "s1", "data": {"sdp": {"type": "answer", "sdp": ""}}},
    ],
)
def test_an_offer_without_an_offer_is_invalid(message: dict[str, Any]) -> None:
    """handleOffer without an SDP offer is refused as invalid SDP."""
    effects = Talk().say(**message)
    assert Refuse(ConnectError.INVALID_SDP) in effects
    assert texts(effects)[0]["data"]["message"]


@given(
    st.lists(
        st.sampled_from(
            [
                {"isAvailable": "s1", "bundle": True},
                {"isAvailable": "s2"},
                OFFER,
                {"publish": "s1", "mode": "live"},
                {"publish": "s2"},
                {"unpublish": "s1"},
                {"switchChannel": "red5pro"},
                {"requestOffer": "s1", "requestId": "x"},
                {"subscribe": "s1"},
                {"callAdapter": {}, "id": "1"},
            ]
        ),
        max_size=12,
    ),
    st.sampled_from(list(Via)),
)
def test_any_order_keeps_the_promises(said: list[dict[str, Any]], via: Via) -> None:
    """Whatever order messages come in: at most one end, one start, one channel notice, and stopping only when asked."""
    talk = Talk()
    for message in said:
        for effect in talk.say(via, **message):
            if isinstance(effect, TakeOffer):
                talk.effects += talk.core.answered("v=0")
                talk.effects += talk.core.channel_opened("red5pro")
    talk.effects += talk.core.media_came()
    ends = [each for each in talk.effects if isinstance(each, Refuse | EndStream)]
    assert len(ends) <= 1
    assert sum(isinstance(each, StartStream) for each in talk.effects) <= 1
    assert (
        codes(
            [e for e in talk.effects if isinstance(e, Send) and "isAv" not in e.text and "async" not in e.text]
        ).count("NetConnection.DataChannel.Available")
        <= 1
    )
    stopping = sum("stopping" in each.text for each in talk.effects if isinstance(each, Send))
    assert stopping == sum("unpublish" in each for each in said)


@given(st.text(max_size=200))
def test_frames_never_raise(frame: str) -> None:
    """Any text frame has effects or none."""
    Talk().core.receive(frame, Via.SOCKET)


@pytest.mark.parametrize(
    ("path", "scope", "client_id"),
    [
        ("/live/?id=s1", "live", "s1"),
        ("/live?id=s1", "live", "s1"),
        ("//live//room1/?x=1&id=a%20b+c&id=z", "live/room1", "a b+c"),
        ("/live%2Froom1/", "live/room1", ""),
    ],
)
def test_targets_are_read(path: str, scope: str, client_id: str) -> None:
    """Room and id come from the path and the query, a plus stays a plus, the first id counts."""
    target = read_connection_request(path, "a1")
    assert target is not None
    assert (target.scope, target.client_id, target.attempt) == (scope, client_id, "a1")


@pytest.mark.parametrize("attempt", ["", "x" * 129, "a\nb", "ä"])
def test_a_strange_attempt_header_is_not_taken(attempt: str) -> None:
    """A header that could not be a token of the relay counts as absent; a path without an application is none."""
    target = read_connection_request("/live/", attempt)
    assert target is not None
    assert target.attempt is None
    assert read_connection_request("/?id=x", None) is None


@given(st.text(max_size=100))
def test_any_target_is_read_or_none(path: str) -> None:
    """Any path gives a target or None."""
    read_connection_request("/" + path, None)
