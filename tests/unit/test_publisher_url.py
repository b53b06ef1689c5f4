"""The URL of a publisher, and its descriptions: as a browser with the vendor's SDK makes them."""

from __future__ import annotations

import argparse

import pytest
from smproxy.commands.publish import _target, add_arguments
from smproxy.testing.sdp_edit import as_browser_offer, receive_nothing
from smproxy.testing.signaling_url import signaling_url

OFFER = """\
v=0
m=audio 5000 UDP/TLS/RTP/SAVPF 96
c=IN IP4 192.0.2.1
a=sendonly
a=mid:0
a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host
a=end-of-candidates
a=ice-ufrag:abcd
m=video 5000 UDP/TLS/RTP/SAVPF 97
c=IN IP4 192.0.2.1
a=sendonly
a=mid:1
a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host
a=ice-ufrag:abcd
"""


@pytest.mark.parametrize("base", ["ws://sm:5080/streammanager", "ws://sm:5080/streammanager/"])
def test_a_slash_stands_before_the_query(base: str) -> None:
    """The SDK dials /streammanager/?id=…, whether or not the path has its slash."""
    assert signaling_url(base, "cam") == "ws://sm:5080/streammanager/?id=cam"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a/b c", "a%2Fb%20c"),
        ('{"foo":"bar"}', "%7B%22foo%22%3A%22bar%22%7D"),
        ("it's+(1)*!~", "it%27s%2B(1)*!~"),
        ("Ümläut", "%C3%9Cml%C3%A4ut"),
        ("", ""),
        (True, "true"),
        (None, "null"),
        (7, "7"),
    ],
)
def test_values_are_encoded_as_a_browser_does(value: str | int | bool | None, text: str) -> None:
    """Values go through encodeURIComponent, then through the browser's URL parser."""
    assert signaling_url("ws://sm/live", "s", {"k": value}) == f"ws://sm/live/?id=s&k={text}"


def test_parameters_keep_their_order_and_id_can_be_replaced() -> None:
    """Parameters follow in their order; a parameter id takes the name's place, as in the SDK."""
    url = signaling_url("ws://sm/live", "s", {"b": "1", "id": "other", "a": "2"})
    assert url == "ws://sm/live/?id=other&b=1&a=2"


def test_the_name_is_not_escaped() -> None:
    """A name with & injects a parameter and + stays, as the SDK sends them; a space is the browser's to encode."""
    assert signaling_url("ws://sm/live", "a&b=1+2 ü") == "ws://sm/live/?id=a&b=1+2%20%C3%BC"


def test_a_query_of_the_url_is_kept() -> None:
    """A full URL, as a page opened it, is dialled as it is."""
    url = "ws://sm/streammanager/?id=cam&meta=%7B%7D&customerScope=a"
    assert signaling_url(url, "cam") == url


@pytest.mark.parametrize(("base", "stream"), [("http://sm/live", "s"), ("ws:///live", "s"), ("ws://sm/live", "a#b")])
def test_what_a_browser_could_not_dial(base: str, stream: str) -> None:
    """What no browser would dial is a ValueError, and not a failed connection later."""
    with pytest.raises(ValueError, match="URL"):
        signaling_url(base, stream)


def test_offer_trickles_as_a_browser() -> None:
    """The offer has no candidates, sendrecv, b= before c=; the candidates of the bundle are told once."""
    offer, candidates = as_browser_offer(OFFER)
    lines = offer.split("\r\n")
    assert lines[1:4] == ["m=audio 9 UDP/TLS/RTP/SAVPF 96", "b=AS:56", "c=IN IP4 0.0.0.0"]
    assert "b=AS:512" in lines
    assert "a=sendrecv" in lines
    assert "a=sendonly" not in lines
    assert "candidate" not in offer
    assert candidates == [("0", 0, "candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host")]


def test_an_answer_that_sends_is_muted() -> None:
    """Whatever the server would send, nothing is received, so no decoder is started."""
    answer = receive_nothing("m=audio 1\r\na=sendrecv\r\nm=video 1\r\na=sendonly\r\nm=video 2\r\na=recvonly\r\n")
    assert [line for line in answer.splitlines() if line[0] == "a"] == ["a=recvonly", "a=inactive", "a=recvonly"]


def _parse(*words: str) -> tuple[str, str, dict[str, str]]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return _target(parser.parse_args(words))


def test_command_line_takes_a_full_url() -> None:
    """A URL that a page opened gives the name and the parameters; options go over them, whatever their case."""
    url = "ws://sm:1/streammanager/?id=cam&customerscope=old&meta=%7B%22a%22%3A1%7D&plus=a+b"
    base, stream, params = _parse(url, "--customer-scope", "new")
    assert (base, stream) == ("ws://sm:1/streammanager/", "cam")
    assert params == {"meta": '{"a":1}', "plus": "a+b", "customerScope": "new"}


def test_command_line_has_defaults() -> None:
    """With a name alone it publishes to the stream manager of this machine, and without a path to its usual one."""
    assert _parse("x") == _parse("--stream", "x") == ("ws://localhost:5080/streammanager", "x", {})
    assert _parse("ws://sm:1", "--stream", "x")[0] == "ws://sm:1/streammanager"


@pytest.mark.parametrize(
    "words",
    [
        ["--stream", "x", "--meta", "[]"],
        ["--stream", "x", "--meta", "{"],
        [],
        ["http://sm", "--stream", "x"],
        ["x", "--stream", "y"],
        ["x", "--whip", "http://sm/x"],
    ],
)
def test_command_line_mistakes(words: list[str]) -> None:
    """A user's mistake is one line about the option, not a traceback."""
    with pytest.raises(ValueError, match=r"--meta|--stream|URL|--whip"):
        _parse(*words)
