"""``unpublish-unanswered``: the end of the stream is never confirmed."""

from collections.abc import Sequence

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, HttpOutcome, Unanswered
from smproxy.faults.signaling_fault import Message, SocketFault
from smproxy.signaling.http_exchange import HttpResponse


class UnpublishUnanswered(SocketFault, ExchangeFault):
    """Withhold the confirmation."""

    name = "unpublish-unanswered"
    effect = '"NAME stopping" is withheld, and the client kept on its socket; the stream ends at the origin and in the hooks.'
    whip = "DELETE ends the session and is never answered"
    publish = "resolves; `unpublish()` stays pending"

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold it, on the socket, which the client does not leave."""
        if message.says_stopping:
            self.session.acted()
            return ()
        return super().from_origin(message)

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        """Withhold the answer to DELETE."""
        if not exchange.has_method("DELETE"):
            return response
        self.http.acted()
        return Unanswered()
