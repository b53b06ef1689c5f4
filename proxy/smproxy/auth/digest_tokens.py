"""The vendor's digest tokens: ``stream:user:role:key1=value1:app:expiration:digest``."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from smproxy.auth.request import AuthRequest
from smproxy.auth.scheme import LocalScheme
from smproxy.auth.verdict import ALLOWED, Verdict, denied, forbidden

ROLES = {"publish": "streamer", "subscribe": "viewer"}

#: Numbers from here on are milliseconds: as seconds this is the year 5138.
_MILLISECONDS_FROM = 10**11


def digest_of(fields: str, secret: str) -> str:
    """Return the digest of the first six fields."""
    return hashlib.sha256(f"{fields}:{secret}".encode(errors="replace")).hexdigest()


def make_digest_token(
    secret: str, *, stream: str, user: str, role: str, parameters: str, app: str, expires: int
) -> str:
    """Return a token; ``expires``: Unix time in seconds.

    Raises:
        ValueError: a field has a colon in it.
    """
    fields = (stream, user, role, parameters, app, str(expires))
    if any(":" in field for field in fields):
        raise ValueError("a field of a digest token cannot have a colon in it")
    signed = ":".join(fields)
    return f"{signed}:{digest_of(signed, secret)}"


class DigestScheme(LocalScheme):
    """Checks digest tokens by a shared secret; ``now``: Unix time in seconds."""

    name = "digest"

    def __init__(self, secret: str, *, now: Callable[[], float]) -> None:
        self._secret = secret
        self._now = now

    def check(self, request: AuthRequest) -> Verdict:
        if not request.token:
            return denied("token missing")
        signed, _, digest = request.token.rpartition(":")
        fields = signed.split(":")
        if len(fields) != 6 or not (fields[5].isascii() and fields[5].isdigit()):
            return denied("the token cannot be read")
        if not hmac.compare_digest(digest_of(signed, self._secret).encode(), digest.encode(errors="replace")):
            return denied("the token's digest is wrong")
        stream, _, role, _, app, expiration = fields
        expires = int(expiration)
        if (expires / 1000 if expires >= _MILLISECONDS_FROM else expires) <= self._now():
            return denied("the token has expired")
        if role != ROLES[request.action]:
            return forbidden(f"the token does not allow to {request.action}")
        if request.stream is not None and stream != request.stream:
            return forbidden("the token is for another stream")
        if app.strip("/") not in (request.app, request.scope):
            return forbidden("the token is for another application")
        return ALLOWED
