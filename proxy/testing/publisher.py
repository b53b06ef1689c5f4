"""A headless publisher that speaks the vendor SDK's protocol with real media."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit

import yarl

from proxy.testing.background import Background
from proxy.testing.dialogue import (
    Action,
    Channel,
    Dialogue,
    Ended,
    MakeOffer,
    Mode,
    Refused,
    Say,
    Started,
    State,
    Stopped,
    SwitchSoon,
    TakeAnswer,
    TakeCandidate,
)
from proxy.testing.errors import PublishError, PublishRejected, PublishTimeout
from proxy.testing.frame_log import FrameLog
from proxy.testing.media import Codec, Kind
from proxy.testing.media_file import MediaFile
from proxy.testing.peer import PublishingPeer, TrackCount
from proxy.testing.publishing_tracks import make_tracks
from proxy.testing.signaling_socket import SignalingSocket
from proxy.testing.signaling_url import ParamValue, signaling_url

EndedBy: TypeAlias = Literal["client", "server", "transport"]

#: How long after a refusal the close that gives its reason is waited for.
_REASON_GRACE = 0.5
#: How long a lost transport may wait for the close of the socket that explains it.
_TRANSPORT_GRACE = 0.3


class Publisher:
    """Publishes one stream from this process, as a page with the vendor SDK does.

    With ``data_channel`` it behaves like SDK 11 (signaling moves to a data channel ``switch_delay`` seconds after the start),
    without it like 7.2.2. The SDK's 500 ms open poll is left out. By default the media is a moving pattern and a tone,
    encoded once per process; ``media`` names a file to loop instead (tracks that it lacks are not offered); with
    ``send_media=False`` the transport comes up and RTCP flows, but no RTP.

    ``async with`` publishes on entry and unpublishes on exit. A publisher is used once.

    Args:
        url: For instance ``ws://127.0.0.1:5080/streammanager``; the query is added as the SDK does.
        stream: Name of the stream, which becomes the parameter ``id``.
        params: The SDK's ``connectionParams``.
        audio, video: Which tracks to send.
        media: A file that PyAV can read. VP8 or H264 (as ``codec`` says) and Opus pass through, all else is encoded anew.
        mode: As in the SDK's ``streamMode``.
        key_framerate: Milliseconds, only told to the server; ``None`` leaves it out.
        bypass_available: Do not ask whether the name is in use (SDK 10 and later can).
        ssl: For ``wss``, when the default trust will not do.
        timeout: Seconds for ``publish()``, and again for ``unpublish()``.
    """

    def __init__(
        self,
        url: str | yarl.URL,
        *,
        stream: str,
        params: Mapping[str, ParamValue] | None = None,
        audio: bool = True,
        video: bool = True,
        media: str | Path | None = None,
        codec: Codec = "VP8",
        data_channel: bool = True,
        mode: Mode = "live",
        key_framerate: int | None = 3000,
        bypass_available: bool = False,
        ssl: tls.SSLContext | None = None,
        timeout: float = 10.0,
        switch_delay: float = 1.0,
        send_media: bool = True,
    ) -> None:
        if not (audio or video or data_channel):
            raise ValueError("nothing to publish: audio, video and data_channel are all off")
        self.stream = stream
        #: Set when the stream has ended, whoever ended it; see ``ended_by``.
        self.closed = asyncio.Event()
        #: ``server``: it closed the socket or said so on the data channel; ``transport``: the media connection was lost.
        self.ended_by: EndedBy | None = None
        #: Code and reason of the socket's close frame; 1006 when there was none.
        self.close_code: int | None = None
        self.close_reason = ""
        #: The last frames, oldest first.
        self.frames = FrameLog()
        #: Milliseconds from the call of ``publish()`` until it resolved.
        self.publish_ms: float | None = None
        self._url = signaling_url(str(url), stream, params)
        self._ssl = ssl
        self._timeout = timeout
        self._switch_delay = switch_delay
        self._media = media
        self._codec: Codec = codec
        self._kinds: set[Kind] = {kind for kind, on in (("audio", audio), ("video", video)) if on}  # type: ignore[misc]
        self._data_channel = data_channel
        self._send_media = send_media
        self._dialogue = Dialogue(stream, data_channel, mode, key_framerate, bypass_available)
        self._socket: SignalingSocket | None = None
        self._peer: PublishingPeer | None = None
        self._file: MediaFile | None = None
        self._started: asyncio.Future[None] | None = None
        self._stopped = asyncio.Event()
        self._connected = asyncio.Event()
        self._background = Background()
        self._tearing_down: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Publisher {self.stream!r} {self.state}>"

    @property
    def state(self) -> str:
        """``connecting``, ``asking``, ``offering``, ``publishing``, ``live``, ``stopping``, ``over`` or ``closed``."""
        return "closed" if self.closed.is_set() else self._dialogue.state.name.lower()

    @property
    def switched(self) -> bool:
        """Whether signaling has moved to the data channel."""
        return self._dialogue.switched

    @property
    def statistics(self) -> dict[str, TrackCount]:
        """What was sent so far, by ``audio`` and ``video``: RTP packets and payload bytes. Stays after the end."""
        return self._peer.counts() if self._peer is not None else {}

    async def publish(self) -> None:
        """Publish; return when the server says that the stream starts and the media transport is up.

        Raises:
            PublishRejected: The server refused: parameters, authentication, name in use, no origin, or an error of the stream.
            PublishTimeout: Something did not come in time.
            PublishError: It could not be reached, or broke off.
        """
        if self._started is not None:
            raise PublishError("a publisher is used once; make a new one")
        self._started = asyncio.get_running_loop().create_future()
        self.frames.restart()
        try:
            async with asyncio.timeout(self._timeout):
                await self._prepare_peer()
                self._socket = await SignalingSocket.open(self._url, self._ssl)
                self._background.run(self._read(self._socket))
                await self._started
                await self._connected.wait()
                if self.closed.is_set():
                    raise PublishError(f"the stream ended while it was started: {self.close_reason or self.ended_by}")
        except TimeoutError:
            waiting_for = self._dialogue.awaited if self._socket is not None else "connection"
            await self.close()
            raise PublishTimeout(f"no {waiting_for} within {self._timeout:g} s") from None
        except BaseException:
            await self.close()
            raise
        self.publish_ms = self.frames.elapsed_ms

    async def unpublish(self) -> None:
        """End the stream: ask, wait for the server's "stopping", tear down. Does nothing for a stream that has ended.

        Raises:
            PublishTimeout: The server did not confirm in time; everything is torn down all the same.
        """
        confirmed = True
        if self._dialogue.state is State.LIVE and not self.closed.is_set():
            self._perform(self._dialogue.unpublish())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), self._timeout)
            confirmed = self._stopped.is_set()
        await self.close()
        if not confirmed:
            raise PublishTimeout(f"the server did not confirm the unpublish within {self._timeout:g} s")

    async def close(self) -> None:
        """Close the socket and the peer connection without unpublishing, as a closed tab does. Safe to call again."""
        self._end("client")
        if self._tearing_down is None:
            self._tearing_down = asyncio.ensure_future(self._tear_down())
        await asyncio.shield(self._tearing_down)

    def vanish(self, tcp: Literal["abort", "silent"] = "abort") -> None:
        """Be gone, as after a lost network: nothing is sent or read any more, and no goodbye is said.

        With ``abort`` the TCP connection is reset; with ``silent`` it stays open and nobody answers on it until ``close()``.
        """
        if self.closed.is_set():
            return
        self._end("client")
        self._background.cancel()
        if self._peer is not None:
            self._peer.mute()
        if tcp == "silent" and self._socket is not None:
            self._socket.silence()
            return
        if self._socket is not None:
            self._socket.abort()
        self._tearing_down = asyncio.ensure_future(self._tear_down())

    async def __aenter__(self) -> Self:
        await self.publish()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.unpublish()
        except PublishError:
            if error is None:
                raise

    # How it starts.

    async def _prepare_peer(self) -> None:
        tracks, self._file = await make_tracks(self._kinds, self._codec, media=self._media, silent=not self._send_media)
        self._peer = PublishingPeer(
            tracks,
            codec=self._codec,
            channel="red5pro" if self._data_channel else None,
            ipv6=urlsplit(self._url).hostname not in ("127.0.0.1", "localhost"),
            on_state=self._transport_state,
            on_text=lambda text: self._perform(self._hear(text, "dc")),
        )

    # What comes in.

    async def _read(self, socket: SignalingSocket) -> None:
        try:
            async for text in socket.texts():
                await self._heard_on_socket(text)
        except Exception as error:
            self._fail(PublishError(f"{type(error).__name__}: {error}"))
            return
        self._socket_closed(socket)

    async def _heard_on_socket(self, text: str) -> None:
        peer = self._peer
        assert peer is not None
        todo = deque(self._hear(text, "ws"))
        while todo:
            match todo.popleft():
                case MakeOffer():
                    todo.extend(self._dialogue.offered(*await peer.offer()))
                case TakeAnswer(sdp):
                    try:
                        await peer.answer(sdp)
                    except ValueError as error:
                        self._fail(PublishError(f"the server's answer cannot be used: {error}"))
                        return
                    todo.extend(self._dialogue.answer_applied())
                case TakeCandidate(candidate):
                    await peer.candidate(candidate)
                case Refused(code, message):
                    await self._refused(code, message)
                case Say(text=said, channel="ws"):
                    await self._say_on_socket(said)
                case other:
                    self._perform([other])

    def _hear(self, text: str, channel: Channel) -> list[Action]:
        self.frames.add(channel, "server", text)
        return self._dialogue.heard(text, channel)

    def _transport_state(self, state: str) -> None:
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed") and not self._over:
            if self._dialogue.state not in (State.LIVE, State.STOPPING):
                self._fail(PublishError(f"the media transport {state}"))
            elif self.switched or self._socket is None:
                self._lost("transport")
            else:
                self._background.later(_TRANSPORT_GRACE, lambda: self._lost("transport"))

    @property
    def _over(self) -> bool:
        return self.closed.is_set() or self._dialogue.state is State.OVER

    def _socket_closed(self, socket: SignalingSocket) -> None:
        if self.switched or self._over:
            return
        self.close_code, self.close_reason = socket.close_code, socket.close_reason
        if self._dialogue.state in (State.LIVE, State.STOPPING):
            self._lost("server")
        else:
            said = f"{self.close_code} {self.close_reason}".strip()
            self._fail(PublishError(f"the server closed the connection: {said}"))

    async def _refused(self, code: str, message: str) -> None:
        """Take the reason from the close that usually follows a refusal, which itself must not carry one."""
        if not message and self._socket is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._socket.wait_closed(), _REASON_GRACE)
            self.close_code, self.close_reason = self._socket.close_code, self._socket.close_reason
        self._fail(PublishRejected(code, message or self.close_reason))

    # What goes out.

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Say("dc", text):
                    self.frames.add("dc", "client", text)
                    if self._peer is not None:
                        self._peer.send(text)
                case Say("ws", text):
                    self._background.run(self._say_on_socket(text))
                case Started():
                    if self._started is not None and not self._started.done():
                        self._started.set_result(None)
                case SwitchSoon(label):
                    self._background.later(self._switch_delay, partial(self._switch, label))
                case Stopped():
                    self._stopped.set()
                case Ended(reason):
                    self.close_reason = reason
                    self._background.run(self._end_politely())
                case _:
                    raise AssertionError(f"{action} belongs to the socket")

    async def _say_on_socket(self, text: str) -> None:
        self.frames.add("ws", "client", text)
        if self._socket is not None:
            await self._socket.send(text)

    def _switch(self, label: str) -> None:
        if self._peer is not None and self._peer.channel_open:
            self._background.run(self._leave_socket(self._dialogue.switch(label)))

    async def _leave_socket(self, actions: list[Action]) -> None:
        for action in actions:
            assert isinstance(action, Say)
            await self._say_on_socket(action.text)
            if self._socket is not None:
                await self._socket.close()

    # How it ends.

    async def _end_politely(self) -> None:
        """The server ended the stream and the unpublish is on its way: give it a moment, then tear down."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), _REASON_GRACE)
        self._lost("server")

    def _lost(self, by: EndedBy) -> None:
        if not self.closed.is_set():
            self._end(by)
            self._tearing_down = asyncio.ensure_future(self._tear_down())

    def _fail(self, error: PublishError) -> None:
        if self._started is not None and not self._started.done():
            self._started.set_exception(error)
        else:
            self.close_reason = self.close_reason or str(error)
            self._lost("transport")

    def _end(self, by: EndedBy) -> None:
        if not self.closed.is_set():
            self.ended_by = by
            self.closed.set()
            # So that whoever waits for one of these looks again.
            self._connected.set()
            self._stopped.set()

    async def _tear_down(self) -> None:
        self._background.cancel_timers()
        if self._peer is not None:
            self._peer.counts()
        if self._socket is not None:
            await self._socket.close()
            if self.close_code is None:
                self.close_code = self._socket.close_code
        if self._peer is not None:
            await self._peer.close()
        if self._file is not None:
            await self._file.close()
        await self._background.stop()
        if self._started is not None:
            if not self._started.done():
                self._started.set_exception(PublishError("the publisher was closed"))
            if not self._started.cancelled():
                self._started.exception()  # seen, whether or not publish() still waits for it
