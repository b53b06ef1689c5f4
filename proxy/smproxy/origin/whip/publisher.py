"""A publisher's signaling over WHIP (RFC 9725). Sans-I/O."""

from __future__ import annotations

import math

from smproxy.origin.client_requests import UNNAMEABLE, nameable
from smproxy.origin.effects import Effect, Send, SetKeyFrameInterval, StartStream, TakeOffer, Via
from smproxy.origin.offer import Offer, UnsupportedOffer
from smproxy.origin.publisher_signaling import (
    MODES,
    NO_PUBLISHERS,
    NO_REGISTRY,
    PublisherSignaling,
    in_use,
    key_frame_interval,
)
from smproxy.origin.source import Source
from smproxy.origin.streams import Streams
from smproxy.origin.whip.http_signaling import HttpSignaling, check_directions
from smproxy.signaling import messages
from smproxy.signaling.http_exchange import HttpRequest, problem
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.redaction import Redactor
from smproxy.signaling.whip import is_vendor_sdk


class WhipSignaling(HttpSignaling, PublisherSignaling):
    """The signaling of a client that publishes with one POST.

    The vendor's SDK also has a data channel, where it waits for notices and sends what it would send on a WebSocket.
    """

    def __init__(self, request: HttpRequest, *, scope: str, name: str, streams: Streams) -> None:
        redactor = Redactor(f"{request.path}?{request.query}")
        super().__init__(scope=scope, client_id=name, streams=streams, redactor=redactor)
        self.switched = True
        self.vendor = is_vendor_sdk(request)
        self._name = name
        self._parameters = request.parameters

    def offer(self, sdp: str) -> list[Effect]:
        """Take the client's offer."""
        if self.draining:
            return self.refuse_while_draining()
        if not nameable(self._name):
            return self.refuse_with(ConnectError.REJECTED, problem(400, UNNAMEABLE))
        if not self._streams.claim(self.scope, self._name, self):
            return self._in_use()
        self.stream = self._name
        self._offered = True
        wishes = self._parameters.get("videoencoding"), self._parameters.get("audioencoding")
        return [TakeOffer(sdp, *(None if each is None else each[:32] for each in wishes))]

    def name_refused(self, error: ConnectError) -> list[Effect]:
        """Refuse the client: the cluster does not give it the name."""
        if error is ConnectError.REJECTED:
            return self.refuse_with(error, problem(403, NO_PUBLISHERS))
        return self._in_use() if error is ConnectError.NAME_IN_USE else self.refused(error, NO_REGISTRY)

    def _in_use(self) -> list[Effect]:
        wait = self._streams.takeover_in(self.scope, self._name)
        retry = () if wait is None else (("Retry-After", str(math.ceil(wait))),)
        return self.refuse_with(ConnectError.NAME_IN_USE, problem(409, in_use(self._name), *retry))

    def check_offer(self, offer: Offer) -> None:
        """Refuse what would be served in part only (RFC 9725, 4.4).

        The client would not notice what is missing.

        Raises:
            UnsupportedOffer: it asks for more than one track of a kind, or media stream, or for simulcast.
        """
        media = [each for each in offer.sections if each.kind in ("audio", "video")]
        if not self.vendor:
            check_directions(offer, sends=True)
        for kind in ("audio", "video"):
            count = sum(each.kind == kind and each.sends for each in media)
            if count > 1:
                raise UnsupportedOffer(f"The offer sends {count} {kind} tracks; one of a kind is taken.")
        if any(each.simulcast and each.sends for each in media):
            raise UnsupportedOffer(
                "The offer sends simulcast (a=simulcast); this origin takes one encoding of a track."
            )
        if len({each.stream_id for each in media if each.sends} - {"", "-"}) > 1:
            raise UnsupportedOffer("The offer sends tracks of more than one MediaStream (a=msid); one is taken.")

    def answered(self, sdp: str, source: Source | None = None) -> list[Effect]:
        """Respond with the answer; the stream starts with it."""
        self.description = sdp
        self._answered = self._started = True
        self._streams.go_live(self.scope, self._name, self, source)
        mode = self._parameters.get("mode", "")
        interval = self._parameters.get("keyframerate", "")
        milliseconds = float(interval) if interval.isascii() and interval.isdecimal() else None
        return [
            SetKeyFrameInterval(key_frame_interval(milliseconds)),
            StartStream(self._name, mode if mode in MODES else "live"),
        ]

    def _notices(self) -> list[Effect]:
        """Send that the stream is available, once there is media and a data channel."""
        if not self._media or self._channel is None or self._available_sent or self._over:
            return []
        self._available_sent = True
        return [Send(messages.publish_available(self._name), Via.CHANNEL)]
