"""``/as/v1/auth/login`` and the tokens (JWT) that it gives.

Source: Red5, Stream Manager 2.0, Auth service. The path stands with and without ``/as/v1`` before it in the vendor's pages.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

from aiohttp import web

from smproxy.manager.access import AccessError, AccessRule
from smproxy.manager.rest.errors import ApiError, json_response
from smproxy.signaling.clock import Clock

#: Names and passwords that the vendor's services start with; with an admin token it is everybody's password instead.
USERS = {"admin": "xyz123", "proxy": "123abc"}

#: Seconds that a token is good for: 400 minutes.
LIFETIME = 400 * 60

_ALGORITHM = "HS256"


class Login:
    """Gives tokens to users, and knows them again. ``key`` signs them."""

    def __init__(self, access: AccessRule, *, clock: Clock, key: bytes) -> None:
        self._access = access
        self._clock = clock
        self._key = key
        self._trusted: Callable[[web.BaseRequest], bool] = lambda request: False

    def trust(self, check: Callable[[web.BaseRequest], bool]) -> None:
        """Let requests that pass ``check`` in without a user's token: another node has seen it."""
        self._trusted = check

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.put("/as/v1/auth/login", self.log_in), web.put("/auth/login", self.log_in)]

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Give a token for a name and a password."""
        if not self._access.has_token:
            self._access.require(request)  # the passwords are known to all, and so to pages of other sites
        user, password = _basic(request.headers.get("Authorization", ""))
        known = self._access.is_token(password) if self._access.has_token else USERS.get(user) == password
        if user not in USERS or not known:
            raise ApiError(401, "The user name or the password is wrong.")
        import jwt  # at its first use: it brings cryptography

        now = int(self._clock.wall())
        claims = {"sub": user, "iat": now, "exp": now + LIFETIME}
        return json_response({"token": jwt.encode(claims, self._key, algorithm=_ALGORITHM)})

    def user(self, request: web.BaseRequest) -> str | None:
        """Return the user whose token a request has, ``None`` without a valid one."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        import jwt

        try:
            claims = jwt.decode(
                token.strip(),
                self._key,
                algorithms=[_ALGORITHM],
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            return None
        return claims["sub"] if claims["exp"] > self._clock.wall() else None

    def require(self, request: web.BaseRequest, user: str = "admin") -> None:
        """Let a request through that has this user's token, or the admin token where there is one.

        Raises:
            ApiError: 401, it has neither.
        """
        if self._trusted(request) or self.user(request) == user:
            return
        if self._access.has_token and self.user(request) is None:
            try:
                self._access.require(request)
            except AccessError:
                pass
            else:
                return
        raise ApiError(401, f"This needs a token of the user {user}, as Authorization: Bearer: PUT /as/v1/auth/login.")


def _basic(authorization: str) -> tuple[str, str]:
    """Return name and password (RFC 7617, section 2)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
