"""What is said on the signaling channel, read and written."""

from __future__ import annotations

import pytest
from smproxy.signaling.messages import (
    ClientVerb,
    ServerMessage,
    adapter_reply,
    read_client,
    read_client_verb,
    read_server,
    read_server_notice,
)


@pytest.mark.parametrize("data", ["[]", '["live/cam"]', "true", '"text"', "1", '{"type":1}'])
def test_a_ticket_reply_is_a_message_whatever_it_holds(data: str) -> None:
    """The answer to ``callAdapter`` may have any ``data``; it counts as read and says nothing about the session."""
    frame = '{"async":true,"id":"1f","data":' + data + "}"
    assert read_server(frame) == read_server_notice(frame) == ServerMessage()


@pytest.mark.parametrize(
    "frame", ["", "[]", '{"data":[]}', '{"data":[],"id":"1f"}', '{"data":[],"async":false,"id":"1f"}', "\ud800"]
)
def test_what_is_no_message_is_none(frame: str) -> None:
    """What cannot be read is told apart from a reply."""
    assert read_server(frame) is None
    assert read_server_notice(frame) is None


def test_our_own_reply_is_read() -> None:
    """What the origin answers to ``getLiveStreams`` is a message for those who read along."""
    assert read_server(adapter_reply("1f", ["live/cam"])) is not None


@pytest.mark.parametrize(
    "frame",
    [
        '{"isAvailable":"cam","bundle":true}',
        '{"handleOffer":"cam","transport":"udp","data":{"sdp":{"type":"offer","sdp":"v=0"}}}',
        '{"handleOffer":7,"data":{"sdp":7}}',
        '{"handleCandidate":"cam","data":{"candidate":{"candidate":"","sdpMLineIndex":0}}}',
        '{"publish":"cam","mode":"live"}',
        '{"unpublish":"cam"}',
        '{"requestOffer":"cam","requestId":"subscriber-1"}',
        '{"subscribe":"cam","requestId":null}',
        '{"switchChannel":null}',
        '{"switchChannel":"cam"}',
        '{"isAvailable":{}}',
        '{"isAvailable":"cam","bundle":"no"}',
        '{"log":"text"}',
        "{}",
        "[]",
        '{"publish":"ca',
        "\ud800",
    ],
)
def test_who_reads_along_sees_the_same_verb(frame: str) -> None:
    """What a relay reads of a client's message is what the origin reads there, also where values are of the wrong type."""
    verb, whole = read_client_verb(frame), read_client(frame)
    assert (verb is None) == (whole is None)
    for name in ClientVerb.__struct_fields__:
        assert getattr(verb, name, None) == getattr(whole, name, None)


def test_who_reads_along_sees_what_the_origin_says() -> None:
    """A relay sees availability, code, type and text, whatever else the message brings."""
    media = '"sdp":{"type":"answer","sdp":"v=0"},"candidate":1'
    frame = '{"isAvailable":true,"data":{"type":"status","code":"C","message":"m",' + media + "}}"
    notice, whole = read_server_notice(frame), read_server(frame)
    assert notice is not None
    assert whole is not None
    assert notice.data
    assert whole.data
    assert notice.is_available is whole.is_available is True
    for name in ("type", "code", "message"):
        assert getattr(notice.data, name) == getattr(whole.data, name)
