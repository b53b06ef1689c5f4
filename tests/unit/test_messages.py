"""What is said on the signaling channel, read and written."""

from __future__ import annotations

import pytest
from smproxy.signaling.messages import ServerMessage, adapter_reply, read_server


@pytest.mark.parametrize("data", ["[]", '["live/cam"]', "true", '"text"', "1", '{"type":1}'])
def test_a_ticket_reply_is_a_message_whatever_it_holds(data: str) -> None:
    """The answer to ``callAdapter`` may have any ``data``; it counts as read and says nothing about the session."""
    assert read_server('{"async":true,"id":"1f","data":' + data + "}") == ServerMessage()


@pytest.mark.parametrize(
    "frame", ["", "[]", '{"data":[]}', '{"data":[],"id":"1f"}', '{"data":[],"async":false,"id":"1f"}', "\ud800"]
)
def test_what_is_no_message_is_none(frame: str) -> None:
    """What cannot be read is told apart from a reply."""
    assert read_server(frame) is None


def test_our_own_reply_is_read() -> None:
    """What the origin answers to ``getLiveStreams`` is a message for those who read along."""
    assert read_server(adapter_reply("1f", ["live/cam"])) is not None
