"""What ``smproxy subscribe`` makes of its arguments, and the answers that it sends."""

from __future__ import annotations

import argparse

import pytest
from smproxy.commands.subscribe import _target, add_arguments
from smproxy.testing.sdp_edit import as_browser_answer

ANSWER = """v=0
m=audio 40190 UDP/TLS/RTP/SAVPF 96
c=IN IP4 192.0.2.2
a=recvonly
a=mid:0
a=candidate:1 1 udp 2130706431 192.0.2.2 40190 typ host
a=end-of-candidates
a=ice-ufrag:abcd
m=application 0 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.2
a=mid:1
a=candidate:1 1 udp 2130706431 192.0.2.2 40190 typ host
"""


def target(*words: str) -> tuple[str, str, dict[str, str]]:
    """Read a command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return _target(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("cam",), ("ws://localhost:5080/streammanager", "cam", {})),
        (("ws://sm:5081", "--stream", "cam"), ("ws://sm:5081/streammanager", "cam", {})),
        (
            ("wss://sm/streammanager/?id=subscriber-1&customerscope=a&app=live", "--stream", "cam"),
            ("wss://sm/streammanager/", "cam", {"customerscope": "a", "app": "live"}),
        ),
        (
            (
                "ws://sm/live?customerscope=a&token=x%2By+z",
                "--stream",
                "cam",
                "--customer-scope",
                "b",
                "--app",
                "rooms",
            ),
            ("ws://sm/live", "cam", {"token": "x+y+z", "customerScope": "b", "app": "rooms"}),
        ),
    ],
)
def test_target(words: tuple[str, ...], expected: tuple[str, str, dict[str, str]]) -> None:
    """A name alone is enough; of a page's URL the id is left out; options win over the URL in any spelling."""
    assert target(*words) == expected


def test_answers_trickle() -> None:
    """The answer has no candidates and no ports but that of a refused section; the first section's candidates are trickled."""
    sdp, candidates = as_browser_answer(ANSWER)
    assert "candidate" not in sdp
    assert "192.0.2.2" not in sdp
    assert [line.split(" ")[1] for line in sdp.splitlines() if line.startswith("m=")] == ["9", "0"]
    assert "a=recvonly" in sdp.splitlines()
    assert "a=ice-options:trickle" in sdp.splitlines()
    assert candidates == [("0", 0, "candidate:1 1 udp 2130706431 192.0.2.2 40190 typ host")]
