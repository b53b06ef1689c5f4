"""``http-error``: a request is refused."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, on_parameter
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import SDP, SDP_FRAGMENT, HttpResponse, problem

#: What the RFCs want beside a status: 9110 (15.5.2, 15.5.6, 15.5.16), 9725 (4.3.1).
_HEADERS = {
    401: [("WWW-Authenticate", 'Bearer realm="stream manager"')],
    405: [("Allow", "GET, HEAD, OPTIONS")],
    415: [("Accept-Post", SDP), ("Accept-Patch", SDP_FRAGMENT)],
}
_RETRY_AFTER = frozenset({409, 429, 503})


class HttpRefusal(ExchangeFault):
    """Refuse requests of one method in place of the origin."""

    name = "http-error"
    effect = (
        "A request is refused with an HTTP error and never reaches the origin: 401 with `WWW-Authenticate`, 405 with "
        "`Allow`, 415 with `Accept-Post`; the reason is `application/problem+json`. Hook, for POST: `connect_error`, "
        "error 0 for 400 and 422, 4 for 409, 5 from 500 on, else 3."
    )

    status = Parameter(503, "HTTP status", 400, 599)
    on = on_parameter("post")
    retry_after = Parameter(5, "seconds in `Retry-After`, which comes with 409, 429 and 503; 0: without", 0, 86_400)
    detail = Parameter("Refused by a fault.", "the reason")

    def on_request(self, exchange: HttpExchange) -> HttpResponse | None:
        """Refuse it."""
        if not exchange.has_method(self.on):
            return None
        self.http.acted(f"{exchange.request.method} {self.status}")
        headers = list(_HEADERS.get(self.status, ()))
        if self.status in _RETRY_AFTER and self.retry_after:
            headers.append(("Retry-After", str(self.retry_after)))
        return problem(self.status, self.detail, *headers)
