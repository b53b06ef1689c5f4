"""What a headless publisher and subscriber have in common.

The life of a signaling socket beside a peer connection.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from smproxy import __version__
from smproxy.tasks import Tasks, Timers
from smproxy.testing.dialogue import AddCandidate, Channel, Dialogue, Ended, Refused, SendText, Started, SwitchSoon
from smproxy.testing.errors import Rejected, StreamError
from smproxy.testing.frame_log import FrameLog
from smproxy.testing.http_session import HttpSession
from smproxy.testing.signaling_socket import SignalingSocket

if TYPE_CHECKING:
    from smproxy.testing.peer import Peer

EndedBy: TypeAlias = Literal["client", "server", "transport"]

#: How long after a refusal the close that gives its reason is waited for, and how long a last word may take.
REASON_GRACE = 0.5
#: How long a lost transport may wait for the close of the socket that explains it.
_TRANSPORT_GRACE = 0.3
#: Seconds for what runs in the background to end.
_CLOSE_TIMEOUT = 2.0


class Errors(NamedTuple):
    """How a client's failures are called."""

    failed: type[StreamError]
    rejected: type[Rejected]
    timed_out: type[StreamError]


class SignalingClient(ABC):
    """One client of a stream manager, driven by its dialogue. It is used once."""

    errors: ClassVar[Errors]
    #: What it is called in messages: ``publisher`` or ``subscriber``.
    role: ClassVar[str]

    def __init__(
        self,
        dialogue: Dialogue,
        url: str,
        *,
        ssl: tls.SSLContext | None,
        timeout: float,
        switch_delay: float,
        user_agent: str | None = None,
    ) -> None:
        #: Set when the stream has ended for this client, whoever ended it; see ``ended_by``.
        self.closed = asyncio.Event()
        #: ``server``: it closed the socket or said so on either channel; ``transport``: the media connection was lost.
        self.ended_by: EndedBy | None = None
        #: Code and reason of the socket's close frame; 1006 when there was none.
        self.close_code: int | None = None
        self.close_reason = ""
        #: The last frames, oldest first.
        self.frames = FrameLog()
        self._signaling = dialogue
        self._url = url
        self._user_agent = user_agent or f"stream-manager-proxy-{self.role}/{__version__}"
        self._ssl = ssl
        self._timeout = timeout
        self._switch_delay = switch_delay
        self._socket: SignalingSocket | None = None
        #: The session over WHIP or WHEP of a client that has no socket.
        self._http: HttpSession | None = None
        self._client_peer: Peer | None = None
        self._started: asyncio.Future[None] | None = None
        self._connected = asyncio.Event()
        self._tasks = Tasks()
        self._timers = Timers()
        self._tearing_down: asyncio.Task[None] | None = None
        #: The server has ended the live stream; what breaks after that is a consequence.
        self._ended_by_server = False
        #: The client ends its session over WHIP or WHEP; what breaks after that is a consequence, too.
        self._leaving = False

    @property
    def state(self) -> str:
        """``closed``, or how far the conversation is.

        ``connecting``, ``asking``, …, ``live``, …, ``over``.
        """
        return "closed" if self.closed.is_set() else self._signaling.state.name.lower()

    @property
    def switched(self) -> bool:
        """Whether signaling has moved to the data channel."""
        return self._signaling.switched

    async def close(self) -> None:
        """Close socket and peer connection at once, as a closed tab. Safe to call again."""
        self._end("client")
        if self._tearing_down is None:
            self._tearing_down = asyncio.ensure_future(self._tear_down())
        await asyncio.shield(self._tearing_down)

    def vanish(self, tcp: Literal["abort", "silent"] = "abort") -> None:
        """Be gone, as after a lost network: nothing is sent or read any more.

        With ``abort`` the TCP connection is reset; with ``silent`` it stays open and nobody answers on it until ``close()``.
        """
        if self.closed.is_set():
            return
        self._end("client")
        self._timers.cancel()
        self._tasks.cancel()
        if self._client_peer is not None:
            self._client_peer.mute()
        if tcp == "silent" and self._socket is not None:
            self._socket.silence()
            return
        if self._socket is not None:
            self._socket.abort()
        self._tearing_down = asyncio.ensure_future(self._tear_down())

    # What the two kinds of client do in their own way.

    @abstractmethod
    async def _prepare(self) -> Peer:
        """Make the peer connection."""

    @abstractmethod
    async def _take(self, action: Any) -> Sequence[Any]:
        """Perform an action on the peer connection; return the actions that follow."""

    @abstractmethod
    def _note(self, action: Any) -> None:
        """Take in an action that needs no waiting."""

    @abstractmethod
    async def _http_offer(self) -> str:
        """Return the offer to POST."""

    @abstractmethod
    async def _take_http_answer(self, sdp: str) -> None:
        """Apply the answer to it."""

    async def _finish(self) -> None:  # noqa: B027 - need not be overridden
        """The server has ended the stream: finish what is being sent before everything is torn down."""

    async def _release(self) -> None:  # noqa: B027
        """Release what the client has beside socket and peer connection."""

    def _woken(self) -> None:  # noqa: B027
        """Wake up what waits on this client, after its end."""

    # How it starts.

    async def _start(self) -> None:
        failed = self.errors.failed
        if self._started is not None:
            raise failed(f"a {self.role} is used once; make a new one")
        self._started = asyncio.get_running_loop().create_future()
        import smproxy.testing.peer  # noqa: F401 - before the time runs: aiortc takes a third of a second to import

        self.frames.restart()
        try:
            async with asyncio.timeout(self._timeout):
                self._client_peer = await self._prepare()
                if self._http is not None:
                    await self._take_http_answer(await self._http.create(await self._http_offer()))
                    self._signaling.established()
                    self._started.set_result(None)
                else:
                    self._socket = await SignalingSocket.open(
                        self._url, self._ssl, user_agent=self._user_agent, failed=failed, rejected=self.errors.rejected
                    )
                    self._tasks.spawn(self._read(self._socket))
                await self._started
                await self._connected.wait()
                if self.closed.is_set():
                    raise failed(f"the stream ended while it was started: {self.close_reason or self.ended_by}")
        except TimeoutError:
            there = self._socket is not None or (self._http is not None and self._http.resource)
            waiting_for = self._signaling.awaited if there else "answer" if self._http is not None else "connection"
            await self.close()
            raise self.errors.timed_out(f"no {waiting_for} within {self._timeout:g} s") from None
        except BaseException:
            await self.close()
            raise

    def _use_http(self, url: str, token: str | None) -> None:
        """Signal over WHIP or WHEP, at this endpoint."""
        self._http = HttpSession(
            url,
            self.frames,
            token=token,
            ssl=self._ssl,
            user_agent=self._user_agent,
            failed=self.errors.failed,
            rejected=self.errors.rejected,
        )

    async def _delete(self) -> bool:
        """End the session over WHIP or WHEP; return whether the server confirmed that in time."""
        if self._http is None or not self._http.resource:
            return True
        self._leaving = True
        try:
            async with asyncio.timeout(self._timeout):
                return await self._http.delete()
        except (TimeoutError, StreamError):
            return False

    @property
    def _ipv6(self) -> bool:
        return urlsplit(self._url).hostname not in ("127.0.0.1", "localhost")

    # What comes in.

    async def _read(self, socket: SignalingSocket) -> None:
        try:
            async for text in socket.texts():
                await self._received_on_socket(text)
        except StreamError as error:
            self._fail(error)
            return
        except Exception as error:
            self._fail(self.errors.failed(f"{type(error).__name__}: {error}"))
            return
        self._socket_closed(socket)

    async def _received_on_socket(self, text: str) -> None:
        assert self._client_peer is not None
        todo = deque(self._receive(text, "ws"))
        while todo:
            match todo.popleft():
                case AddCandidate(candidate):
                    await self._client_peer.candidate(candidate)
                case Refused(code, message):
                    await self._refused(code, message)
                case SendText(text=text, channel="ws"):
                    await self._send_on_socket(text)
                case other:
                    todo.extend(await self._take(other))

    def _received_on_channel(self, text: str) -> None:
        self._perform(self._receive(text, "dc"))

    def _receive(self, text: str, channel: Channel) -> Sequence[Any]:
        self.frames.add(channel, "server", text)
        return self._signaling.receive(text, channel)

    def _transport_state(self, state: str) -> None:
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed") and not self._over:
            if not self._signaling.live:
                self._fail(self.errors.failed(f"the media transport {state}"))
            elif self.switched or self._socket is None:
                self._lost("transport")
            else:
                self._timers.after(_TRANSPORT_GRACE, lambda: self._lost("transport"))

    @property
    def _over(self) -> bool:
        return self.closed.is_set() or self._signaling.over or self._leaving

    def _socket_closed(self, socket: SignalingSocket) -> None:
        if self.switched or self._over:
            return
        self.close_code, self.close_reason = socket.close_code, socket.close_reason
        if self._signaling.live:
            self._lost("server")
        else:
            said = f"{self.close_code} {self.close_reason}".strip()
            self._fail(self.errors.failed(f"the server closed the connection: {said}"))

    async def _refused(self, code: str, message: str) -> None:
        """Take the reason from the close that usually follows a refusal without one."""
        if not message and self._socket is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._socket.wait_closed(), REASON_GRACE)
            self.close_code, self.close_reason = self._socket.close_code, self._socket.close_reason
        self._fail(self.errors.rejected(code, message or self.close_reason))

    # What goes out.

    def _perform(self, actions: Sequence[Any]) -> None:
        """Do what needs no waiting; what does is run in the background."""
        for action in actions:
            match action:
                case SendText("dc", text):
                    self.frames.add("dc", "client", text)
                    if self._client_peer is not None:
                        self._client_peer.send(text)
                case SendText("ws", text):
                    self._tasks.spawn(self._send_on_socket(text))
                case Started():
                    if self._started is not None and not self._started.done():
                        self._started.set_result(None)
                case SwitchSoon(label):
                    self._timers.after(self._switch_delay, partial(self._switch, label))
                case Ended(reason):
                    self.close_reason = reason
                    self._ended_by_server = True
                    self._tasks.spawn(self._end_politely())
                case other:
                    self._note(other)

    async def _send_on_socket(self, text: str) -> None:
        self.frames.add("ws", "client", text)
        if self._socket is not None:
            await self._socket.send(text)

    def _switch(self, label: str) -> None:
        # A busy machine may hear that the channel is open later than the server's message, which says so on the socket.
        if self._client_peer is not None:
            self._client_peer.when_channel_open(lambda: self._leave_for(label))

    def _leave_for(self, label: str) -> None:
        if not self._over:
            self._tasks.spawn(self._leave_socket(self._signaling.switch(label)))

    async def _leave_socket(self, actions: Sequence[Any]) -> None:
        for action in actions:
            assert isinstance(action, SendText)
            await self._send_on_socket(action.text)
            if self._socket is not None:
                await self._socket.close()

    # How it ends.

    async def _end_politely(self) -> None:
        await self._finish()
        self._lost("server")

    def _lost(self, by: EndedBy) -> None:
        if not self.closed.is_set():
            self._end(by)
            self._tearing_down = asyncio.ensure_future(self._tear_down())

    def _fail(self, error: StreamError) -> None:
        if self._started is not None and not self._started.done():
            self._started.set_exception(error)
        else:
            self.close_reason = self.close_reason or str(error)
            self._lost("transport")

    def _end(self, by: EndedBy) -> None:
        if not self.closed.is_set():
            self.ended_by = "server" if by == "transport" and self._ended_by_server else by
            self.closed.set()
            self._connected.set()  # so that whoever waits for it looks again
            self._woken()

    async def _tear_down(self) -> None:
        self._timers.cancel()
        if self._socket is not None:
            await self._socket.close()
            if self.close_code is None:
                self.close_code = self._socket.close_code
        if self._client_peer is not None:
            await self._client_peer.close()
        if self._http is not None:
            await self._http.close()
        await self._release()
        self._timers.cancel()
        self._tasks.cancel()
        await self._tasks.drain(_CLOSE_TIMEOUT)
        if self._started is not None:
            if not self._started.done():
                self._started.set_exception(self.errors.failed(self.close_reason or f"the {self.role} was closed"))
            if not self._started.cancelled():
                self._started.exception()  # seen, whether or not the start still waits for it
