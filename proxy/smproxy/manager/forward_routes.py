"""``/as/v1/proxy/forward/?target=URL``: an HTTP request to an origin, passed on.

Source: Red5, Stream Manager 2.0, Proxy service. Only registered origins are reached, whatever the URL names.
"""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from smproxy.manager.hls.routes import LISTS, HlsRoutes
from smproxy.manager.origin_registry import Node, OriginRegistry
from smproxy.manager.rest.as_v1.login import Login
from smproxy.manager.rest.errors import ApiError
from smproxy.manager.rest.interstitials import InterstitialRoutes
from smproxy.manager.whip.exchange import ExchangeFailed, Origins, read_body

_FORWARD = "/as/v1/proxy/forward"

#: Headers of one connection (RFC 9110, section 7.6.1), and those that belong to this server.
_NOT_FORWARDED = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "host", "content-length", "server", "date"}
)  # fmt: skip


class ForwardRoutes:
    """The forwarding route. ``close`` ends its connections."""

    def __init__(
        self,
        origins: Origins,
        registry: OriginRegistry,
        login: Login,
        interstitials: InterstitialRoutes,
        hls: HlsRoutes,
    ) -> None:
        self._hls = hls
        self._interstitials = interstitials
        self._registry = registry
        self._login = login
        self._origins = origins

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.route(method, path, self.forward)
            for path in (_FORWARD, _FORWARD + "/")
            for method in ("GET", "POST", "PUT", "DELETE")
        ]

    async def close(self) -> None:
        """Close all connections."""
        await self._origins.close()

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Have an origin answer a request."""
        if "digestAction" in request.query:
            self._login.require(request, "proxy")
            raise ApiError(501, "digestAction is not simulated: the origins here check no digest.")
        target, node = self._target(request.query.get("target", ""))
        if request.method == "POST" and node.command is not None and target.path.rstrip("/").endswith("/interstitial"):
            # An origin here has no such route of its own: its stream manager knows what is live.
            return self._interstitials.answer(await request.read())
        scope, _, last = target.path.strip("/").rpartition("/")
        if request.method == "GET" and node.command is not None and scope and last in LISTS:
            return await self._hls.answer(scope, last, request.url.origin())
        headers = {name: value for name, value in request.headers.items() if _passes(name) and not _is_forwarded(name)}
        headers["X-Forwarded-For"] = request.remote or ""
        body = await request.read() or None
        try:
            url = target.with_scheme("http").with_host(node.host).with_port(node.port)
            async with self._origins.exchange(request.method, url, headers, body) as response:
                answer = await read_body(response)
                passed = CIMultiDict((name, value) for name, value in response.headers.items() if _passes(name))
        except ExchangeFailed as error:
            raise ApiError(502, f"The origin {node.address} cannot be reached: {error}.") from None
        return web.Response(status=response.status, headers=passed, body=answer)

    def _target(self, text: str) -> tuple[URL, Node]:
        """Return the URL to ask for, and the origin that it names."""
        try:
            target = URL(text, encoded=True)
            host, port = (target.host or "").lower(), target.explicit_port
        except ValueError:
            host, port = "", None
        if not host or target.scheme not in ("http", "https"):
            raise ApiError(
                400, "target takes the URL of an origin, percent-encoded: ?target=http%3A%2F%2FHOST%2Flive%2F"
            )
        names = {host, f"{host}:{port}"}
        for node in self._registry.nodes:
            if names & {node.address.lower(), f"{node.host.lower()}:{node.port}"}:
                return target, node
        raise ApiError(403, f"{target.raw_host} is not a registered origin.")


def _is_forwarded(name: str) -> bool:
    """Return whether a header says who a client is: this server says that itself."""
    return name.lower() == "forwarded" or name.lower().startswith("x-forwarded-")


def _passes(name: str) -> bool:
    return name.lower() not in _NOT_FORWARDED and not name.lower().startswith("access-control-")
