"""The socket ``/conference-api/1.0/ws/conference``, and the list of conferences.

A client that does not read gets only the latest state: each is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from smproxy.auth.request import AuthRequest
from smproxy.manager.authenticator import Authenticator
from smproxy.manager.conferences import ConferenceFull, Conferences, ConferenceSession, Participant
from smproxy.manager.rest.client_limit import ClientLimit
from smproxy.manager.rest.errors import json_response
from smproxy.manager.rest.query import Parameters
from smproxy.manager.settings import AdmissionRules
from smproxy.manager.views import ConferenceList, ConferenceView, ParticipantView
from smproxy.signaling.conference import MAX_REQUEST, ConferenceError, JoinConferenceRequest, read_join
from smproxy.signaling.params import NAME_LIMIT, NOT_SUPPLIED
from smproxy.signaling.payloads import Reason

CONFERENCES = "/api/v1/conferences"
_SOCKET = "/conference-api/1.0/ws/conference"

#: Participants of all conferences.
MAX_SOCKETS = 1000
#: Seconds for a client to ask to join, between pings, and for a socket to close.
JOIN_TIMEOUT = 10.0
HEARTBEAT = 20.0
CLOSE_TIMEOUT = 1.0


class _Refusal(Exception):
    """A client is not let in; the message is a sentence."""


class _LatestState:
    """Sends the answer, and then the latest state whenever it changes."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._state: bytes | None = None
        self._changed = asyncio.Event()

    def put(self, state: bytes) -> None:
        """Take a state in place of one that was not sent yet."""
        self._state = state
        self._changed.set()

    async def run(self, answer: bytes) -> None:
        """Send until the socket is closed."""
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(answer.decode())
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._state is not None:
                    await self._socket.send_str(self._state.decode())


class ConferenceRoutes:
    """The routes of the conferences; ``close`` ends all of their sockets."""

    def __init__(self, conferences: Conferences, authenticator: Authenticator, rules: AdmissionRules) -> None:
        self._conferences = conferences
        self._authenticator = authenticator
        self._rules = rules
        self._limit = ClientLimit("participants of conferences", MAX_SOCKETS)
        self._gone: set[asyncio.Event] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the route of the list."""
        return [web.get(CONFERENCES, self.list)]

    def socket_routes(self) -> list[web.RouteDef]:
        """Return the route of the socket."""
        return [web.get(_SOCKET, self.join)]

    async def close(self, reason: Reason) -> None:
        """End every conference and wait until the sockets are closed, for a moment."""
        self._conferences.end_all(reason)
        waiting = [asyncio.ensure_future(gone.wait()) for gone in self._gone]
        if waiting:
            await asyncio.wait(waiting, timeout=CLOSE_TIMEOUT)
        for each in waiting:
            each.cancel()

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the conferences, the oldest first. Their tokens are secret."""
        Parameters(request.query, ())
        views = [
            ConferenceView(
                conference_id=state.conference_id,
                customer_scope=scope,
                participants=[
                    ParticipantView(
                        participant_id=each.participant_id,
                        display_name=each.display_name,
                        role=each.role,
                        stream_guid=each.stream_guid,
                        session=sessions[each.participant_id],
                    )
                    for each in state.participants
                ],
            )
            for scope, state, sessions in self._conferences.states()
        ]
        return json_response(ConferenceList(conferences=views))

    async def join(self, request: web.Request) -> web.StreamResponse:
        """Serve one client of the conference API."""
        with self._limit.take():
            socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MAX_REQUEST, compress=False)
            await socket.prepare(request)
            gone = asyncio.Event()
            self._gone.add(gone)
            session = self._conferences.new_session(request.remote or "")
            try:
                await self._serve(request, socket, session)
            except _Refusal as refusal:
                session.refused(str(refusal))
                with contextlib.suppress(ConnectionError, TimeoutError):
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await socket.send_str(msgspec.json.encode(ConferenceError(str(refusal))).decode())
                        await socket.close(code=WSCloseCode.POLICY_VIOLATION)
            finally:
                # Without effect on a session that has ended.
                session.ended(Reason.USER_ACTION)
                gone.set()
                self._gone.discard(gone)
            return socket

    async def _serve(self, request: web.Request, socket: web.WebSocketResponse, session: ConferenceSession) -> None:
        asked = await self._asked(socket)
        session.begin(asked, self._customer_scope(request))
        await self._check(request, asked, session)
        ended, latest = asyncio.Event(), _LatestState(socket)
        try:
            participant, answer = self._conferences.join(asked, session, latest.put, ended.set)
        except ConferenceFull as error:
            raise _Refusal(str(error)) from None
        running: tuple[Coroutine[Any, Any, object], ...] = latest.run(answer), _ignore_incoming(socket), ended.wait()
        tasks = [asyncio.create_task(each) for each in running]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._leave(participant, socket)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await socket.close(code=WSCloseCode.GOING_AWAY, drain=False)

    def _leave(self, participant: Participant, socket: web.WebSocketResponse) -> None:
        lost = socket.close_code in (None, WSCloseCode.ABNORMAL_CLOSURE)
        self._conferences.leave(participant, Reason.TIMEOUT if lost else Reason.USER_ACTION)

    async def _asked(self, socket: web.WebSocketResponse) -> JoinConferenceRequest:
        """Read what a client asks for."""
        try:
            async with asyncio.timeout(JOIN_TIMEOUT):
                message = await socket.receive()
        except TimeoutError:
            raise _Refusal(f"No JoinConferenceRequest came within {JOIN_TIMEOUT:g} s.") from None
        if message.type is not WSMsgType.TEXT:
            raise _Refusal("The first message must be a JoinConferenceRequest.")
        try:
            return read_join(message.data)
        except ValueError as error:
            raise _Refusal(str(error)) from None

    def _customer_scope(self, request: web.Request) -> str | None:
        values = [value for key, value in request.query.items() if key.lower() == "customerscope"]
        given = values[-1] if values and values[-1] not in NOT_SUPPLIED else None
        if given is None and self._rules.customer_scope_required:
            raise _Refusal("The URL has no customerScope.")
        if given is not None and not (len(given) <= NAME_LIMIT and given.isprintable()):
            raise _Refusal(f"customerScope must be a text of at most {NAME_LIMIT} printable characters.")
        return given or self._rules.default_customer_scope

    async def _check(self, request: web.Request, asked: JoinConferenceRequest, session: ConferenceSession) -> None:
        """Have the authentication scheme decide, where there is one; the join token is its token."""
        scope, name = asked.stream
        reason = await self._authenticator.refusal(
            AuthRequest(
                action="subscribe" if asked.is_anonymous else "publish",
                client_id=session.connection.id or "",
                stream=name or None,
                app=scope.partition("/")[0],
                scope=scope,
                customer_scope=session.connection.customer_scope,
                transport="websocket",
                username=asked.username,
                password=asked.password,
                token=asked.access_token or asked.join_token,
                address=request.remote or "",
                origin=request.headers.get("Origin"),
            )
        )
        if reason is not None:
            raise _Refusal(f"Not allowed: {reason}")


async def _ignore_incoming(socket: web.WebSocketResponse) -> None:
    """Read, so that pings and the close are seen; returns when the connection ends."""
    async for _ in socket:
        pass
