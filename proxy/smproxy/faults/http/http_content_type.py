"""``http-content-type``: an answer has a wrong content type."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, is_success, on_parameter, with_header
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class HttpContentType(ExchangeFault):
    """Change the type of successful answers."""

    name = "http-content-type"
    effect = "A successful answer has another `Content-Type`; its body is as it was."

    type = Parameter("text/plain", "the type")
    on = on_parameter("post", ("post", "patch"))

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Change it."""
        if not exchange.has_method(self.on) or not is_success(response) or not response.body:
            return response
        self.http.acted(self.type)
        return with_header(response, "Content-Type", self.type)
