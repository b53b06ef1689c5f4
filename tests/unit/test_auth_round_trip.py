"""The bodies and answers of the round trip, without I/O."""

from __future__ import annotations

import json

import pytest
from smproxy.auth.round_trip import invalidate_body, missing_credentials, read_answer, validate_body

from tests.unit.test_auth_tokens import asking

ANN = {"username": "ann", "password": "pw"}


def test_keys_come_in_the_vendors_order() -> None:
    """The question has five keys in order; the end has no ``type``, and no ``token`` that was not there."""
    body = b'{"type": "publisher", "username": "ann", "password": "pw", "streamID": "cam", "token": ""}'
    assert validate_body(asking(**ANN)) == body
    assert json.loads(validate_body(asking(action="subscribe", token="t", **ANN)))["type"] == "subscriber"
    assert invalidate_body(asking(**ANN)) == b'{"username": "ann", "password": "pw", "streamID": "cam"}'
    assert json.loads(invalidate_body(asking(token="t", **ANN)))["token"] == "t"


def test_extended_format() -> None:
    """The extended question has all that is known of the client, after the vendor's keys."""
    body = json.loads(validate_body(asking(address="::1", origin="http://page", parameters={"k": "v"}), extended=True))
    assert list(body)[:5] == ["type", "username", "password", "streamID", "token"]
    assert (body["action"], body["transport"], body["scope"]) == ("publish", "websocket", "live")
    assert (body["address"], body["origin"], body["parameters"]) == ("::1", "http://page", {"k": "v"})


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b'{"result": true}', "allowed"),
        (200, b'{"result": "True", "url": "https://x/y"}', "allowed"),
        (200, b'{"result": false}', "denied"),
        (200, b'{"result": 1}', "denied"),
        (200, b'{"allowed": true}', "failed"),
        (200, b"[true]", "failed"),
        (200, b"<html>", "failed"),
        (200, b"[" * 100_000, "failed"),
        (201, b'{"result": true}', "denied"),
        (302, b"", "denied"),
        (401, b'{"result": true}', "denied"),
        (500, b'{"result": true}', "failed"),
    ],
)
def test_answers(status: int, body: bytes, result: str) -> None:
    """Only 200 with a true ``result`` allows."""
    assert read_answer(status, body).result == result


def test_no_question_without_credentials() -> None:
    """A user name and a password are needed, or a bearer token instead."""
    refusal = missing_credentials(asking(username="ann"))
    assert refusal is not None
    assert refusal.reason == "password missing"
    assert missing_credentials(asking(**ANN)) is None
    assert missing_credentials(asking(token="t", bearer=True)) is None
