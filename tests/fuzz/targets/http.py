"""What comes over TCP before anything is said: heads of requests and WebSocket frames, beside ``websockets``' own parsers."""

from __future__ import annotations

import itertools
from collections.abc import Generator

from smproxy.http_head import (
    BadRequest,
    check_handshake,
    is_websocket,
    origin_form,
    parse_headers,
    parse_request_line,
    with_target,
)
from smproxy.manager.relay.scanner import FrameScanner
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Frame
from websockets.http11 import Request
from websockets.protocol import OPEN, SERVER, Protocol

from tests.fuzz.targets.one_line import one_line

_LIMIT = 1_000


def frames(data: bytes) -> None:
    """Frames of a client: the messages and the violation that ``websockets`` finds, in whatever pieces they come."""
    cut, data = (data[0], data[1:]) if data else (1, b"")
    scanner = FrameScanner(masked=True, max_message=_LIMIT)
    passed = scanner.feed(data)
    assert data.startswith(passed), "bytes were changed"
    pieces = FrameScanner(masked=True, max_message=_LIMIT)
    step = 1 + cut % 17
    for start in range(0, len(data), step):
        pieces.feed(data[start : start + step])
    assert pieces.messages == scanner.messages, "pieces make other messages"
    assert (pieces.violation is None) is (scanner.violation is None), "pieces make another violation"
    _compare(scanner, data)


def _compare(scanner: FrameScanner, data: bytes) -> None:
    theirs = Protocol(SERVER, state=OPEN, max_size=_LIMIT)
    theirs.receive_data(data)
    if scanner.violation is not None and theirs.parser_exc is None:
        theirs.receive_data(bytes(2 * _LIMIT))  # websockets looks at a frame when it is complete
    error = theirs.parser_exc
    messages: list[bytes | None] = []
    kind, parts = None, b""
    for frame in theirs.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode in (TEXT, BINARY):
            kind, parts = frame.opcode, b""
        if frame.opcode in (TEXT, BINARY, CONT):
            parts += bytes(frame.data)
            if frame.fin:
                messages.append(parts if kind is TEXT else None)
    ours = scanner.violation
    if ours is not None and ours.code == 1007 and "text" in ours.text:
        # websockets looks at UTF-8 later: all before this message agrees.
        assert messages[: len(scanner.messages)] == scanner.messages
        bad = messages[len(scanner.messages)]
        assert bad is not None
        assert not _is_utf8(bad), "a text that is UTF-8 was refused"
        return
    if ours is not None and "shortest form" in ours.text:
        assert messages[: len(scanner.messages)] == scanner.messages
        return  # a MUST of RFC 6455, 5.2, which websockets does not check
    if ours is not None and "control frame is too long" in ours.text:
        assert messages[: len(scanner.messages)] == scanner.messages
        return  # the long form of a length, see RFC 6455, 5.5: we refuse the form, websockets looks at length and content
    assert scanner.messages == messages, "other messages than websockets'"
    if ours is None:
        incomplete = isinstance(error, ProtocolError) and "incomplete fragmented" in str(error)
        assert error is None or incomplete, f"websockets refuses what we let through: {error!r}"
    else:
        assert error is not None, f"websockets takes what we refuse: {ours}"
        expected = 1009 if isinstance(error, PayloadTooBig) else 1007 if isinstance(error, UnicodeDecodeError) else 1002
        # A frame that is wrong in two ways has either code.
        assert ours.code == expected or {ours.code, expected} <= {1002, 1009}, f"{ours} but {error!r}"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def heads(data: bytes) -> None:
    """The head of a request: what ``websockets`` reads, or a status from 400 to 499; a handshake is a handshake for it, too."""
    line, _, rest = data.partition(b"\r\n")
    fields, _, _ = rest.partition(b"\r\n\r\n")
    fields += b"\r\n" if fields else b""
    try:
        method, target, version = parse_request_line(line)
        headers = parse_headers(fields)
        path, authority = origin_form(target)
        is_websocket(headers)
        if authority is not None:
            again = with_target(line + b"\r\n" + fields + b"\r\n", method, path, version, authority)
            assert again.endswith(b"\r\n\r\n")
            parse_headers(again.partition(b"\r\n")[2][:-2])
        key, _ = check_handshake(method, path, version, headers)
    except BadRequest as error:
        _refused(error.status, error.text)
        return
    assert key
    request = _their_request(line + b"\r\n" + fields + b"\r\n")
    assert request.path == target
    assert request.headers["Sec-WebSocket-Key"].strip(" \t") == key


def _refused(status: int, text: str) -> None:
    assert 400 <= status < 500
    one_line(text)


def _their_request(head: bytes) -> Request:
    lines = iter(head.split(b"\r\n"))

    def read_line(_most: int, _error: type[Exception]) -> Generator[None, None, bytes]:
        yield from ()
        return next(lines) + b"\r\n"

    parser = Request.parse(read_line)
    try:
        next(parser)
    except StopIteration as done:
        request = done.value
        assert isinstance(request, Request)
        return request
    raise AssertionError("websockets wants more")


def _masked(opcode: int, payload: bytes, first: int = 0x80) -> bytes:
    return Frame(opcode, payload, bool(first)).serialize(mask=True)  # type: ignore[arg-type]


_HEAD = (
    b"GET /live?id=cam HTTP/1.1\r\nHost: localhost:5080\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

TARGETS = {
    "frames": (
        frames,
        tuple(
            b"\x05" + b"".join(each)
            for each in itertools.permutations(
                (
                    _masked(TEXT, b'{"isAvailable":"cam"}'),
                    _masked(PING, b"x") + _masked(BINARY, bytes(300)),
                    _masked(TEXT, "gr\u00fc".encode()[:-1], 0)
                    + _masked(PONG, b"")
                    + _masked(CONT, "\u00fc".encode()[-1:]),
                    _masked(CLOSE, b"\x03\xe8bye"),
                ),
                3,
            )
        )[:12],
        (
            b"\x81\x80",
            b"\x88\x82",
            b"\x80\xfe",
            b"\x01\xfe\x00\x7e",
            b"\x82\xff",
            b"\x03\xe8",
            b"\xff\xff",
            b"\x89\x80",
        ),
        2,
    ),
    "heads": (
        heads,
        (_HEAD, _HEAD.replace(b"GET /live", b"GET http://h:1/live"), b"POST / HTTP/1.0\r\n\r\n"),
        (
            b"\r\n",
            b": ",
            b"Host:",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Length: 0\r\n",
            b"\x80",
            b"HTTP/1.1",
            b"://",
            b"\t",
        ),
    ),
}
