"""``http-redirect``: a request is sent elsewhere."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, on_parameter
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse

#: What marks a URL that a request was redirected to, which is not redirected again.
MARK = "redirected=1"


class HttpRedirect(ExchangeFault):
    """Answer requests of one method with another URL."""

    name = "http-redirect"
    effect = (
        "A request is answered with a redirect: by default to the same endpoint with `redirected=1` in its query, which "
        "then is not redirected. WHIP allows 307 and 308 only, and none for PATCH and DELETE: the others are what clients "
        "must survive."
    )

    status = Parameter(307, "HTTP status", 300, 399, spans=((301, 303), (307, 308)))
    location = Parameter("", "URL or path to go to; empty: the same endpoint")
    on = on_parameter("post")

    def on_request(self, exchange: HttpExchange) -> HttpResponse | None:
        """Redirect it, once."""
        request = exchange.request
        pairs = [pair for pair in request.query.split("&") if pair]
        if not exchange.has_method(self.on) or MARK in pairs:
            return None
        self.http.acted(f"{request.method} {self.status}")
        query = "&".join([*(pair for pair in pairs if not pair.lower().startswith("simulate=")), MARK])
        return HttpResponse(self.status, (("Location", self.location or f"{request.path}?{query}"),))
