"""What the signaling of WHIP and WHEP has in common. Sans-I/O."""

from __future__ import annotations

from smproxy.origin.effects import Effect, Refuse
from smproxy.origin.offer import InvalidOffer, Offer, UnsupportedOffer
from smproxy.origin.role_signaling import RoleSignaling
from smproxy.signaling.http_exchange import HttpResponse, problem
from smproxy.signaling.payloads import ConnectError

#: Seconds after which a client may try again when this origin is busy or drains.
RETRY_AFTER = 5

_STATUS = {
    ConnectError.INVALID_SDP: 400,
    ConnectError.REJECTED: 403,
    ConnectError.NAME_IN_USE: 409,
    ConnectError.ORIGIN_ERROR: 503,
}


class HttpSignaling(RoleSignaling):
    """Signaling whose first exchange is one request and its response.

    Later there is the data channel only.

    ``description`` is the SDP to respond with, ``refusal`` the response instead of one.
    """

    description: str | None = None
    refusal: HttpResponse | None = None

    def refused(self, error: ConnectError, reason: str) -> list[Effect]:
        """Refuse the client with the status that fits the error."""
        retry = (("Retry-After", str(RETRY_AFTER)),) if error is ConnectError.ORIGIN_ERROR else ()
        return self.refuse_with(error, problem(_STATUS.get(error, 503), reason, *retry))

    def refuse_with(self, error: ConnectError, response: HttpResponse) -> list[Effect]:
        """Refuse the client with this response."""
        self._over = True
        self.refusal = response
        return [Refuse(error)]

    def invalid_offer(self, problem_: InvalidOffer) -> list[Effect]:
        """Refuse an offer that cannot be read (400), or cannot be served as a whole (422)."""
        status = 422 if isinstance(problem_, UnsupportedOffer) else 400
        return self.refuse_with(ConnectError.INVALID_SDP, problem(status, str(problem_)))

    def not_connected(self, reason: str) -> list[Effect]:
        """Do nothing: without a connection nothing can be sent to the client."""
        self._over = True
        return []

    def refuse_while_draining(self) -> list[Effect]:
        """Refuse the client: this origin takes no new ones."""
        reason = "This origin takes no new streams and subscribers."
        return self.refuse_with(ConnectError.REJECTED, problem(503, reason, ("Retry-After", str(RETRY_AFTER))))


def check_directions(offer: Offer, *, sends: bool) -> None:
    """Check that every media section has the client's direction.

    A client publishes (``sends``) or watches.

    Raises:
        UnsupportedOffer: one has not.
    """
    for section in offer.sections:
        if section.kind in ("audio", "video") and not (section.sends if sends else section.receives):
            wanted = "sendonly or sendrecv" if sends else "recvonly or sendrecv"
            raise UnsupportedOffer(f"The offer has {section.kind} that is {section.direction}, not {wanted}.")
