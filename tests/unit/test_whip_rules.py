"""What WHIP and WHEP requests ask for, without any network."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.signaling.http_exchange import PROBLEM, SDP, SDP_FRAGMENT, HttpRequest, HttpResponse, problem
from smproxy.signaling.sdp_fragment import SdpFragment
from smproxy.signaling.whip import (
    MAX_SDP,
    AnswerRequest,
    Delete,
    IceServer,
    OfferRequest,
    Trickle,
    check_if_match,
    events_link,
    is_vendor_sdk,
    read_endpoint_request,
    read_session_request,
    restarts,
    server_offers,
)
from smproxy.signaling.whip_urls import WhipProtocol, WhipTarget, read_whip_target

WHIP = WhipTarget(WhipProtocol.WHIP, "live", "s1")
WHEP = WhipTarget(WhipProtocol.WHEP, "live", "s1")
WHIP_SESSION = WhipTarget(WhipProtocol.WHIP, "live", "s1", "k")
WHEP_SESSION = WhipTarget(WhipProtocol.WHEP, "live", "s1", "k")
OFFER = b"v=0\r\n"
FRAGMENT = b"a=end-of-candidates\r\n"


def request(method: str, kind: str | None = None, body: bytes = b"", query: str = "", **headers: str) -> HttpRequest:
    """Make a request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(method, "/", query, named | ({"content-type": kind} if kind is not None else {}), body)


def headers(response: object) -> dict[str, str]:
    """Return the headers of a response."""
    assert isinstance(response, HttpResponse)
    return dict(response.headers)


def status(response: object) -> int:
    """Return the status of a response, whose body says why when it is an error."""
    assert isinstance(response, HttpResponse)
    if response.status >= 400:
        assert dict(response.headers)["Content-Type"] == PROBLEM
        said = json.loads(response.body)
        assert said["status"] == response.status
        assert said["detail"].endswith(".")
    return response.status


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/live/whip/endpoint/s1", WHIP),
        ("/live/room1/whep/endpoint/s%2F1", WhipTarget(WhipProtocol.WHEP, "live/room1", "s/1")),
        ("/live/whip/resource/s1/k", WHIP_SESSION),
        ("/live/whep/resource/s1/k/events/e", WhipTarget(WhipProtocol.WHEP, "live", "s1", "k", "events/e")),
        ("/whip/whip/endpoint/whip", WhipTarget(WhipProtocol.WHIP, "whip", "whip")),
        ("/whip/endpoint/s1", None),
        ("/live/whip/endpoint", None),
        ("/live/whip/endpoint/a/b", None),
        ("/live/whip/resource/s1", None),
        ("/live/whap/endpoint/s1", None),
        ("/", None),
        ("", None),
    ],
)
def test_urls(path: str, expected: WhipTarget | None) -> None:
    """Endpoints, sessions and what is below them are read, and written as they were."""
    target = read_whip_target(path)
    assert target == expected
    assert target is None or read_whip_target(target.path) == target


@given(st.text())
def test_any_path(path: str) -> None:
    """No path raises."""
    read_whip_target(path)


def test_endpoint_without_a_session() -> None:
    """W3, W4: GET has no content, OPTIONS has Accept-Post, HEAD of WHEP has the type; other methods are named as such."""
    assert read_endpoint_request(WHIP, request("GET")) == HttpResponse(204)
    assert headers(read_endpoint_request(WHIP, request("OPTIONS")))["Accept-Post"] == SDP
    assert status(read_endpoint_request(WHIP, request("OPTIONS"))) == 200
    assert headers(read_endpoint_request(WHEP, request("HEAD")))["Content-Type"] == SDP
    assert status(read_endpoint_request(WHIP, request("HEAD"))) == 204
    for method in ("PUT", "PATCH", "DELETE"):
        refusal = read_endpoint_request(WHIP, request(method))
        assert status(refusal) == 405
        assert "POST" in headers(refusal)["Allow"]


def test_offer() -> None:
    """W1, W2: SDP is taken with or without parameters of its type; another type is 415, what is no text 400."""
    assert read_endpoint_request(WHIP, request("POST", SDP, OFFER)) == OfferRequest("v=0\r\n")
    assert read_endpoint_request(WHIP, request("POST", "Application/SDP; charset=utf-8", OFFER)) == OfferRequest(
        "v=0\r\n"
    )
    for kind in (None, "text/plain", SDP_FRAGMENT):
        refusal = read_endpoint_request(WHIP, request("POST", kind, OFFER))
        assert status(refusal) == 415
        assert headers(refusal)["Accept-Post"] == SDP
    assert status(read_endpoint_request(WHIP, request("POST", SDP))) == 400
    assert status(read_endpoint_request(WHIP, request("POST", SDP, b"\xff"))) == 400
    assert status(read_endpoint_request(WHIP, request("POST", SDP, b"v" * (MAX_SDP + 1)))) == 413


def test_the_vendors_inversion() -> None:
    """With ``requestId`` a WHEP server makes the offer, whether the client sent one to be thrown away or none."""
    query = "requestId=subscriber-1&signal=true"
    assert read_endpoint_request(WHEP, request("POST", None, b"", query)) == OfferRequest(None)
    assert read_endpoint_request(WHEP, request("POST", SDP, OFFER, query)) == OfferRequest(None)
    assert read_endpoint_request(WHIP, request("POST", SDP, OFFER, query)) == OfferRequest("v=0\r\n")
    assert server_offers(request("POST", query="REQUESTID=1"))
    assert is_vendor_sdk(request("POST", query="signal=true"))
    assert not is_vendor_sdk(request("POST", query="token=a&id=b"))


def test_session_requests() -> None:
    """W3, W7, W8, W15: what a session can be asked, and which types PATCH takes."""
    assert isinstance(read_session_request(WHIP_SESSION, request("PATCH", SDP_FRAGMENT, FRAGMENT)), Trickle)
    assert read_session_request(WHIP_SESSION, request("DELETE", if_match='"x"')) == Delete()
    assert read_session_request(WHIP_SESSION, request("GET")) == HttpResponse(204)
    assert headers(read_session_request(WHIP_SESSION, request("OPTIONS")))["Accept-Patch"] == SDP_FRAGMENT
    assert read_session_request(WHEP_SESSION, request("PATCH", SDP, OFFER)) == AnswerRequest("v=0\r\n")
    for kind in (None, SDP, "application/json"):
        refusal = read_session_request(WHIP_SESSION, request("PATCH", kind, FRAGMENT))
        assert status(refusal) == 415
        assert headers(refusal)["Accept-Patch"] == SDP_FRAGMENT
    assert status(read_session_request(WHIP_SESSION, request("PATCH", SDP_FRAGMENT, b"x"))) == 400
    assert status(read_session_request(WHIP_SESSION, request("POST", SDP, OFFER))) == 405


def test_entity_tags() -> None:
    """W10: no If-Match is 428, an outdated or weak one 412; the vendor's SDK needs none."""
    assert check_if_match(request("PATCH", if_match='"a"'), '"a"') is None
    assert check_if_match(request("PATCH", if_match='"x", "a"'), '"a"') is None
    assert check_if_match(request("PATCH", if_match="*"), '"a"') is None
    assert status(check_if_match(request("PATCH"), '"a"')) == 428
    assert status(check_if_match(request("PATCH", if_match='"b"'), '"a"')) == 412
    assert status(check_if_match(request("PATCH", if_match='W/"a"'), '"a"')) == 412
    assert check_if_match(request("PATCH"), '"a"', required=False) is None
    assert check_if_match(request("PATCH", query="signal=true"), '"a"') is None
    assert status(check_if_match(request("PATCH", query="signal=true", if_match='"b"'), '"a"')) == 412


def test_restart() -> None:
    """W11: other credentials than the present ones are a restart, the same or none are candidates."""
    assert restarts(SdpFragment("new1", "p" * 22), "old1", "p" * 22)
    assert not restarts(SdpFragment("old1", "p" * 22), "old1", "p" * 22)
    assert not restarts(SdpFragment(candidates=("x",)), "old1", "p" * 22)


def test_links() -> None:
    """W24, W25: ICE servers and extensions are Links with the relations that are registered."""
    assert IceServer("turn:t.example", "u", "c=1").link == (
        "Link",
        '<turn:t.example>; rel="ice-server"; username="u"; credential="c=1"; credential-type="password"',
    )
    assert IceServer("stun:s.example").link == ("Link", '<stun:s.example>; rel="ice-server"')
    assert "c=1" not in repr(IceServer("turn:t.example", "u", "c=1"))
    assert events_link("/x/events") == (
        "Link",
        '</x/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,inactive,viewercount"',
    )


def test_query() -> None:
    """Of a repeated key the last counts, keys have no case, a plus is a plus, and what cannot be read is empty."""
    assert HttpRequest("GET", "/", "Mode=live&mode=a+b").parameters == {"mode": "a+b"}
    assert HttpRequest("GET", "/", "&".join("a=b" for _ in range(300))).parameters == {}
    assert status(problem(503, "Busy.", ("Retry-After", "5"))) == 503
