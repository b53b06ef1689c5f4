"""``http-location``: the session's URL comes in another form, or not at all."""

import posixpath
from urllib.parse import urljoin, urlsplit

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, header, with_header
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class HttpLocation(ExchangeFault):
    """Change the header ``Location`` of the answer that begins a session."""

    name = "http-location"
    effect = (
        "The answer that begins a session has no `Location`, or it is an absolute URL or a reference relative to the "
        "endpoint (RFC 3986, 4.2). The session lives."
    )

    form = Parameter("none", "which", choices=("none", "absolute", "relative"))

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Write it in the form that was asked for."""
        location = header(response, "Location")
        if location is None or not exchange.begins(response):
            return response
        self.http.acted(self.form)
        absolute = urljoin(exchange.url, location)
        match self.form:
            case "absolute":
                return with_header(response, "Location", absolute)
            case "relative":
                folder = posixpath.dirname(exchange.request.path)
                return with_header(response, "Location", posixpath.relpath(urlsplit(absolute).path, folder))
            case _:
                return with_header(response, "Location")
