"""A headless subscriber that speaks the vendor SDK's protocol and counts what it gets."""

from __future__ import annotations

import asyncio
import random
import ssl as tls
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import yarl

from smproxy.testing.counts import ReceivedCount
from smproxy.testing.errors import SubscribeError, SubscribeRejected, SubscribeTimeout
from smproxy.testing.http_session import endpoint_url
from smproxy.testing.receiving_client import ReceivingClient
from smproxy.testing.signaling_client import Errors
from smproxy.testing.signaling_url import ParamValue, signaling_url
from smproxy.testing.subscriber_dialogue import (
    ApplyOffer,
    CallResult,
    Invoke,
    Metadata,
    Sdk,
    SubscriberDialogue,
    Unpublished,
)

if TYPE_CHECKING:
    from smproxy.testing.media import Kind
    from smproxy.testing.subscriber_peer import SubscribingPeer

#: How many calls of the publisher are kept.
_INVOKES = 1000


class Subscriber(ReceivingClient):
    """Watches one stream from this process, as a page with the vendor SDK does.

    It behaves like SDK 11 (with ``data_channel`` signaling moves to a data channel ``switch_delay`` seconds after the start; an
    unpublished stream ends it), or with ``sdk=7`` like 7.2.2 (always on the socket; it stays when the stream is unpublished).
    The SDK's 500 ms open poll is left out.

    ``async with`` subscribes on entry and leaves on exit. A subscriber is used once. It is started when the server says so,
    which may be before the first picture: see ``wait_for_frames`` and ``wait_for_picture``.

    With ``transport="whep"`` it watches over WHEP: a POST with its own offer, and a DELETE at the end of ``async with``.

    Args:
        url: For instance ``ws://127.0.0.1:5080/streammanager``; the query is added as the SDK does. For WHEP the same, or the
            ``http`` or ``https`` URL of an endpoint.
        stream: Name of the stream.
        params: The SDK's ``connectionParams``.
        request_id: What the SDK calls ``subscriptionId``; by default ``subscriber-`` and up to four random hex digits.
        decode: Whether the frames are decoded. Without, packets and frames are counted and nothing can be seen.
        on_picture: Called with each decoded ``av.VideoFrame``.
        on_sound: Called with each decoded ``av.AudioFrame``.
        video_encoding, audio_encoding: Codecs that the SDK is configured to wish for, such as ``VP8``.
        bypass_available: Do not ask whether there is such a stream (SDK 10 and later can).
        ssl: For ``wss``, when the default trust will not do.
        timeout: Seconds for ``subscribe()``, and the default of everything that is waited for.
        rng: Where ids come from.
        transport: ``websocket``, or ``whep``.
        token: Bearer token for WHEP, the parameter ``token`` for the WebSocket.
        user_agent: What the client says that it is.
    """

    errors: ClassVar[Errors] = Errors(SubscribeError, SubscribeRejected, SubscribeTimeout)
    role: ClassVar[str] = "subscriber"

    def __init__(
        self,
        url: str | yarl.URL,
        *,
        stream: str,
        params: Mapping[str, ParamValue] | None = None,
        request_id: str | None = None,
        sdk: Sdk = 11,
        data_channel: bool = True,
        decode: bool = True,
        on_picture: Callable[[Any], None] | None = None,
        on_sound: Callable[[Any], None] | None = None,
        video_encoding: str | None = None,
        audio_encoding: str | None = None,
        bypass_available: bool = False,
        ssl: tls.SSLContext | None = None,
        timeout: float = 10.0,
        switch_delay: float = 1.0,
        rng: random.Random | None = None,
        transport: Literal["websocket", "whep"] = "websocket",
        token: str | None = None,
        user_agent: str | None = None,
    ) -> None:
        rng = rng or random.Random()  # noqa: S311 - ids, no secrets
        self.stream = stream
        self.request_id = request_id or f"subscriber-{rng.randrange(0x10000):x}"
        self._dialogue = SubscriberDialogue(
            stream,
            self.request_id,
            sdk=sdk,
            data_channel=data_channel,
            video_encoding=video_encoding,
            audio_encoding=audio_encoding,
            bypass_available=bypass_available,
            rng=rng,
        )
        if transport == "whep":
            target = endpoint_url(str(url), "whep", stream, {"id": self.request_id, **(params or {})})
        else:
            given = {} if token is None else {"token": token}
            target = signaling_url(str(url), self.request_id, {**(params or {}), **given})
        super().__init__(
            self._dialogue,
            target,
            ssl=ssl,
            timeout=timeout,
            switch_delay=switch_delay,
            user_agent=user_agent,
            decode=decode,
            on_picture=on_picture,
            on_sound=on_sound,
        )
        #: ``websocket`` or ``whep``.
        self.transport = transport
        if transport == "whep":
            self._use_http(target, token)
        #: Set when the server says that the stream was unpublished.
        self.unpublished = asyncio.Event()
        #: What the stream's metadata say, the latest of each key.
        self.metadata: dict[str, Any] = {}
        #: What the publisher has called with ``send``, oldest first.
        self.invokes: deque[Invoke] = deque(maxlen=_INVOKES)
        #: Milliseconds from the call of ``subscribe()`` until it resolved.
        self.subscribe_ms: float | None = None
        self._sdk = sdk
        self._data_channel = data_channel and sdk > 7
        self._peer: SubscribingPeer | None = None
        self._calls: dict[str, asyncio.Future[Any]] = {}

    def __repr__(self) -> str:
        return f"<Subscriber {self.stream!r} {self.state}>"

    @property
    def statistics(self) -> dict[Kind, ReceivedCount]:
        """What came so far, by ``audio`` and ``video``. Stays after the end."""
        return self._peer.counts() if self._peer is not None else {}

    @property
    def streaming_mode(self) -> str:
        """``Video/Audio``, ``Video``, ``Audio`` or ``Empty``, as the metadata say.

        A player assumes the first.
        """
        return str(self.metadata.get("streamingMode", "Video/Audio"))

    async def subscribe(self) -> None:
        """Subscribe; return when the stream has started and the media transport is up.

        Raises:
            SubscribeRejected: The server refused: parameters, authentication, no such stream, no origin, or an error of the
                stream.
            SubscribeTimeout: Something did not come in time.
            SubscribeError: It could not be reached, or broke off.
        """
        await self._start()
        self.subscribe_ms = self.frames.elapsed_ms

    async def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Call a method of the server's application, as the SDK's ``callServer``.

        Return what it returns.

        Raises:
            SubscribeError: It failed, with the server's words; or the stream ended, or is not there yet.
            SubscribeTimeout: There was no answer with something true in it, on which the SDK would wait for ever.
        """
        self._check_live()
        ticket, action = self._dialogue.call(method, arguments)
        future = self._calls[ticket] = asyncio.get_running_loop().create_future()
        self._perform([action])
        try:
            await self._until(future.done, timeout, lambda: f"{method} was not answered")
            return future.result()
        finally:
            future.cancel()
            del self._calls[ticket]
            self._dialogue.forget(ticket)

    def mute(self, *, audio: bool | None = None, video: bool | None = None) -> None:
        """Ask for no more of a track, or for it again; ``None`` leaves it as it is."""
        for key, muted in (("muteAudio", audio), ("muteVideo", video)):
            if muted is not None:
                self._send({"mute": {key: muted}})

    def standby(self, on: bool = True) -> None:
        """Ask for a pause of both tracks, or for its end, as the SDK's ``standby`` and ``awake``."""
        self._send({"standby": on} if self._sdk == 7 else {"mute": {"muteAudio": on, "muteVideo": on}})

    def send(self, method: str, data: Any) -> None:
        """Send data, as the SDK's ``send``."""
        self._send({"send": {"method": method, "data": data}})

    async def __aenter__(self) -> Self:
        await self.subscribe()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dialogue.live and not self.closed.is_set():
            await self._delete()
        await self.close()

    # What the conversation wants.

    async def _http_offer(self) -> str:
        assert self._peer is not None
        return await self._peer.offer_to_receive()

    async def _take_http_answer(self, sdp: str) -> None:
        assert self._peer is not None
        try:
            await self._peer.take_answer(sdp)
        except ValueError as error:
            raise SubscribeError(f"the server's answer cannot be used: {error}") from error

    async def _prepare(self) -> SubscribingPeer:
        from smproxy.testing.subscriber_peer import SubscribingPeer

        self._peer = SubscribingPeer(
            channel="red5pro" if self._data_channel else None,
            decode=self._decode,
            ipv6=self._ipv6,
            on_state=self._transport_state,
            on_text=self._received_on_channel,
            on_arrival=self._waiters.changed,
            on_frame=self._frame,
        )
        return self._peer

    async def _take(self, action: Any) -> Sequence[Any]:
        if isinstance(action, ApplyOffer):
            assert self._peer is not None
            try:
                answer = await self._peer.answer(action.sdp)
            except ValueError as error:
                raise SubscribeError(f"the server's offer cannot be used: {error}") from error
            return self._dialogue.answered(*answer)
        self._perform([action])
        return []

    def _note(self, action: Any) -> None:
        match action:
            case Metadata(data):
                self.metadata |= data
            case Invoke():
                self.invokes.append(action)
            case Unpublished():
                self.unpublished.set()
            case CallResult(ticket, data, error):
                future = self._calls.get(ticket)
                if future is not None and not future.done():
                    if error is None:
                        future.set_result(data)
                    else:
                        future.set_exception(SubscribeError(error))
            case _:
                raise AssertionError(f"{action} belongs to the socket")
        self._waiters.changed()

    def _check_live(self) -> None:
        if not self._dialogue.live or self.closed.is_set():
            raise SubscribeError(f"the subscriber is not live but {self.state}")

    def _send(self, message: dict[str, Any]) -> None:
        self._check_live()
        if self._http is not None and not self._data_channel:
            raise SubscribeError("over WHEP without a data channel nothing can be sent")
        self._perform(self._dialogue.send(message))
