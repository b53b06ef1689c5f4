"""``publish-denied``: the user may not publish."""

from collections.abc import Sequence

from msgspec import UNSET

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange
from smproxy.faults.parameter import Parameter
from smproxy.faults.signaling_fault import Message, SignalingFault
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpResponse, problem
from smproxy.signaling.payloads import ConnectError


class PublishDenied(SignalingFault, ExchangeFault):
    """Answer ``publish`` in place of the origin, which does not get it."""

    name = "publish-denied"
    effect = (
        "`publish` is answered with an error and never reaches the origin. Hook: `connect_error`, error 3; with a "
        "transport that is up already, `disconnected` when the client leaves."
    )
    whip = "POST of a publisher is answered 403 with the message"
    publish = "rejects with the message, then sends `unpublish`"

    code = Parameter("NetStream.Publish.Denied", "code of the error")
    message = Parameter("Not allowed to publish.", "its text")

    def from_client(self, message: Message) -> Sequence[Message]:
        """Refuse to start the stream."""
        if message.client.publish is UNSET:
            return (message,)
        self.session.acted()
        self.session.send("client", messages.stream_error(self.code, self.message))
        self.session.report_refusal(ConnectError.REJECTED)
        return ()

    def on_request(self, exchange: HttpExchange) -> HttpResponse | None:
        """Refuse a publisher's offer."""
        if not exchange.has_method("POST") or exchange.protocol != "whip":
            return None
        self.http.acted()
        self.http.report_refusal(ConnectError.REJECTED)
        return problem(403, self.message)
