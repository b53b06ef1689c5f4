"""``http-etag``: the entity tag of a session is not the one that the server knows."""

from smproxy.faults.exchange_fault import ExchangeFault, HttpExchange, header, with_header
from smproxy.faults.parameter import Parameter
from smproxy.signaling.http_exchange import HttpResponse


class HttpEtag(ExchangeFault):
    """Change the header ``ETag`` of the answer that begins a session."""

    name = "http-etag"
    effect = (
        "The answer that begins a session has another `ETag` than the origin knows, as after an ICE restart by somebody else: "
        "a PATCH with it in `If-Match` is answered 412. Or it has none, a weak one, or `*`, which is no entity tag."
    )

    how = Parameter("changed", "in what way", choices=("changed", "missing", "weak", "any"))

    def on_response(self, exchange: HttpExchange, response: HttpResponse) -> HttpResponse:
        """Change it."""
        tag = header(response, "ETag")
        if tag is None or not exchange.begins(response):
            return response
        self.http.acted(self.how)
        match self.how:
            case "changed":
                return with_header(response, "ETag", f'"{self.rng.getrandbits(64):016x}"')
            case "weak":
                return with_header(response, "ETag", f"W/{tag.removeprefix('W/')}")
            case "any":
                return with_header(response, "ETag", "*")
            case _:
                return with_header(response, "ETag")
