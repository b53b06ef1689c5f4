"""``http-unanswered``: a request is never answered."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, HttpOutcome, Unanswered, on_parameter
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class HttpUnanswered(ExchangeFault):
    """Answer no request of one method."""

    name = "http-unanswered"
    effect = (
        "A request is never answered; the connection stays open until the client leaves. With `lost=false` it has reached "
        "the origin, which begins, changes or ends the session."
    )

    on = on_parameter("delete")
    lost = Parameter(False, "whether the request is lost before the origin")

    def on_request(self, exchange: HttpExchange) -> Unanswered | None:
        """Lose the request."""
        return self._none(exchange) if self.lost and exchange.has_method(self.on) else None

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        """Lose the answer."""
        return self._none(exchange) if exchange.has_method(self.on) else response

    def _none(self, exchange: HttpExchange) -> Unanswered:
        self.http.acted(exchange.request.method)
        return Unanswered()
