"""Who may ask: one rule for every route and socket of the manager.

With an admin token, whoever brings it. Without one, clients that are no pages, and pages of this machine; and the server must
have been addressed by a name that no other site can own, or a page could come in under its own name (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

_NO_TOKEN = "The accessToken is missing or wrong."  # noqa: S105 - a sentence, no secret
_FOREIGN_PAGE = (
    "Pages of other sites need --admin-token, and its token as accessToken; "
    "pages of this server are to be opened as localhost or by IP address."
)
_FOREIGN_HOST = (
    "This server does not answer to the name {host}: use localhost, an IP address, a name without a dot, or one "
    "that was given with --host or --tls-host; or start it with --admin-token."
)


class AccessError(Exception):
    """A request that is refused.

    401: the token is missing or wrong; 403: it comes from a page of another site.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class AccessRule:
    """The access rule, and the routes that are exempt from it.

    ``hosts`` are names that the server is known by.

    A route needs it unless it was passed through :meth:`open` or :meth:`scoped`.
    """

    def __init__(self, token: str | None = None, *, hosts: Collection[str] = ()) -> None:
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)
        self._open: set[Handler] = set()
        self._scoped: set[Handler] = set()
        self._proofs: tuple[Callable[[web.BaseRequest], bool], ...] = ()

    @property
    def has_token(self) -> bool:
        """Whether there is an admin token."""
        return self._token is not None

    def is_token(self, text: str) -> bool:
        """Return whether a text is the admin token."""
        return self._token is not None and _same(text, self._token)

    def accept_also(self, check: Callable[[web.BaseRequest], bool]) -> None:
        """Let requests that pass ``check`` in where a token is set: another proof stands for it."""
        self._proofs = (*self._proofs, check)

    def open(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Let everybody use these routes; return them."""
        routes = list(routes)
        self._open.update(route.handler for route in routes if not isinstance(route.handler, type))
        return routes

    def scoped(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Exempt routes from the rule for pages of other sites that name their ``customerScope``.

        Returns them.
        """
        routes = list(routes)
        self._scoped.update(route.handler for route in routes if not isinstance(route.handler, type))
        return routes

    def check(self, request: web.Request) -> None:
        """Apply the rule to a request, as its route wants it.

        Raises:
            AccessError: it is refused.
        """
        handler = request.match_info.handler
        if handler in self._open or request.match_info.http_exception is not None:
            return
        self.require(request, pages=handler in self._scoped and bool(parameter(request, "customerScope")))

    def require(self, request: web.BaseRequest, *, pages: bool = False) -> None:
        """Apply the rule to a request.

        With ``pages`` those of other sites are let in where no token is set.

        Raises:
            AccessError: it is refused.
        """
        if self._token is not None:
            scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
            given = parameter(request, "accessToken") or (bearer.strip() if scheme.lower() == "bearer" else "")
            if not _same(given, self._token) and not any(check(request) for check in self._proofs):
                raise AccessError(401, _NO_TOKEN)
            return
        here = _address(request)
        if here is None or not self._is_own_name(here.host or ""):
            raise AccessError(403, _FOREIGN_HOST.format(host=quote(request.host[:100], safe=":[]")))
        page = _page(request)
        if page is not None and not pages and not _is_local(page) and page != str(here.origin()):
            raise AccessError(403, _FOREIGN_PAGE)

    def ticket(self, subject: str) -> str | None:
        """Return the ticket that replaces the token in a URL for ``subject`` only.

        ``None`` without a token.
        """
        if self._token is None:
            return None
        return hmac.digest(_bytes(self._token), _bytes(subject), "sha256").hex()[:32]

    def admits(self, ticket: str | None, subject: str) -> bool:
        """Return whether a ticket is the one for ``subject``."""
        expected = self.ticket(subject)
        return expected is not None and ticket is not None and _same(ticket, expected)

    def _is_own_name(self, host: str) -> bool:
        """Return whether a name is one that the owner of another site cannot have."""
        host = host.lower().removesuffix(".")
        return "." not in host or host.endswith(".localhost") or host in self._hosts or _is_address(host)


def parameter(request: web.BaseRequest, name: str) -> str | None:
    """Return a parameter of the query, whose name is written in whatever case."""
    wanted = name.lower()
    return next((value for key, value in request.query.items() if key.lower() == wanted), None)


def _address(request: web.BaseRequest) -> URL | None:
    """Return the authority that the client addressed; ``None`` for nonsense.

    That is the one of an absolute target (RFC 9112, 3.2.2), else ``Host``.
    """
    target = request.rel_url
    try:
        url = URL(f"{request.scheme}://{target.authority if target.absolute else request.host}")
        return url if url.host and url.origin() else None
    except ValueError:
        return None


def _page(request: web.BaseRequest) -> str | None:
    """Return the origin of the page that asks, ``None`` when it is no page.

    A page's request for a picture or a script has no ``Origin``, but a browser says that it crosses sites.
    """
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin
    mode, site = (request.headers.get(f"Sec-Fetch-{name}", "") for name in ("Mode", "Site"))
    if site != "cross-site" or mode == "navigate":
        return None
    try:
        return str(URL(request.headers.get("Referer", "")).origin())
    except ValueError:
        return "null"


def _is_local(origin: str) -> bool:
    """Return whether a page's origin is on this machine."""
    try:
        host = URL(origin).host or ""
    except ValueError:
        return False
    return host == "localhost" or host.endswith(".localhost") or (_is_address(host) and _is_loopback(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def _bytes(text: str) -> bytes:
    """Encode a token, also one that is no UTF-8: no two texts become the same bytes."""
    return text.encode("utf-8", "surrogatepass")
