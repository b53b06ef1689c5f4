"""What clients say: parameters, messages, descriptions, and the bodies and paths of WHIP and WHEP."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from urllib.parse import unquote_plus

from smproxy.origin.answer import plan_answer, write_answer
from smproxy.origin.candidates import HostCandidate
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.play.answer import CodecRefused, InvalidAnswer, read_answer
from smproxy.origin.play.offer import plan_offer, write_offer
from smproxy.origin.sdp import read_description
from smproxy.origin.sdp_section import InvalidSdp
from smproxy.signaling.client_messages import UnusableMessage, read_client
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse
from smproxy.signaling.messages import read_server
from smproxy.signaling.params import NAME_LIMIT, ConnectionParams, ParamError
from smproxy.signaling.payloads import Kind
from smproxy.signaling.sdp_fragment import InvalidFragment, read_fragment, write_fragment
from smproxy.signaling.whip import check_if_match, read_endpoint_request, read_session_request
from smproxy.signaling.whip_urls import WhipTarget, read_endpoint, read_session, read_whip_target
from yarl import URL

from tests.fuzz.targets.one_line import one_line

_FIXTURES = Path(__file__).parents[3] / "fixtures"
_OFFERS = tuple(path.read_bytes() for path in sorted((_FIXTURES / "offers").glob("*.sdp")))
_FRAMES = tuple(
    json.loads(line).get("text", "").encode()
    for path in sorted((_FIXTURES / "frames").glob("*.jsonl"))
    for line in path.read_text().splitlines()[:12]
)


def _printable(data: bytes) -> str:
    return "".join(chr(byte) for byte in data if 0x21 <= byte <= 0x7E)


def parameters(data: bytes) -> None:
    """The query of a client's URL: parameters within their limits, or a ``ParamError`` of one line."""
    query = _printable(data).replace("#", "%23")
    try:
        url = URL(f"/live?{query}", encoded=True)
        params = ConnectionParams.from_url(url, customer_scope_required=len(data) % 2 == 0)
    except ParamError as error:
        one_line(str(error))
        return
    for value in (params.id, params.username, params.customer_scope, params.app):
        assert value is None or len(value) <= NAME_LIMIT
    password = params.password or ""
    if len(password) >= 8 and unquote_plus(query).count(password) == 1:  # what is elsewhere as well is no secret
        assert password not in repr(params.connection)
    json.dumps(params.meta)


def messages(data: bytes) -> None:
    """A frame of a client or an origin: a message, or ``None`` when it is no JSON object."""
    message = read_client(data)
    if isinstance(message, UnusableMessage):
        assert str(message)
    read_server(data)
    try:
        value = json.loads(data.decode(), parse_constant=_no_constant)  # of bytes, json takes UTF-16 as well
    except (ValueError, RecursionError):
        return
    if (
        isinstance(value, dict)
        and "\\ud" not in data.decode("latin-1").lower()
        and data.count(b"[") + data.count(b"{") < 100
    ):
        assert message is not None, "a JSON object is taken for none"


def _no_constant(name: str) -> None:
    raise ValueError(name)


def offers(data: bytes) -> None:
    """An offer: an answer that is valid SDP, or an ``InvalidOffer`` of one line."""
    try:
        plan = plan_answer(read_offer(data.decode("utf-8", "replace")))
    except InvalidOffer as error:
        one_line(str(error))
        return
    answer = write_answer(
        plan,
        ufrag="abcd",
        password="p" * 22,
        fingerprint="AA:BB",
        candidates=[HostCandidate("127.0.0.1", 5000, 1)],
        session_id=1,
    )
    sections = [line for line in answer.split("\r\n") if line.startswith("m=")]
    assert len(sections) == len(plan.offer.sections), "an answer has as many sections as its offer"


_FORMATS = {
    Kind.AUDIO: PayloadFormat(111, "OPUS", "opus/48000/2", 48000),
    Kind.VIDEO: PayloadFormat(96, "VP8", "VP8/90000", 90000),
}
_PLAN = plan_offer(_FORMATS, data=True, rng=random.Random(1))
_OFFER = write_offer(
    _PLAN,
    ufrag="abcd",
    password="p" * 22,
    fingerprint="AA:BB",
    candidates=[HostCandidate("127.0.0.1", 5000, 1)],
    session_id=1,
)


def answers(data: bytes) -> None:
    """A subscriber's answer: it can be used, or is refused in one line."""
    try:
        read_answer(data.decode("utf-8", "replace"), _PLAN)
    except (InvalidAnswer, CodecRefused) as error:
        one_line(str(error))


def descriptions(data: bytes) -> None:
    """Any description is read, or refused in one line."""
    try:
        read_description(data.decode("utf-8", "replace")).transport()
    except InvalidSdp as error:
        one_line(str(error))


def fragments(data: bytes) -> None:
    """A fragment: credentials and candidates that are written as they are read, or an ``InvalidFragment``."""
    try:
        fragment = read_fragment(data)
    except InvalidFragment as error:
        one_line(str(error))
        return
    if fragment.ufrag:
        written = write_fragment(
            kind="audio", mid="0", ufrag=fragment.ufrag, password=fragment.password, candidates=fragment.candidates
        )
        assert read_fragment(written) == fragment


_METHODS = ("POST", "PATCH", "DELETE", "OPTIONS", "GET", "HEAD", "PUT")


def whip_bodies(data: bytes) -> None:
    """A WHIP or WHEP request: what it asks for, or a status from 200 to 499 that RFC 9725 knows."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    method = _METHODS[len(lines[0]) % len(_METHODS)]
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    request = HttpRequest(method, "/live/whip/endpoint/cam", lines[0], headers, body)
    for protocol in ("whip", "whep"):
        target = read_whip_target(f"/live/{protocol}/endpoint/cam")
        assert target is not None
        for answer in (read_endpoint_request(target, request), read_session_request(target, request)):
            if isinstance(answer, HttpResponse):
                assert 200 <= answer.status < 500
                assert answer.status in {200, 204, 400, 405, 413, 415}
    refused = check_if_match(request, '"1"')
    assert refused is None or refused.status in (412, 428)


def whip_paths(data: bytes) -> None:
    """A path: an endpoint, a session or neither; a target's path is read as that target."""
    path = "/" + _printable(data).lstrip("/")
    endpoint, session = read_endpoint(path), read_session(path)
    assert endpoint is None or session is None
    # Nobody has a stream "events" in a sub-scope that is a session's identity: it would read as that session's events.
    if endpoint is not None and not re.search(r"/[0-9a-f]{32}/events", path):
        identity = "0" * 32
        assert read_session(endpoint.session_path(identity)) == (identity, "")
    target = read_whip_target(path)
    if target is not None and _plain(target):
        assert read_whip_target(target.path) == target


def _plain(target: WhipTarget) -> bool:
    parts = (*target.scope.split("/"), target.name, target.session or "x", *(target.below or "x").split("/"))
    whip = {"whip", "whep"} & set(target.scope.split("/"))
    return not whip and all(part and not set(part) & {"/", "%", "\ufffd"} for part in parts)


_SDP_WORDS = tuple(
    b"a=rtpmap:96 VP8/90000\r\n|m=video 9 UDP/TLS/RTP/SAVPF 96\r\n|a=mid:|a=group:BUNDLE |a=fmtp:|a=ice-ufrag:|a=ice-pwd:|"
    b"a=setup:|a=fingerprint:sha-256 |a=sendonly|a=recvonly|a=inactive|a=rtcp-mux|a=ssrc:|a=simulcast:send |a=rid:|"
    b"m=application 9 |a=extmap:|a=candidate:|a=rtcp-fb:* |65536|-1|99999999999".split(b"|")
)

TARGETS = {
    "parameters": (
        parameters,
        (
            b"id=cam&customerScope=acme&username=ann&password=secret&recording=true&meta=%7B%22k%22%3A1%7D&host=o&app=live",
            b"ID=subscriber-1&app=/live/room1/&context=a%2Fb&simulate=publish-denied&meta=undefined&recording=",
            b"id=%F0%9F%98%80&meta=" + b"%5B" * 70,
        ),
        (
            b"id=",
            b"customerScope=",
            b"meta=",
            b"%00",
            b"%ff",
            b"undefined",
            b"null",
            b"&&",
            b"=",
            b"%7B%22",
            b"recording=",
        ),
    ),
    "messages": (
        messages,
        tuple(frame for frame in _FRAMES if frame)[:40]
        or (
            b'{"isAvailable":"cam","bundle":true}',
            b'{"handleOffer":"cam","data":{"sdp":{"type":"offer","sdp":"v=0"}}}',
        ),
        (b'{"', b'":', b"null", b"1e999", b"\\ud800", b"[[[[", b'"handleOffer"', b'"data"', b'"sdp"', b"true", b"{}"),
    ),
    "offers": (offers, _OFFERS, _SDP_WORDS, 6),
    "answers": (
        answers,
        (_OFFER.encode(), _OFFER.replace("sendonly", "recvonly").encode(), *_OFFERS[:1]),
        _SDP_WORDS,
        4,
    ),
    "descriptions": (descriptions, _OFFERS, _SDP_WORDS, 4),
    "fragments": (
        fragments,
        (
            b"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
            b"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\n"
            b"a=end-of-candidates\r\n",
            b"a=end-of-candidates\r\n",
        ),
        _SDP_WORDS,
    ),
    "whip-bodies": (
        whip_bodies,
        (
            b"requestId=1\nContent-Type: application/sdp\nIf-Match: *\n\n" + _OFFERS[0],
            b'\nContent-Type: application/trickle-ice-sdpfrag\nIf-Match: "1"\n\na=end-of-candidates\r\n',
            b"x\n\n",
        ),
        (b"application/sdp", b"application/trickle-ice-sdpfrag", b"If-Match: ", b"\n\n", b"signal=", b"requestId="),
    ),
    "whip-paths": (
        whip_paths,
        (
            b"/live/whip/endpoint/cam",
            b"/as/v1/proxy/whep/live/room/cam",
            b"/live/whip/resource/cam/" + b"0" * 32 + b"/events",
            b"/rtc/v1/whip",
            b"/cam/whip",
        ),
        (b"/", b"whip", b"whep", b"endpoint", b"resource", b"%2F", b"%00", b"streammanager", b"0" * 32),
    ),
}
