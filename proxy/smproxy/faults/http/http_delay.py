"""``http-delay``: an answer takes its time."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, Sender, on_parameter
from smproxy.faults.parameter import Parameter


class HttpDelay(ExchangeFault):
    """Hold the answers to requests of one method."""

    name = "http-delay"
    effect = "The request reaches the origin at once; its answer comes later."

    seconds = Parameter(5.0, "by how much", most=600)
    on = on_parameter("post")

    def hold(self, exchange: HttpExchange, sender: Sender) -> float:
        """Hold the answer."""
        if sender == "client" or not exchange.has_method(self.on):
            return 0.0
        self.http.acted(f"{exchange.request.method} by {self.seconds:g} s")
        return self.seconds
