"""``http-ice-servers``: the client is given ICE servers that do not answer."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, with_header
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse

#: An address for documentation (RFC 5737): nothing is there.
NOWHERE = "stun:192.0.2.1:3478 turn:192.0.2.1:3478?transport=udp"


class HttpIceServers(ExchangeFault):
    """Name ICE servers in the answer that begins a session."""

    name = "http-ice-servers"
    effect = (
        "The answer that begins a session names ICE servers in `Link` headers (RFC 9725, 4.6), in place of any others, that "
        "do not answer."
    )

    uris = Parameter(NOWHERE, "their URIs, separated by spaces")

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Name them."""
        if not exchange.begins(response):
            return response
        self.http.acted()
        others = [value for name, value in response.headers if name.lower() == "link" and "ice-server" not in value]
        return with_header(response, "Link", *others, *(_link(uri) for uri in self.uris.split()))


def _link(uri: str) -> str:
    login = '; username="fault"; credential="fault"; credential-type="password"' if uri.startswith("turn") else ""
    return f'<{uri}>; rel="ice-server"{login}'
