"""The subscriber's conversation and the traps of the vendor SDK, without any network."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.effects import (
    BecomeSubscriber,
    Effect,
    LogClientLine,
    LogProblem,
    MakeOffer,
    Mute,
    PublisherMessage,
    Refuse,
    Send,
    StartPlayback,
    SwitchTo,
    TakeAnswer,
    Via,
)
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.streams import Streams
from smproxy.signaling.payloads import ConnectError

OWNER = object()
REQUEST = {"requestOffer": "s1", "requestId": "x", "transport": "udp", "datachannel": True, "doNotSwitch": False}
ANSWER = {"handleAnswer": "s1", "requestId": "x", "data": {"sdp": {"type": "answer", "sdp": "v=0"}}}
SUBSCRIBE = {"subscribe": "s1", "requestId": "x"}


def streams(*live: str) -> Streams:
    table = Streams()
    for name in live:
        assert table.claim("live", name, OWNER)
        table.go_live("live", name, OWNER)
    return table


class Talk:
    """A conversation and what it said; it has what a session does for it."""

    def __init__(self, table: Streams | None = None) -> None:
        self.core = SubscriberSignaling(scope="live", streams=streams("s1") if table is None else table)
        self.effects: list[Effect] = []

    def note(self, new: list[Effect]) -> list[Effect]:
        self.effects += new
        return new

    def say(self, via: Via = Via.SOCKET, /, **message: Any) -> list[Effect]:
        return self.note(self.core.receive(json.dumps(message), via))

    def playing(self, *, channel: bool = False, request: dict[str, Any] = REQUEST) -> Talk:
        self.say(**request)
        self.note(self.core.offered("v=0 offer"))
        self.say(**ANSWER)
        self.note(self.core.accepted())
        self.note(self.core.connected())
        self.say(**SUBSCRIBE)
        if channel:
            self.note(self.core.channel_opened("red5pro"))
            self.say(switchChannel="red5pro")
        return self


def texts(effects: list[Effect]) -> list[dict[str, Any]]:
    return [json.loads(each.text) for each in effects if isinstance(each, Send)]


def codes(effects: list[Effect]) -> list[str]:
    return [str(each["data"].get("code", "")) for each in texts(effects) if "data" in each]


def test_what_a_publisher_says_has_the_form_that_the_client_understands() -> None:
    """It is a ``send`` on the transport that the client uses; one of before SDK 8 gets it as metadata with a method."""
    said = PublisherMessage("chat", msgspec.Raw(b'{"a":1}'))
    assert not Talk().core.publisher_sent(said, "s1")
    for channel, via in ((False, Via.SOCKET), (True, Via.CHANNEL)):
        effects = Talk().playing(channel=channel).core.publisher_sent(said, "s1")
        send = {"method": "chat", "data": {"a": 1}}
        assert texts(effects) == [{"data": {}, "send": send, "senderName": "s1", "dcLabel": "red5pro"}]
        assert [each.via for each in effects if isinstance(each, Send)] == [via]
    early = Talk().playing(request={"requestOffer": "s1", "requestId": "x", "transport": "udp"})
    assert texts(early.core.publisher_sent(said, "s1")) == [{"type": "metadata", "method": "chat", "data": {"a": 1}}]


def test_the_way_to_the_picture() -> None:
    """Offer, one TrickleCompleted after the answer, starting after the transport is up; effects in this order."""
    talk = Talk().playing()
    assert [type(each) for each in talk.effects] == [MakeOffer, Send, TakeAnswer, Send, Send, StartPlayback]
    offer, trickle, starting = texts(talk.effects)
    assert offer == {"data": {"sdp": {"type": "offer", "sdp": "v=0 offer"}}}
    assert trickle == {"data": {"type": "status", "code": "NetConnection.ICE.TrickleCompleted"}}
    assert starting == {"data": {"type": "status", "code": "NetStream.Play.Start", "message": "s1 starting"}}
    assert talk.effects[0] == MakeOffer("s1", channel=True)


def test_starting_waits_for_the_transport() -> None:
    """T-8: subscribe() must not resolve when there will be no picture; a time-out is said in words instead."""
    talk = Talk()
    talk.say(**REQUEST)
    talk.core.offered("v=0")
    talk.say(**ANSWER)
    talk.core.accepted()
    assert talk.say(**SUBSCRIBE) == []
    (error,) = texts(talk.core.not_connected("why."))
    assert error["data"]["type"] == "error"
    assert error["data"]["message"]
    assert talk.core.connected() == []


def test_trickling_is_completed_once() -> None:
    """T-20: the SDK subscribes at each TrickleCompleted."""
    talk = Talk().playing()
    talk.say(**ANSWER)
    talk.note(talk.core.accepted())
    assert codes(talk.effects).count("NetConnection.ICE.TrickleCompleted") == 1


def test_a_repeated_subscribe_is_answered_and_started_once() -> None:
    """A subscribe said twice gets its reply twice and is one start."""
    talk = Talk().playing()
    assert codes(talk.say(**SUBSCRIBE)) == ["NetStream.Play.Start"]
    assert talk.effects.count(StartPlayback("s1")) == 1


@pytest.mark.parametrize(("name", "live"), [("s1", True), ("s2", False), ("", False)])
def test_availability_is_a_boolean_at_top_level(name: str, live: bool) -> None:
    """T-7: nested or as a string the SDK would wait for ever; asking has no consequences."""
    assert Talk().say(isAvailable=name) == [Send(json.dumps({"isAvailable": live}, separators=(",", ":")), Via.SOCKET)]


def test_what_is_not_live_is_refused_with_a_reason() -> None:
    """An offer of an unknown stream is declined with a message, since a code alone would be ignored (T-6)."""
    talk = Talk()
    effects = talk.say(**{**REQUEST, "requestOffer": "s9"})
    assert texts(effects)[0]["data"]["message"] == "Stream s9 does not exist."
    assert effects[1] == Refuse(ConnectError.REJECTED)
    again = talk.say(**REQUEST)
    assert texts(again)[0]["data"]["type"] == "error"
    assert not any(isinstance(each, MakeOffer) for each in talk.effects)


def test_a_stream_that_ended_before_the_start_is_refused() -> None:
    """Between the offer and subscribe the stream may end; then starting is not said."""
    table = streams("s1")
    talk = Talk(table)
    talk.say(**REQUEST)
    talk.core.offered("v=0")
    talk.say(**ANSWER)
    talk.core.accepted()
    talk.core.connected()
    table.free("live", "s1", OWNER)
    effects = talk.say(**SUBSCRIBE)
    assert codes(effects) == ["NetStream.Play.StreamNotFound"]
    assert effects[-1] == Refuse(ConnectError.REJECTED)


def test_the_data_channel_is_announced_after_starting_only() -> None:
    """T-2, T-11, T-19: after starting, when it is really open, without a message, once."""
    talk = Talk()
    talk.say(**REQUEST)
    talk.core.offered("v=0")
    talk.say(**ANSWER)
    talk.core.accepted()
    assert talk.core.channel_opened("red5pro") == []
    talk.core.connected()
    effects = talk.say(**SUBSCRIBE)
    assert codes(effects) == ["NetStream.Play.Start", "NetConnection.DataChannel.Available"]
    assert "message" not in texts(effects)[1]["data"]
    assert talk.core.channel_opened("other") == []
    assert "NetConnection.DataChannel.Available" not in codes(Talk().playing().effects)


def test_the_notice_of_an_end_has_the_form_of_its_transport() -> None:
    """The status on the socket, the short form on the channel; nothing before starting."""
    assert Talk().core.unpublished() == []
    (told,) = Talk().playing().core.unpublished()
    assert told == Send('{"data":{"type":"status","code":"NetStream.Play.UnpublishNotify"}}', Via.SOCKET)
    (told,) = Talk().playing(channel=True).core.unpublished()
    assert told == Send('{"data":{"status":"NetStream.Play.UnpublishNotify"}}', Via.CHANNEL)


def test_what_was_lost_in_the_switch_is_said_again() -> None:
    """T-12: the client stops listening on the socket before the origin hears of it."""
    talk = Talk().playing()
    talk.core.channel_opened("red5pro")
    assert talk.core.metadata_changed({"streamingMode": "Audio"})
    assert talk.core.metadata_changed({"streamingMode": "Audio"}) == []
    talk.core.unpublished()
    (again,) = talk.say(switchChannel="red5pro")
    assert again == Send('{"data":{"status":"NetStream.Play.UnpublishNotify"}}', Via.CHANNEL)
    assert talk.say(switchChannel="red5pro") == []
    (metadata,) = talk.core.metadata_changed({"streamingMode": "Audio"})
    assert isinstance(metadata, Send)
    assert metadata.via is Via.CHANNEL


def test_metadata_is_said_when_it_changes() -> None:
    """The form is lower-case metadata with data; nothing before starting."""
    assert Talk().core.metadata_changed({"streamingMode": "Video"}) == []
    talk = Talk().playing()
    (told,) = talk.core.metadata_changed({"streamingMode": "Video", "resolution": "640,480", "orientation": 90})
    assert isinstance(told, Send)
    assert json.loads(told.text) == {
        "type": "metadata",
        "data": {"streamingMode": "Video", "resolution": "640,480", "orientation": 90},
    }


def unusable(verb: str) -> LogProblem:
    return LogProblem(f"the message {verb} cannot be used: its value is of another form, or too long")


@pytest.mark.parametrize(
    ("message", "effects"),
    [
        ({"mute": {"muteAudio": True}}, [Mute(True, None)]),
        ({"mute": {"muteVideo": False}}, [Mute(None, False)]),
        ({"mute": {"muteAudio": True, "muteVideo": True}}, [Mute(True, True)]),
        ({"standby": True}, [Mute(True, True)]),
        ({"standby": False}, [Mute(False, False)]),
        ({"standby": "yes"}, [unusable("standby")]),
        ({"mute": {}}, [unusable("mute")]),
        ({"mute": 7}, [unusable("mute")]),
        ({"send": {"method": "m", "data": {}}}, []),
        ({"handleCandidate": "s1", "data": {"candidate": {"candidate": ""}}}, []),
        ({"unpublish": "s1"}, []),
        ({"unheardOf": 1}, []),
        ({"log": "WARN", "message": "a\nb"}, [LogClientLine("WARN", "a b")]),
    ],
)
def test_what_expects_no_reply_gets_none(message: dict[str, Any], effects: list[Effect]) -> None:
    """T-46, T-10: an unasked error or stopping does harm; mute and standby in both of their forms are understood."""
    assert Talk().playing().say(**message) == effects


def test_tickets_are_answered_with_their_own_id_and_truly() -> None:
    """T-22: an unknown method is an error, the list of streams a list, on the transport of the question."""
    talk = Talk(streams("s1", "s2")).playing(channel=True)
    for via in Via:
        (reply,) = talk.say(
            via, callAdapter={"method": "getLiveStreams", "arguments": []}, id="9f3a", **{"async": True}
        )
        assert reply == Send('{"async":true,"id":"9f3a","data":["s1","s2"]}', via)
    (error,) = texts(talk.say(callAdapter={"method": "nothing"}, id="1", **{"async": True}))
    assert (error["async"], error["id"]) == (True, "1")
    assert error["error"]["message"]
    assert talk.say(callAdapter={"method": "nothing"}) == []


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([{"path": "live/s2", "isImmediate": True}], ("live", "s2")),
        ([{"path": "/live/s2"}], ("live", "s2")),
        ([{"path": "s2"}], ("live", "s2")),
        ([{"path": "live/s9"}], None),
        ([{"path": "other/s2"}], None),
        ([{"path": "/"}], None),
        ([{"path": 7}], None),
        (["live/s2"], None),
        ([], None),
        (None, None),
    ],
)
def test_a_switch_is_asked_for_with_a_path(arguments: Any, wanted: tuple[str, str] | None) -> None:
    """switchStreams of a live stream is done and answered on its ticket; anything else gets an error there."""
    talk = Talk(streams("s1", "s2")).playing()
    effects = talk.say(callAdapter={"method": "switchStreams", "arguments": arguments}, id="7", **{"async": True})
    if wanted is None:
        assert texts(effects)[0]["error"]["message"]
        return
    switch = SwitchTo(*wanted, "7", Via.SOCKET)
    assert effects == [switch]
    reply, notice = texts(talk.core.switched_to(switch))
    assert (reply["id"], reply["data"]) == ("7", {"path": "live/s2"})
    assert notice == {"data": {"type": "result", "message": "Stream switch: Success"}}


def test_a_switch_needs_a_subscription() -> None:
    """Before starting switchStreams is refused on its ticket."""
    effects = Talk().say(callAdapter={"method": "switchStreams", "arguments": [{"path": "s1"}]}, id="7")
    assert texts(effects)[0]["error"]["message"] == "There is no subscription to switch."


@pytest.mark.parametrize(
    "message",
    [
        {"subscribe": "s1"},
        {"handleAnswer": "s1", "data": {"sdp": {"type": "answer", "sdp": ""}}},
        {"handleOffer": "s1", "data": {"sdp": {"type": "offer", "sdp": ""}}},
        {"publish": "s1"},
    ],
)
def test_what_comes_out_of_place_is_said_to_be(message: dict[str, Any]) -> None:
    """The SDK would wait without an end; but the connection may go on."""
    effects = Talk().say(**message)
    assert texts(effects)[0]["data"]["message"]
    assert not any(isinstance(each, Refuse) for each in effects)


def test_an_answer_without_an_answer_is_invalid() -> None:
    """handleAnswer without an SDP answer is refused as invalid SDP."""
    talk = Talk()
    talk.say(**REQUEST)
    talk.core.offered("v=0")
    assert Refuse(ConnectError.INVALID_SDP) in talk.say(handleAnswer="s1", data={})


def test_a_draining_origin_offers_nothing() -> None:
    """The refusal has a message; availability is answered as before."""
    talk = Talk()
    talk.core.draining = True
    assert Refuse(ConnectError.REJECTED) in talk.say(**REQUEST)
    assert texts(talk.say(isAvailable="s1")) == [{"isAvailable": True}]


@pytest.mark.parametrize("message", [REQUEST, SUBSCRIBE])
def test_who_asks_for_an_offer_is_a_subscriber(message: dict[str, Any]) -> None:
    """The first telling message decides the role; questions before it do not, nor does an id like the stream's name."""
    talk = PublisherSignaling(scope="live", client_id="s1", streams=streams("s1"))
    asked = talk.receive('{"isAvailable":"s1"}', Via.SOCKET)
    assert asked == [Send('{"isAvailable":true}', Via.SOCKET)]
    (handed,) = talk.receive(json.dumps(message), Via.SOCKET)
    assert isinstance(handed, BecomeSubscriber)


def test_who_publishes_cannot_watch_on_the_same_connection() -> None:
    """After an offer, requestOffer is answered with an error and is no change of role."""
    talk = PublisherSignaling(scope="live", client_id="s2", streams=streams("s1"))
    talk.receive(json.dumps({"handleOffer": "s2", "data": {"sdp": {"type": "offer", "sdp": "v=0"}}}), Via.SOCKET)
    (error,) = texts(talk.receive(json.dumps(REQUEST), Via.SOCKET))
    assert error["data"]["type"] == "error"


@given(
    st.lists(
        st.sampled_from(
            [
                {"isAvailable": "s1"},
                REQUEST,
                {**REQUEST, "requestOffer": "s9"},
                ANSWER,
                SUBSCRIBE,
                {"subscribe": "s9"},
                {"switchChannel": "red5pro"},
                {"standby": True},
                {"handleOffer": "s1"},
                {"callAdapter": {"method": "switchStreams", "arguments": [{"path": "s1"}]}, "id": "1"},
            ]
        ),
        max_size=14,
    ),
    st.sampled_from(list(Via)),
)
def test_any_order_keeps_the_promises(said: list[dict[str, Any]], via: Via) -> None:
    """Whatever comes in whatever order: at most one end, one offer, one start, one TrickleCompleted and channel notice."""
    talk = Talk()
    for message in said:
        for effect in talk.say(via, **message):
            if isinstance(effect, MakeOffer):
                talk.note(talk.core.offered("v=0"))
            elif isinstance(effect, TakeAnswer):
                talk.note([*talk.core.accepted(), *talk.core.channel_opened("red5pro"), *talk.core.connected()])
    talk.note(talk.core.unpublished())
    for kind in (Refuse, MakeOffer, StartPlayback):
        assert sum(isinstance(each, kind) for each in talk.effects) <= 1
    heard = codes(talk.effects)
    for code in ("NetConnection.ICE.TrickleCompleted", "NetConnection.DataChannel.Available"):
        assert heard.count(code) <= 1
    if "NetConnection.DataChannel.Available" in heard:
        assert heard.index("NetStream.Play.Start") < heard.index("NetConnection.DataChannel.Available")


@given(st.text(max_size=200))
def test_frames_never_raise(frame: str) -> None:
    """Any text frame has effects or none; so has any text in the values that are read later."""
    core = Talk().playing().core
    core.receive(frame, Via.SOCKET)
    for key in ("mute", "standby", "send", "callAdapter"):
        core.receive(json.dumps({key: frame, "id": "1"}), Via.CHANNEL)
