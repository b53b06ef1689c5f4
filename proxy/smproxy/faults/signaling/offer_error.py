"""``offer-error``: the offer cannot be used."""

from collections.abc import Sequence

from msgspec import UNSET

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange
from smproxy.faults.parameter import Parameter
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpResponse, problem
from smproxy.signaling.payloads import ConnectError


class OfferError(SignalingFault, ExchangeFault):
    """Answer an offer in place of the origin, which does not get it."""

    name = "offer-error"
    effect = "`handleOffer` is answered with an error and never reaches the origin. Hook: `connect_error`, error 0."
    whip = "POST is answered 422 with the message"
    publish = "rejects with the message"

    code = Parameter("NetStream.Publish.InvalidSDP", "code of the error")
    message = Parameter("The offer cannot be used.", "its text")

    def from_client(self, message: Message) -> Sequence[Message]:
        """Refuse the offer."""
        if message.client.handle_offer is UNSET:
            return (message,)
        self.session.acted()
        self.session.send("client", messages.stream_error(self.code, self.message))
        self.session.report_refusal(ConnectError.INVALID_SDP)
        return ()

    def on_request(self, exchange: HttpExchange) -> HttpResponse | None:
        """Refuse the offer."""
        if not exchange.has_method("POST"):
            return None
        self.http.acted()
        self.http.report_refusal(ConnectError.INVALID_SDP)
        return problem(422, self.message)
