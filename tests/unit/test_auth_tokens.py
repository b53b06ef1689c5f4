"""Verdicts on tokens and passwords, without I/O."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from smproxy.auth.digest_tokens import DigestScheme, digest_of
from smproxy.auth.jwt_tokens import JwtScheme
from smproxy.auth.password_file import PasswordScheme
from smproxy.auth.request import AuthRequest, make_request
from smproxy.signaling.params import ConnectionParams
from yarl import URL

NOW = 1_790_000_000
SECRET = "a secret of thirty-two bytes, or more"


def asking(**values: Any) -> AuthRequest:
    """Return a client that wants to publish ``cam`` in ``live``."""
    known: dict[str, Any] = {
        "action": "publish", "client_id": "cam", "stream": "cam", "app": "live", "scope": "live", "customer_scope": "acme",
        "transport": "websocket",
    }  # fmt: skip
    return AuthRequest(**(known | values))


def token(secret: str = SECRET, **claims: Any) -> str:
    """Return a JSON Web Token that is valid for a minute."""
    return jwt.encode({"exp": NOW + 60} | claims, secret, algorithm="HS256")


@pytest.mark.parametrize(
    ("claims", "client", "reason"),
    [
        ({}, {}, ""),
        ({"roles": "red5-publisher,red5-subscriber"}, {}, ""),
        ({"roles": ["red5-publisher"]}, {}, ""),
        ({"roles": ""}, {}, ""),
        ({"roles": "red5-subscriber"}, {}, "the token does not allow to publish"),
        ({"roles": "Red5-Publisher"}, {}, "the token does not allow to publish"),
        ({"roles": "red5-publisher"}, {"action": "subscribe"}, "the token does not allow to subscribe"),
        ({"red5-transport": "whip"}, {"transport": "whip"}, ""),
        ({"red5-transport": "WHIP,RTMP"}, {"transport": "whip"}, ""),
        ({"red5-transport": "WHIP"}, {}, "the token is not for websocket"),
        ({"red5-room": "room1"}, {"scope": "live/room1"}, ""),
        ({"red5-room": "/live/room1"}, {"scope": "live/room1"}, ""),
        ({"red5-room": "room1"}, {}, "the token is for another scope"),
        ({"iss": "somebody"}, {}, "the token has another issuer"),
        ({"exp": NOW}, {}, "the token has expired"),
        ({"exp": NOW + 601}, {}, "the token is valid for longer than 10 minutes"),
        ({"exp": "soon"}, {}, "the token cannot be read"),
    ],
)
def test_claims(claims: dict[str, Any], client: dict[str, Any], reason: str) -> None:
    """Each claim limits what the vendor's plugin has it limit, and the refusal says which."""
    scheme = JwtScheme(SECRET, issuer="us", ttl=10, now=lambda: NOW)
    verdict = scheme.check(asking(token=token(**({"iss": "us"} | claims)), **client))
    assert (verdict.allowed, verdict.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "token missing"),
        ("hunter2", "the token cannot be read"),
        (token("another secret of thirty-two bytes, or more"), "the token's signature is wrong"),
        (jwt.encode({"exp": NOW + 60}, None, algorithm="none"), "the token has another algorithm than HS256, HS384 and HS512"),
        (jwt.encode({"sub": "ann"}, SECRET, algorithm="HS256"), "the token lacks a claim"),
    ],
)  # fmt: skip
def test_tokens_that_are_none(given: str, reason: str) -> None:
    """A token that is missing, garbled, unsigned, signed otherwise or without an end is refused as bad credentials."""
    verdict = JwtScheme(SECRET, now=lambda: NOW).check(asking(token=given))
    assert (verdict.allowed, verdict.reason, verdict.status) == (False, reason, 401)


@pytest.mark.parametrize(
    ("fields", "client", "reason"),
    [
        (f"cam:ann:streamer:k=v:live:{NOW + 60}", {}, ""),
        (f"cam:ann:streamer:k=v:live:{(NOW + 60) * 1000}", {}, ""),
        (f"cam:ann:streamer:k=v:live:{NOW}", {}, "the token has expired"),
        (f"cam:ann:viewer:k=v:live:{NOW + 60}", {}, "the token does not allow to publish"),
        (f"cam:ann:viewer:k=v:live:{NOW + 60}", {"action": "subscribe", "stream": None}, ""),
        (f"other:ann:streamer:k=v:live:{NOW + 60}", {}, "the token is for another stream"),
        (f"cam:ann:streamer:k=v:vod:{NOW + 60}", {}, "the token is for another application"),
        ("cam:ann:streamer:k=v:live:soon", {}, "the token cannot be read"),
        ("cam", {}, "the token cannot be read"),
    ],
)
def test_digest_tokens(fields: str, client: dict[str, Any], reason: str) -> None:
    """A digest token is for one stream, role and application until its end."""
    scheme = DigestScheme(SECRET, now=lambda: NOW)
    verdict = scheme.check(asking(token=f"{fields}:{digest_of(fields, SECRET)}", **client))
    assert (verdict.allowed, verdict.reason) == (not reason, reason)


def test_wrong_digest() -> None:
    """A token whose digest was made with another secret, or has other letters than ASCII, is refused."""
    fields = f"cam:ann:streamer:k=v:live:{NOW + 60}"
    for digest in (digest_of(fields, "another"), "ä"):
        verdict = DigestScheme(SECRET, now=lambda: NOW).check(asking(token=f"{fields}:{digest}"))
        assert verdict.reason == "the token's digest is wrong"


@pytest.mark.parametrize(
    ("username", "password", "allowed"),
    [("ann", "pw", True), ("ann", "PW", False), ("bob", "pw", False), ("", "", False), ("empty", "", False)],
)
def test_passwords(username: str, password: str, allowed: bool) -> None:
    """A user of the file is let in with that password, and nobody without one."""
    scheme = PasswordScheme({"ann": "pw", "empty": ""})
    assert scheme.check(asking(username=username, password=password)).allowed is allowed


def test_a_request_is_read_as_the_vendor_reads_it() -> None:
    """Values are form-decoded, ``undefined`` is nothing, a ``?`` before a key is ignored, a bearer token is the token."""
    query = "?id=cam&customerScope=acme&?username=a+b&password=%2B%20&token=undefined"
    params = ConnectionParams.from_url(URL(f"/{query}", encoded=True))
    request = make_request(params, query.removeprefix("?"), stream="cam")
    assert (request.username, request.password, request.token) == ("a b", "+ ", "")
    assert make_request(params, query, stream="cam", bearer="t").token == "t"
    assert "+ " not in repr(request)


@pytest.mark.parametrize(
    "other",
    [
        {"password": "PW"},
        {"token": "u"},
        {"username": "bob"},
        {"client_id": "cam2"},
        {"scope": "x"},
        {"action": "subscribe"},
    ],
)
def test_the_same_client(other: dict[str, Any]) -> None:
    """A client that comes back is the same only with all of its credentials; upper and lower case count."""
    known = {"username": "ann", "password": "pw", "token": "t"}
    assert asking(**known).same_client(asking(**known, address="192.0.2.7"))
    assert not asking(**known).same_client(asking(**(known | other)))


def test_odd_characters() -> None:
    """What is no text, as in a header with other bytes, is compared as it is and lets nobody in."""
    odd = "\udce9"
    assert PasswordScheme({"ann": "pw"}).check(asking(username="ann", password=odd)).result == "denied"
    assert (
        DigestScheme(SECRET, now=lambda: NOW).check(asking(token=f"cam:u:streamer::live:{NOW + 9}:{odd}")).result
        == "denied"
    )
    assert JwtScheme(SECRET, now=lambda: NOW).check(asking(token=odd)).result == "denied"
    assert asking(password=odd).same_client(asking(password=odd))
