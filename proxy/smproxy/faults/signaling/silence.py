"""``silence``: the server sends nothing any more."""

from collections.abc import Sequence

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, HttpOutcome, Unanswered
from smproxy.faults.signaling_fault import Message, Side, SignalingFault
from smproxy.faults.stage import STAGES, stage_of, stage_parameter
from smproxy.signaling.http_exchange import HttpResponse


class Silence(SignalingFault, ExchangeFault):
    """Withhold all that the origin sends from a stage on."""

    name = "silence"
    effect = "From a stage on the client hears nothing more; the socket stays open."
    whip = "POST reaches the origin and is never answered; with `stage=trickle` PATCH and what comes after it"
    publish = "stays pending"

    stage = stage_parameter("connect", STAGES, "the first message that is answered by, or is, silence")

    _silent = False

    def from_client(self, message: Message) -> Sequence[Message]:
        """Begin at the stage."""
        self._watch(message, "client")
        return (message,)

    def from_origin(self, message: Message) -> Sequence[Message]:
        """Withhold it once the stage has come."""
        self._watch(message, "origin")
        return () if self._silent else (message,)

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpOutcome:
        """Withhold the answer once the stage has come."""
        method = "PATCH" if self.stage == "trickle" else "POST"
        if not self._silent and exchange.request.method != method:
            return response
        self._silent = True
        self.http.acted(f"from {self.stage} on")
        return Unanswered()

    def _watch(self, message: Message, sender: Side) -> None:
        if not self._silent and stage_of(message, sender) == self.stage:
            self._silent = True
            self.session.acted(f"from {self.stage} on")
