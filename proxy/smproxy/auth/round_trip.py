"""The round trip: what a back end is sent, and what its answer means. Sans-I/O.

Source: the vendor's ``RoundTripAuthValidator``; the order of the keys is part of it.
"""

from __future__ import annotations

import json
from typing import Any

from smproxy.auth.grant import GrantError, read_grant
from smproxy.auth.request import AuthRequest
from smproxy.auth.verdict import Verdict, denied, failed

HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}

#: Bytes of an answer that are read.
MAX_ANSWER = 64 * 1024


def missing_credentials(request: AuthRequest) -> Verdict | None:
    """Return the refusal of a client that the back end is not asked about, if it is one.

    A bearer token needs no user name and password.
    """
    if request.bearer:
        return None
    missing = [name for name in ("username", "password") if not getattr(request, name)]
    return denied(f"{' and '.join(missing)} missing") if missing else None


def validate_body(request: AuthRequest, *, extended: bool = False) -> bytes:
    """Return the body of ``validateCredentials``."""
    body: dict[str, Any] = {
        "type": "publisher" if request.action == "publish" else "subscriber",
        "username": request.username,
        "password": request.password,
        "streamID": request.client_id if request.stream is None else request.stream,
        "token": request.token,
    }
    if extended:
        body |= {
            "action": request.action,
            "transport": request.transport,
            "address": request.address,
            "origin": request.origin,
            "scope": request.scope,
            "parameters": request.parameters,
        }
    return json.dumps(body).encode()


def invalidate_body(request: AuthRequest) -> bytes:
    """Return the body of ``invalidateCredentials``.

    It has no ``type``, and no ``token`` if there was none.
    """
    body = {"username": request.username, "password": request.password, "streamID": request.stream or request.client_id}
    return json.dumps(body | ({"token": request.token} if request.token else {})).encode()


def read_answer(status: int, body: bytes, *, extended: bool = False) -> Verdict:
    """Return what an answer to ``validateCredentials`` means.

    Anything but 200 and a true ``result`` denies, and so does a grant that cannot be used.
    """
    if status != 200:
        return denied(f"the back end answered {status}") if status < 500 else failed(f"the back end answered {status}")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return failed("the back end's answer is not JSON")
    if not isinstance(answer, dict) or "result" not in answer:
        return failed("the back end's answer has no result")
    result = answer["result"]
    if result is not True and not (isinstance(result, str) and result.lower() == "true"):
        return denied("the back end refused the credentials")
    try:
        return Verdict("allowed", grant=read_grant(answer, extended=extended))
    except GrantError as error:
        return failed(f"the back end's answer cannot be used: {error}")
