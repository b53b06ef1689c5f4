"""``http-broken-answer``: an answer is damaged, or ends too early."""

from smproxy.faults.exchange_fault import (
    Cut,
    ExchangeFault,
    HttpExchange,
    HttpOutcome,
    is_success,
    on_parameter,
    with_body,
)
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class HttpBrokenAnswer(ExchangeFault):
    """Damage successful answers."""

    name = "http-broken-answer"
    effect = (
        "The body of a successful answer is `half`: cut off in the middle, as if whole; `garbage`: no session description; "
        "`empty`; or the connection is `cut` in its middle. The session lives until its client gives up."
    )

    how = Parameter("half", "in what way", choices=("half", "garbage", "empty", "cut"))
    on = on_parameter("post", ("post", "patch"))

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        """Damage it."""
        if not exchange.has_method(self.on) or not is_success(response) or not response.body:
            return response
        self.http.acted(self.how)
        match self.how:
            case "cut":
                return Cut(response)
            case "half":
                return with_body(response, response.body[: len(response.body) // 2])
            case "garbage":
                return with_body(response, self.rng.randbytes(200))
            case _:
                return with_body(response, b"")
