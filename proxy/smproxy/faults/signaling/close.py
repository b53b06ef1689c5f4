"""``close``: the socket is closed at a stage."""

from collections.abc import Sequence

from smproxy.faults.exchange_fault import Cut, ExchangeFault, HttpExchange, HttpOutcome, Sender
from smproxy.faults.parameter import Parameter, close_code
from smproxy.faults.signaling_fault import Message, Side, SocketFault
from smproxy.faults.stage import STAGES_AND_LIVE, stage_of, stage_parameter
from smproxy.signaling.http_exchange import HttpResponse
from smproxy.signaling.messages import DATA_CHANNEL_AVAILABLE

#: The stages that are a request: it does not reach the origin.
_OF_CLIENT = frozenset({"connect", "available", "offer"})


class CloseAtStage(SocketFault, ExchangeFault):
    """Close in place of a message."""

    name = "close"
    effect = (
        "The socket is closed in place of a message, or after the stream is live (the client is then kept on its "
        "socket). 1006 cuts the connection without a Close frame."
    )
    whip = (
        "the connection is cut in place of the answer to POST, with `stage=trickle` to PATCH; with `stage=live` the origin "
        "loses the session"
    )
    publish = "stays pending; with `stage=live` it has resolved, and the page loses its connection"

    stage = stage_parameter("publish", STAGES_AND_LIVE, "the message that is not let through")
    code = close_code(1011, cut=True)
    reason = Parameter("closed by a fault", "reason in the Close frame")
    after = Parameter(0.0, "seconds from the stage to the close")

    _due = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Close if it is the stage."""
        return self._take(message, "client")

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Close if it is the stage; a client that is live stays on its socket until then."""
        if message.code == DATA_CHANNEL_AVAILABLE:
            return ()
        return self._take(message, "origin")

    def _take(self, message: Message, sender: Side) -> Sequence[Message]:
        if self._due:
            return (message,) if self.stage == "live" else ()
        stage = stage_of(message, sender)
        live = self.stage == "live" and stage == "starting"
        if stage != self.stage and not live:
            return (message,)
        self._due = True
        self.session.later(self.after, self._close)
        return (message,) if live else ()

    def _close(self) -> None:
        self.session.acted(f"at {self.stage} with {self.code}")
        self.session.close(self.code, self.reason)

    def on_request(self, exchange: HttpExchange) -> Cut | None:
        """Cut the connection before the origin has the request, if the stage is one of the client's."""
        return self._cut() if self._method(exchange) and self.stage in _OF_CLIENT else None

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        """Cut the connection in place of the answer, or lose the session once it lives."""
        if self.stage == "live" and exchange.begins(response):
            self.http.later(self.after, self._lose)
            return response
        return self._cut() if self._method(exchange) else response

    def hold(self, exchange: HttpExchange, sender: Sender) -> float:
        """Wait before the connection is cut."""
        return self.after if sender == "client" and self._method(exchange) else 0.0

    def _method(self, exchange: HttpExchange) -> bool:
        return self.stage != "live" and exchange.request.method == ("PATCH" if self.stage == "trickle" else "POST")

    def _cut(self) -> Cut:
        self.http.acted(f"at {self.stage}")
        return Cut()

    def _lose(self) -> None:
        self.http.acted("at live")
        self.http.end()
