"""JSON Web Tokens, with the claims of the vendor's plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt

from smproxy.auth.request import AuthRequest
from smproxy.auth.scheme import LocalScheme
from smproxy.auth.verdict import ALLOWED, Verdict, denied, forbidden

ALGORITHMS = ("HS256", "HS384", "HS512")

ROLES = {"publish": "red5-publisher", "subscribe": "red5-subscriber"}

#: What is said of what the library raises, the most special first.
_PROBLEMS: tuple[tuple[type[jwt.InvalidTokenError], str], ...] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidIssuerError, "the token has another issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks a claim"),
    (jwt.InvalidSignatureError, "the token's signature is wrong"),
    (jwt.InvalidAlgorithmError, "the token has another algorithm than HS256, HS384 and HS512"),
    (jwt.InvalidTokenError, "the token cannot be read"),
)


def make_jwt(secret: str, claims: dict[str, Any], *, expires: int) -> str:
    """Return a token with these claims, less those that are ``None``.

    ``expires``: Unix time in seconds.
    """
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given | {"exp": expires}, secret, algorithm=ALGORITHMS[0])


class JwtScheme(LocalScheme):
    """Checks tokens by a shared secret.

    ``ttl``: minutes that a token may have left; ``now``: Unix time in seconds.
    """

    name = "jwt"

    def __init__(
        self, secret: str, *, issuer: str | None = None, ttl: float | None = None, now: Callable[[], float]
    ) -> None:
        self._secret = secret
        self._issuer = issuer
        self._ttl = ttl
        self._now = now

    def check(self, request: AuthRequest) -> Verdict:
        if not request.token:
            return denied("token missing")
        try:
            claims = jwt.decode(
                request.token,
                self._secret,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                options={"require": ["exp"], "verify_exp": False, "verify_aud": False},
            )
            expires = float(claims["exp"])
        except jwt.InvalidTokenError as error:
            return denied(next(text for kind, text in _PROBLEMS if isinstance(error, kind)))
        except (TypeError, ValueError):
            return denied("the token cannot be read")
        left = expires - self._now()
        if not left > 0:
            return denied("the token has expired")
        if self._ttl is not None and left > self._ttl * 60:
            return denied(f"the token is valid for longer than {self._ttl:g} minutes")
        return _check_claims(claims, request)


def _check_claims(claims: dict[str, Any], request: AuthRequest) -> Verdict:
    """Check what a token is for. A claim that is absent or empty limits nothing."""
    roles = _names(claims.get("roles"))
    if roles and ROLES[request.action] not in roles:
        return forbidden(f"the token does not allow to {request.action}")
    transports = [each.lower() for each in _names(claims.get("red5-transport"))]
    if transports and request.transport not in transports:
        return forbidden(f"the token is not for {request.transport}")
    scope = str(claims.get("red5-room") or "").strip("/")
    if scope and request.scope != scope and request.scope.partition("/")[2] != scope:
        return forbidden("the token is for another scope")
    return ALLOWED


def _names(claim: object) -> list[str]:
    """Return the names in a claim: a list with commas, or of JSON."""
    names = claim.split(",") if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return [str(name).strip() for name in names if str(name).strip()]
