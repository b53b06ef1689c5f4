"""A subscriber's signaling over WHEP (draft-ietf-wish-whep). Sans-I/O."""

from __future__ import annotations

from smproxy.origin.client_requests import UNNAMEABLE, nameable
from smproxy.origin.effects import Effect, MakeOffer, Send, StartPlayback, TakeAnswer, TakeViewerOffer, Via
from smproxy.origin.offer import Offer
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.settings import WhepOffline
from smproxy.origin.streams import Streams
from smproxy.origin.whip.events import ViewerEvents
from smproxy.origin.whip.http_signaling import HttpSignaling, check_directions
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpRequest, problem
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.redaction import Redactor
from smproxy.signaling.whip import is_vendor_sdk


class WhepSignaling(HttpSignaling, SubscriberSignaling):
    """The signaling of a client that watches with one POST.

    After a server's offer also a PATCH with the answer.

    ``events`` has what is sent to the client's event streams.
    """

    def __init__(
        self,
        request: HttpRequest,
        *,
        scope: str,
        name: str,
        streams: Streams,
        offline: WhepOffline,
        retry_after: int,
        server_offers: bool,
    ) -> None:
        super().__init__(scope=scope, streams=streams, redactor=Redactor(f"{request.path}?{request.query}"))
        self.switched = True
        self.vendor = is_vendor_sdk(request)
        #: The client expects the server's offer instead of an answer.
        self.server_offers = server_offers
        self.events = ViewerEvents()
        #: The server made the offer, and its answer has not come.
        self.awaits_answer = False
        self._name = name
        self._offline = offline
        self._retry_after = retry_after

    def request(self, sdp: str | None) -> list[Effect]:
        """Take the client's offer; ``None``: make one."""
        if self.draining:
            return self.refuse_while_draining()
        if not nameable(self._name):
            return self.refuse_with(ConnectError.REJECTED, problem(400, UNNAMEABLE))
        live = self._streams.is_live(self.scope, self._name)
        if not live and (self._offline is not WhepOffline.WAIT or sdp is None):
            return self._not_live()
        self.stream = self._name
        self._asked = True
        self.events.begin(live=live)
        return [MakeOffer(self._name, True) if sdp is None else TakeViewerOffer(self._name, sdp)]

    def _not_live(self) -> list[Effect]:
        reason = f"Nobody publishes {self._name[:100]!r} in {self.scope!r}."
        if self._offline is WhepOffline.NOT_FOUND:
            return self.refuse_with(ConnectError.REJECTED, problem(404, reason))
        retry = ("Retry-After", str(self._retry_after))
        return self.refuse_with(ConnectError.REJECTED, problem(409, reason, retry))

    def check_offer(self, offer: Offer) -> None:
        """Check that the client only wants to watch.

        Raises:
            UnsupportedOffer: it wants to send, or media that is inactive.
        """
        if not self.vendor:
            check_directions(offer, sends=False)

    def offered(self, sdp: str) -> list[Effect]:
        """Respond with an offer.

        The client expects it, or cannot take the stream's codec as it offered.
        """
        self.description = sdp
        self._offered = self.awaits_answer = True
        return []

    def answered(self, sdp: str) -> list[Effect]:
        """Respond with the answer to the client's offer."""
        self.description = sdp
        self._offered = True
        return self.accepted()

    def take_answer(self, sdp: str) -> list[Effect]:
        """Take the client's answer to the server's offer."""
        self.awaits_answer = False
        return [TakeAnswer(sdp)]

    def accepted(self) -> list[Effect]:
        """Wait for the transport; then the client watches."""
        self._accepted = True
        self._waiting = Via.CHANNEL
        return []

    def connected(self) -> list[Effect]:
        """Start to show the stream, or wait for it."""
        self._up = True
        if self._over:
            return []
        self._started = True
        return [StartPlayback(self._name)]

    def _notices(self) -> list[Effect]:
        """Send what was missed until the data channel opened; the metadata follow by themselves."""
        self._metadata = {}
        if not self._started or self._over:
            return []
        effects: list[Effect] = [Send(messages.play_starting(self._name), Via.CHANNEL)]
        if not self._streams.is_live(self.scope, self._name):
            effects.append(Send(messages.unpublish_notify(channel=True), Via.CHANNEL))
        return effects

    def published(self) -> list[Effect]:
        """Send that the stream is there again."""
        self.events.active(True)
        return super().published()

    def unpublished(self) -> list[Effect]:
        """Send that the stream ended."""
        self.events.active(False)
        return super().unpublished()

    def watched_by(self, count: int) -> None:
        """Send how many watch the stream, when it changed."""
        self.events.viewers(count)

    def end(self) -> None:
        """Start nothing more, and end the event streams."""
        super().end()
        self.events.close()
