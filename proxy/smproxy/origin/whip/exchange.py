"""One session of WHIP or WHEP: what its client may do after the first response."""

from __future__ import annotations

import random
from contextlib import suppress

import msgspec

from smproxy.origin.client_session import ClientSession
from smproxy.origin.ice import Credentials
from smproxy.origin.whip.events import EventStream
from smproxy.origin.whip.publisher import WhipSignaling
from smproxy.origin.whip.subscriber import WhepSignaling
from smproxy.signaling.http_exchange import JSON, SDP, SDP_FRAGMENT, HttpRequest, HttpResponse, problem
from smproxy.signaling.sdp_fragment import write_fragment
from smproxy.signaling.whip import (
    AnswerRequest,
    Delete,
    IceServer,
    Trickle,
    check_if_match,
    events_link,
    read_session_request,
    restarts,
)
from smproxy.signaling.whip_urls import WhipTarget

#: FFmpeg takes an empty response to DELETE for a failure.
DELETED = HttpResponse(200, (("Content-Type", JSON),), b"{}")
_EVENT_TYPES_LIMIT = 16


class WhipExchange:
    """A session that was begun by a POST. ``target`` is its URL."""

    def __init__(
        self, target: WhipTarget, session: ClientSession, signaling: WhipSignaling | WhepSignaling, rng: random.Random
    ) -> None:
        self.target = target
        self.session = session
        #: The client has ended it with DELETE.
        self.deleted = False
        self._signaling = signaling
        self._rng = rng
        self._etag = self._new_etag()
        #: The client's credentials in the ICE session that the ETag names.
        self._remote: Credentials | None = None
        self._learn_remote()

    def _new_etag(self) -> str:
        return f'"{self._rng.getrandbits(64):016x}"'

    def _learn_remote(self) -> None:
        transport = self.session.transport
        self._remote = None if transport is None else transport.ice.remote

    def created(self, ice_servers: tuple[IceServer, ...]) -> HttpResponse:
        """Respond to the POST: 201 with the description, or 406 with an offer.

        The 406 is for a client that wanted an answer.
        """
        signaling = self._signaling
        counter_offer = isinstance(signaling, WhepSignaling) and signaling.awaits_answer and not signaling.server_offers
        headers = [
            ("Content-Type", SDP),
            ("Location", self.target.path),
            ("ETag", self._etag),
            *(each.link for each in ice_servers),
        ]
        if isinstance(signaling, WhepSignaling):
            headers.append(events_link(f"{self.target.path}/events"))
        body = (signaling.description or "").encode()
        return HttpResponse(406 if counter_offer else 201, tuple(headers), body)

    async def handle(self, target: WhipTarget, request: HttpRequest) -> HttpResponse:
        """Respond to a request to the session, or to something below it."""
        if target.below:
            return self._handle_events(target, request)
        asked = read_session_request(target, request)
        match asked:
            case HttpResponse():
                return asked
            case Delete():
                self.deleted = True
                await self.session.delete()
                return DELETED
            case AnswerRequest(sdp):
                return await self._take_answer(sdp)
            case Trickle():
                return self._trickle(asked, request)

    async def _take_answer(self, sdp: str) -> HttpResponse:
        signaling = self._signaling
        if not isinstance(signaling, WhepSignaling) or not signaling.awaits_answer:
            return problem(409, "No offer of this server waits for an answer.")
        await self.session.perform(signaling.take_answer(sdp))
        if signaling.refusal is not None:
            return signaling.refusal
        self._learn_remote()
        return HttpResponse(204)

    def _trickle(self, asked: Trickle, request: HttpRequest) -> HttpResponse:
        refusal = check_if_match(request, self._etag, required=not self._signaling.vendor)
        if refusal is not None:
            return refusal
        fragment, remote, transport = asked.fragment, self._remote, self.session.transport
        if remote is None or transport is None or not restarts(fragment, remote.ufrag, remote.password):
            # An ICE lite agent needs no candidates of the client.
            return HttpResponse(204)
        self._remote = Credentials(fragment.ufrag, fragment.password)
        local = transport.ice.restart(self._remote)
        self._etag = self._new_etag()
        kind, mid = transport.bundle_tag
        body = write_fragment(
            kind=kind,
            mid=mid,
            ufrag=local.ufrag,
            password=local.password,
            candidates=transport.ice.candidates_for_restart,
        )
        return HttpResponse(200, (("Content-Type", SDP_FRAGMENT), ("ETag", self._etag)), body)

    # server-sent events -----------------------------------------------------------------------------------------------

    def event_stream(self, key: str) -> EventStream | None:
        """Return an open event stream."""
        return self._signaling.events.stream(key) if isinstance(self._signaling, WhepSignaling) else None

    def _handle_events(self, target: WhipTarget, request: HttpRequest) -> HttpResponse:
        signaling = self._signaling
        place, _, key = target.below.partition("/")
        if place != "events" or not isinstance(signaling, WhepSignaling):
            return problem(404, "A session has nothing of this name.")
        if not key:
            if request.method == "OPTIONS":
                return HttpResponse(200, (("Accept-Post", JSON), ("Allow", "OPTIONS, POST")))
            if request.method != "POST":
                return problem(405, "Event streams are made with POST.", ("Allow", "OPTIONS, POST"))
            return self._open_events(signaling, request)
        if request.method == "OPTIONS":
            return HttpResponse(200, (("Allow", "DELETE, GET, OPTIONS"),))
        if request.method != "DELETE":
            return problem(405, "An event stream is read with GET.", ("Allow", "DELETE, GET, OPTIONS"))
        return DELETED if signaling.events.delete(key) else problem(404, "There is no such event stream.")

    def _open_events(self, signaling: WhepSignaling, request: HttpRequest) -> HttpResponse:
        types: list[str] | None = None
        if request.body:
            if request.media_type != JSON:
                return problem(415, f"The body must be {JSON}.", ("Accept-Post", JSON))
            with suppress(msgspec.DecodeError, RecursionError):
                types = msgspec.json.decode(request.body, type=list[str])
            if types is None or len(types) > _EVENT_TYPES_LIMIT:
                return problem(400, "The body must be a JSON array of event types.")
        key = f"{self._rng.getrandbits(128):032x}"
        if not signaling.events.open(key, types):
            return problem(429, "This session has too many event streams.")
        return HttpResponse(201, (("Location", f"{self.target.path}/events/{key}"),))
