"""All sessions of WHIP and WHEP at one origin."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable

from smproxy.origin.client_session import ClientSession
from smproxy.origin.role import OriginServices
from smproxy.origin.whip.events import EventStream
from smproxy.origin.whip.exchange import DELETED, WhipExchange
from smproxy.origin.whip.publisher import WhipSignaling
from smproxy.origin.whip.subscriber import WhepSignaling
from smproxy.signaling.http_exchange import HttpRequest, HttpResponse, problem
from smproxy.signaling.node_channel import AttemptFailed
from smproxy.signaling.payloads import ConnectError
from smproxy.signaling.whip import read_endpoint_request, server_offers
from smproxy.signaling.whip_urls import WhipProtocol, WhipTarget

_log = logging.getLogger(__name__)

_GONE = problem(404, "There is no such session, or it is over.")
#: Sessions that are over, but whose client has not sent its DELETE.
MAX_UNDELETED = 1_000

#: Makes a session of a client's signaling; the arguments are attempt and whether to record.
OpenSession = Callable[[WhipSignaling | WhepSignaling, str | None, bool], ClientSession]


class HttpExchanges:
    """The table of sessions by their URL. ``admit`` decides whether an attempt may begin one."""

    def __init__(
        self,
        services: OriginServices,
        admit: Callable[[str | None, str], Awaitable[bool]],
        open_session: OpenSession,
    ) -> None:
        self._services = services
        self._admit = admit
        self._open_session = open_session
        self._exchanges: dict[str, WhipExchange] = {}
        self._by_session: dict[ClientSession, str] = {}
        #: By their URL's path.
        self._undeleted: dict[str, None] = {}

    def forget(self, session: ClientSession) -> None:
        """Remove a session that is gone; its URL then answers 404, but to a DELETE that comes late.

        Clients close their peer connection first, which ends the session before their DELETE is here.
        """
        if (key := self._by_session.pop(session, None)) is None:
            return
        exchange = self._exchanges.pop(key)
        if not exchange.deleted:
            self._undeleted[exchange.target.path] = None
            while len(self._undeleted) > MAX_UNDELETED:
                del self._undeleted[next(iter(self._undeleted))]

    async def handle(self, target: WhipTarget, request: HttpRequest, attempt: str | None) -> HttpResponse:
        """Respond to a request."""
        if target.session is None:
            return await self._handle_endpoint(target, request, attempt)
        exchange = self._find(target)
        if exchange is None:
            return DELETED if request.method == "DELETE" and self._delete_ended(target) else _GONE
        return await exchange.handle(target, request)

    def _delete_ended(self, target: WhipTarget) -> bool:
        """Take the DELETE of a session that has ended otherwise.

        False when there is none, or it had its DELETE.
        """
        ending = self._exchanges.get(target.session or "")
        if ending is not None and ending.target.path == target.path and not ending.deleted:
            ending.deleted = True
            return True
        return target.path in self._undeleted and self._undeleted.pop(target.path) is None

    def event_stream(self, target: WhipTarget) -> EventStream | None:
        """Return the event stream that a URL names."""
        exchange, (place, _, key) = self._find(target), target.below.partition("/")
        return exchange.event_stream(key) if exchange is not None and place == "events" else None

    def _find(self, target: WhipTarget) -> WhipExchange | None:
        exchange = self._exchanges.get(target.session or "")
        if exchange is None or exchange.session.ended:
            return None
        named = exchange.target
        same = (named.protocol, named.scope, named.name) == (target.protocol, target.scope, target.name)
        return exchange if same else None

    async def _handle_endpoint(self, target: WhipTarget, request: HttpRequest, attempt: str | None) -> HttpResponse:
        if request.method == "POST" and not await self._admit(attempt, target.scope):
            return problem(403, "This origin takes only clients that its stream manager sends.")
        asked = read_endpoint_request(target, request)
        if isinstance(asked, HttpResponse):
            if request.method == "POST" and attempt is not None:
                self._services.report(AttemptFailed(attempt, ConnectError.INVALID_SDP))
            return asked
        return await self._begin(target, request, asked.sdp, attempt)

    async def _begin(
        self, target: WhipTarget, request: HttpRequest, sdp: str | None, attempt: str | None
    ) -> HttpResponse:
        services, settings = self._services, self._services.settings
        signaling: WhipSignaling | WhepSignaling
        if target.protocol is WhipProtocol.WHIP:
            signaling = WhipSignaling(request, scope=target.scope, name=target.name, streams=services.streams)
        else:
            signaling = WhepSignaling(
                request,
                scope=target.scope,
                name=target.name,
                streams=services.streams,
                offline=settings.whep_offline,
                retry_after=settings.whep_retry_after,
                server_offers=server_offers(request),
            )
        signaling.draining = services.draining
        recording = request.parameters.get("recording", "").lower() == "true"
        session = self._open_session(signaling, attempt, recording)
        try:
            if isinstance(signaling, WhipSignaling):
                await session.perform(signaling.offer(sdp or ""))
            else:
                if services.pulls is not None and not services.draining:
                    await services.pulls.ready(target.scope, target.name, session)
                await session.perform(signaling.request(sdp))
        except Exception:
            _log.exception("attempt %s: the origin failed", session.attempt, extra=session.about)
            session.fail()
            return problem(500, "The origin failed: see its log.")
        finally:
            session.channel_closed(lost=False)
        if signaling.refusal is not None:
            return signaling.refusal
        if session.ended or signaling.description is None:
            return problem(503, "This origin is stopping.", ("Retry-After", "5"))
        key = str(uuid.UUID(int=services.rng.getrandbits(128), version=4))
        named = WhipTarget(target.protocol, target.scope, target.name, key)
        exchange = self._exchanges[key] = WhipExchange(named, session, signaling, services.rng)
        self._by_session[session] = key
        return exchange.created(settings.ice_servers)
