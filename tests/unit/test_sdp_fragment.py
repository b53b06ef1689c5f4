"""SDP fragments of trickle ICE."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.signaling.sdp_fragment import MAX_FRAGMENT, InvalidFragment, SdpFragment, read_fragment, write_fragment

UFRAG, PASSWORD = "EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"
HOST = "1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"
TCP = "473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0"
MDNS = "1 1 UDP 2113937151 5e0a3d2f-77ab-4c0e-9d33-2f3a7d1f6d1e.local 54321 typ host"


def fragment(*lines: str, end: str = "\r\n") -> bytes:
    """Join lines."""
    return (end.join(lines) + end).encode()


def test_the_example_of_the_rfc() -> None:
    """Credentials, candidates of any transport and the end are read; other lines are ignored."""
    body = fragment(
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{PASSWORD}",
        f"a=candidate:{HOST}",
        f"a=candidate:{TCP}",
        f"a=candidate:{MDNS}",
        "a=end-of-candidates",
    )
    assert read_fragment(body) == SdpFragment(UFRAG, PASSWORD, (HOST, TCP, MDNS))


def test_the_fragment_of_the_vendors_sdk() -> None:
    """Candidates of all sections stand under the mid 0, and there is no newline at the end."""
    lines = (
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{PASSWORD}",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=mid:0",
        f"a=candidate:{HOST}",
    )
    assert read_fragment("\r\n".join(lines).encode()).candidates == (HOST,)
    assert read_fragment("\n".join(lines).encode()).ufrag == UFRAG


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"nonsense",
        b"\xff\xfe",
        b"v=0\r\n",
        fragment("a=candidate:1 1 udp 1 192.0.2.1 9 typ"),
        fragment("a=candidate:garbage"),
        fragment(f"a=ice-ufrag:{UFRAG}"),
        fragment("a=ice-ufrag:x", f"a=ice-pwd:{PASSWORD}"),
        fragment(f"a=ice-ufrag:{UFRAG}", "a=ice-pwd:short"),
        fragment(f"a=candidate:{HOST}", "hello"),
        b"a=end-of-candidates\r\n" * 5000,
        b"a=x:" + b"y" * MAX_FRAGMENT,
    ],
)
def test_what_is_no_fragment(body: bytes) -> None:
    """What cannot be read, or says nothing of ICE, is refused with a sentence that has no password in it."""
    with pytest.raises(InvalidFragment) as refused:
        read_fragment(body)
    assert str(refused.value).endswith(".")
    assert PASSWORD not in str(refused.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but the documented error comes of any bytes."""
    try:
        read_fragment(body)
    except InvalidFragment:
        return


@given(st.lists(st.sampled_from([HOST, TCP, MDNS]), max_size=4))
def test_what_is_written_is_read(candidates: list[str]) -> None:
    """The server's fragment has its credentials, all candidates, the end of them, and ``ice-lite`` as the answer."""
    body = write_fragment(kind="audio", mid="0", ufrag=UFRAG, password=PASSWORD, candidates=candidates)
    assert read_fragment(body) == SdpFragment(UFRAG, PASSWORD, tuple(candidates))
    assert body.startswith(b"a=ice-lite\r\n")
    assert b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" in body
    assert PASSWORD not in repr(read_fragment(body))
