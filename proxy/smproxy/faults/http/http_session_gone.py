"""``http-session-gone``: a session is lost in the middle."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class HttpSessionGone(ExchangeFault):
    """Lose a session some time after it has begun."""

    name = "http-session-gone"
    effect = (
        "The origin loses the session some time after it has begun: its media ends, and its URL is answered 404. Hook: "
        "`disconnected`, reason 4; before the transport is up `connect_error`, error 2."
    )

    after = Parameter(1.0, "seconds from the answer that begins it")

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Wait, then lose it."""
        if exchange.begins(response):
            self.http.later(self.after, self._end)
        return response

    def _end(self) -> None:
        self.http.acted()
        self.http.end()
