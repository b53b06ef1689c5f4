"""``turn-auth-failed``: the client is given a wrong password for the TURN server."""

import re

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, with_header
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class TurnAuthFailed(ExchangeFault):
    """Replace the credential of each TURN server."""

    name = "turn-auth-failed"
    effect = (
        "The TURN servers that `Link` headers name (RFC 9725, 4.6) have a wrong `credential`: the client gets no relay, and "
        "with `iceTransportPolicy: relay` no connection."
    )

    on = Parameter("options", "in the answer to OPTIONS, or to the offer", choices=("options", "post"))

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Make the passwords wrong."""
        links = [value for name, value in response.headers if name.lower() == "link"]
        wrong = [re.sub(r'credential="[^"]*"', 'credential="wrong"', value) for value in links]
        if wrong == links:
            return response
        self.http.acted()
        return with_header(response, "Link", *wrong)
