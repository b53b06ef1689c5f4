"""What a WebSocket proxy demands of a request head, and which status says so."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.http_head import (
    BadRequest,
    check_handshake,
    is_websocket,
    parse_fields,
    parse_headers,
    parse_request_line,
)

GOOD = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def lines(*pairs: tuple[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in pairs).encode()


def check(
    *extra: tuple[str, str], method: str = "GET", version: str = "HTTP/1.1", **replaced: str | None
) -> tuple[str, tuple[str, ...]]:
    """Check the good handshake with headers replaced (``None`` removes one) and added."""
    changed = {name.replace("_", "-").lower(): value for name, value in replaced.items()}
    pairs = [(name, changed.get(name.lower(), value)) for name, value in GOOD.items()]
    headers = parse_headers(lines(*[(name, value) for name, value in pairs if value is not None], *extra))
    return check_handshake(method, "/streammanager?id=s", version, headers)


def status(*extra: tuple[str, str], method: str = "GET", version: str = "HTTP/1.1", **replaced: str | None) -> int:
    with pytest.raises(BadRequest) as caught:
        check(*extra, method=method, version=version, **replaced)
    return caught.value.status


def test_good_handshake_gives_key_and_subprotocols() -> None:
    """A valid handshake gives the key, and the subprotocols of all its headers in order."""
    assert check() == ("dGhlIHNhbXBsZSBub25jZQ==", ())
    assert check(("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Protocol", "c"))[1] == ("a", "b", "c")


@pytest.mark.parametrize("connection", ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive"])
def test_connection_tokens_ignore_case(connection: str) -> None:
    """``Upgrade`` may stand in any case among other tokens."""
    check(Connection=connection)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("websocket", True), ("WebSocket", True), ("h2c, websocket", True), ("h2c", False), ("", False), ("a b", False)],
)
def test_only_an_upgrade_to_websocket_is_one(value: str, expected: bool) -> None:
    """Another protocol in Upgrade is not our business."""
    assert is_websocket(parse_headers(lines(("Upgrade", value)))) is expected


def test_each_mistake_has_its_status() -> None:
    """Method, version, key and the rest are refused with the status of RFC 6455 and RFC 9110."""
    assert status(method="POST") == 405
    assert status(version="HTTP/1.0") == 400
    assert status(Sec_WebSocket_Version="8") == 426
    assert status(Sec_WebSocket_Version=None) == 426
    assert status(Sec_WebSocket_Key=None) == 400
    assert status(Sec_WebSocket_Key="") == 400
    assert status(Sec_WebSocket_Key="c2hvcnQ=") == 400
    assert status(Sec_WebSocket_Key="not base64 at all!!!!!!!") == 400
    assert status(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=\xe4") == 400
    assert status(Connection=None) == 400
    assert status(Connection="keep-alive") == 400
    assert status(Host=None) == 400
    assert status(("Content-Length", "5")) == 400
    assert status(("Transfer-Encoding", "chunked")) == 400
    assert status(("Sec-WebSocket-Protocol", "a b")) == 400
    check(("Content-Length", "0"))


@pytest.mark.parametrize("name", ["Host", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_header_that_must_be_alone(name: str) -> None:
    """A second value would make the request ambiguous, even when it is the same."""
    value = GOOD.get(name, "x")
    assert status((name, value), (name, value)) == 400


def test_headers_are_read_as_they_were_written() -> None:
    """White space around a value goes, the rest stays, Latin-1 included."""
    fields = parse_fields(b"A:b\r\nC: \t d e \r\nEmpty:\r\nL: \xe4\r\n")
    assert fields == [("A", "b"), ("C", "d e"), ("Empty", ""), ("L", "ä")]


def test_headers_are_found_whatever_the_case_of_their_names() -> None:
    """A field is found by its name in lower case: its first value, or all of them in order."""
    headers = parse_headers(b"Via: a\r\nVIA: b\r\nvia: c\r\nHost: x\r\n")
    assert (headers["via"], headers.all("via")) == ("a", ["a", "b", "c"])
    assert (headers["host"], headers.all("host"), headers.all("upgrade")) == ("x", ["x"], [])


@pytest.mark.parametrize(
    "bad", [b"no colon\r\n", b": no name\r\n", b"A : b\r\n", b"A: b\r\n folded\r\n", b"A: \x00\r\n", b"A: b\nC: d\r\n"]
)
def test_malformed_header(bad: bytes) -> None:
    """What is no header line is refused, above all what could be read in two ways."""
    with pytest.raises(BadRequest) as caught:
        parse_headers(bad)
    assert caught.value.status == 400


def test_too_many_headers() -> None:
    """The number of lines is limited."""
    parse_headers(b"A: b\r\n" * 128)
    with pytest.raises(BadRequest) as caught:
        parse_headers(b"A: b\r\n" * 129)
    assert caught.value.status == 431


@pytest.mark.parametrize(
    ("line", "expected"),
    [(b"GET / HTTP/2", 400), (b"GET  / HTTP/1.1", 400), (b"GET /", 400)],
)
def test_bad_request_line(line: bytes, expected: int) -> None:
    """A request line is three words of limited length."""
    with pytest.raises(BadRequest) as caught:
        parse_request_line(line)
    assert caught.value.status == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_headers_or_a_bad_request(data: bytes) -> None:
    """Arbitrary bytes never raise anything else."""
    with contextlib.suppress(BadRequest):
        parse_request_line(data)
    with contextlib.suppress(BadRequest):
        check_handshake("GET", "/", "HTTP/1.1", parse_headers(data))
