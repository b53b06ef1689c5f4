"""The options of WHIP and WHEP take what they should, and say what is wrong with the rest."""

from __future__ import annotations

import pytest
from smproxy.settings.option_values import takeover_after
from smproxy.settings.options import OPTIONS
from smproxy.signaling.whip import IceServer

PARSE = {option.setting: option.parse for option in OPTIONS}


@pytest.mark.parametrize(("text", "seconds"), [("never", None), ("always", 0.0), ("after=2.5", 2.5), ("AFTER=3", 3.0)])
def test_takeover(text: str, seconds: float | None) -> None:
    """A live name is taken over never, at once, or after some seconds."""
    assert takeover_after(PARSE["takeover"](text)) == seconds


@pytest.mark.parametrize("text", ["", "after", "after=", "after=-1", "after=soon", "sometimes"])
def test_no_takeover(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match=r"it takes|seconds"):
        PARSE["takeover"](text)


def test_ice_servers() -> None:
    """A STUN server is a URL; a TURN server has a user and a password, in which there may be commas."""
    parse = PARSE["ice_server"]
    assert parse("stun:stun.example:3478") == IceServer("stun:stun.example:3478")
    turn = parse("turn:turn.example:3478?transport=udp,ann,a,b")
    assert (turn.url, turn.username, turn.credential) == ("turn:turn.example:3478?transport=udp", "ann", "a,b")
    assert "a,b" not in repr(turn)


@pytest.mark.parametrize(
    "text", ["", "http://x", "turn:x", "turn:x,ann", "stun:x,ann,pw", 'turn:x,a"b,pw', "stun:x> y"]
)
def test_no_ice_server(text: str) -> None:
    """What is none, or would break the header that it is written into, is refused."""
    with pytest.raises(ValueError, match=r"STUN|stun:"):
        PARSE["ice_server"](text)
