"""``name-in-use``: another client has the name."""

from collections.abc import Sequence

from msgspec import UNSET

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange
from smproxy.faults.parameter import Parameter
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpResponse, problem
from smproxy.signaling.payloads import ConnectError

#: A normal closure (RFC 6455, 7.4.1), with which an origin ends a refused connection.
NORMAL = 1000


class NameInUse(SignalingFault, ExchangeFault):
    """Answer the question for the name in place of the origin."""

    name = "name-in-use"
    effect = (
        "`isAvailable` is answered with `true`, and the socket is closed after a grace. Hook: `connect_error`, "
        "error 4. A client that does not ask is not touched."
    )
    whip = "POST of a publisher is answered 409"
    publish = "rejects with `Stream with name … already has a broadcast session.`"

    grace = Parameter(5.0, "seconds until the socket is closed")

    def from_client(self, message: Message) -> Sequence[Message]:
        """Answer the question; what comes after it goes on."""
        if message.client.is_available is UNSET:
            return (message,)
        self.session.acted()
        self.session.send("client", messages.availability(True))
        self.session.report_refusal(ConnectError.NAME_IN_USE)
        self.session.later(self.grace, lambda: self.session.close(NORMAL, "the stream name is in use"))
        return ()

    def on_request(self, exchange: HttpExchange) -> HttpResponse | None:
        """Refuse a publisher's offer."""
        if not exchange.has_method("POST") or exchange.protocol != "whip":
            return None
        self.http.acted()
        self.http.report_refusal(ConnectError.NAME_IN_USE)
        return problem(409, "The stream name is in use.")
