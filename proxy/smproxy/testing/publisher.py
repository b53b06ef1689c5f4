"""A headless publisher that speaks the vendor SDK's protocol with real media."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import yarl

from smproxy.testing.counts import TrackCount
from smproxy.testing.dialogue import DialogueState
from smproxy.testing.errors import PublishError, PublishRejected, PublishTimeout
from smproxy.testing.http_session import endpoint_url
from smproxy.testing.publisher_dialogue import ApplyAnswer, CreateOffer, Mode, PublisherDialogue, Stopped
from smproxy.testing.signaling_client import REASON_GRACE, Errors, SignalingClient
from smproxy.testing.signaling_url import ParamValue, signaling_url

if TYPE_CHECKING:
    from smproxy.testing.media import Codec, Kind
    from smproxy.testing.media_file import MediaFile
    from smproxy.testing.publisher_peer import PublishingPeer
    from smproxy.testing.publishing_tracks import Pattern


class Publisher(SignalingClient):
    """Publishes one stream from this process, as a page with the vendor SDK does.

    With ``data_channel`` it behaves like SDK 11 (signaling moves to a data channel ``switch_delay`` seconds after the start),
    without it like 7.2.2. The SDK's 500 ms open poll is left out. By default the media is a moving pattern and a tone,
    encoded once per process; with ``pattern="counter"`` each picture carries a number that ``frame_number`` reads at the other
    end, and is encoded for this publisher; ``media`` names a file to loop instead (tracks that it lacks are not offered); with
    ``send_media=False`` the transport comes up and RTCP flows, but no RTP.

    ``async with`` publishes on entry and unpublishes on exit. A publisher is used once.

    With ``transport="whip"`` it publishes over WHIP (RFC 9725): a POST, and a DELETE at the end. ``send`` and ``mute`` go over
    the data channel then.

    Args:
        url: For instance ``ws://127.0.0.1:5080/streammanager``; the query is added as the SDK does. For WHIP the same, or the
            ``http`` or ``https`` URL of an endpoint.
        stream: Name of the stream, which becomes the parameter ``id``.
        params: The SDK's ``connectionParams``.
        audio, video: Which tracks to send.
        media: A file that PyAV can read. VP8 or H264 (as ``codec`` says) and Opus pass through, all else is encoded anew.
        pattern: What is seen without ``media``.
        mode: As in the SDK's ``streamMode``.
        key_framerate: Milliseconds, only told to the server; ``None`` leaves it out.
        bypass_available: Do not ask whether the name is in use (SDK 10 and later can).
        ssl: For ``wss``, when the default trust will not do.
        timeout: Seconds for ``publish()``, and again for ``unpublish()``.
        transport: ``websocket``, or ``whip``.
        token: Bearer token for WHIP, the parameter ``token`` for the WebSocket.
        user_agent: What the client says that it is.
    """

    errors: ClassVar[Errors] = Errors(PublishError, PublishRejected, PublishTimeout)
    role: ClassVar[str] = "publisher"

    def __init__(
        self,
        url: str | yarl.URL,
        *,
        stream: str,
        params: Mapping[str, ParamValue] | None = None,
        audio: bool = True,
        video: bool = True,
        media: str | Path | None = None,
        pattern: Pattern = "test",
        codec: Codec = "VP8",
        data_channel: bool = True,
        mode: Mode = "live",
        key_framerate: int | None = 3000,
        bypass_available: bool = False,
        ssl: tls.SSLContext | None = None,
        timeout: float = 10.0,
        switch_delay: float = 1.0,
        send_media: bool = True,
        transport: Literal["websocket", "whip"] = "websocket",
        token: str | None = None,
        user_agent: str | None = None,
    ) -> None:
        if not (audio or video or data_channel):
            raise ValueError("nothing to publish: audio, video and data_channel are all off")
        self._dialogue = PublisherDialogue(stream, data_channel, mode, key_framerate, bypass_available)
        if transport == "whip":
            recording = {} if mode == "live" else {"mode": mode}
            target = endpoint_url(str(url), "whip", stream, {**(params or {}), **recording})
        else:
            target = signaling_url(str(url), stream, {**(params or {}), **({} if token is None else {"token": token})})
        super().__init__(
            self._dialogue, target, ssl=ssl, timeout=timeout, switch_delay=switch_delay, user_agent=user_agent
        )
        #: ``websocket`` or ``whip``.
        self.transport = transport
        if transport == "whip":
            self._use_http(target, token)
        self.stream = stream
        #: Milliseconds from the call of ``publish()`` until it resolved.
        self.publish_ms: float | None = None
        self._media = media
        self._pattern: Pattern = pattern
        self._codec: Codec = codec
        self._kinds: set[Kind] = {kind for kind, on in (("audio", audio), ("video", video)) if on}  # type: ignore[misc]
        self._data_channel = data_channel
        self._send_media = send_media
        self._peer: PublishingPeer | None = None
        self._file: MediaFile | None = None
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Publisher {self.stream!r} {self.state}>"

    @property
    def notes(self) -> list[str]:
        """What of the file ``media`` is not sent as it is, in sentences; known once it is published."""
        return [] if self._file is None else list(self._file.notes)

    async def round_trip_time(self) -> float | None:
        """Return the round trip time of the server's latest RTCP report, in seconds.

        ``None`` while there is none.
        """
        return await self._peer.round_trip_time() if self._peer is not None else None

    @property
    def statistics(self) -> dict[str, TrackCount]:
        """What was sent so far, by ``audio`` and ``video``: RTP packets and payload bytes.

        Stays after the end.
        """
        return self._peer.counts() if self._peer is not None else {}

    async def publish(self) -> None:
        """Publish; return when the server says that the stream starts and the media transport is up.

        Raises:
            PublishRejected: The server refused: parameters, authentication, name in use, no origin, or an error of the stream.
            PublishTimeout: Something did not come in time.
            PublishError: It could not be reached, or broke off.
        """
        await self._start()
        self.publish_ms = self.frames.elapsed_ms

    def send(self, method: str, data: Any) -> None:
        """Send data to the stream's subscribers, as the SDK's ``send``.

        Subscribers see a call of ``method``.
        """
        self._send({"send": {"method": method, "data": data}})

    def mute(self, *, audio: bool | None = None, video: bool | None = None) -> None:
        """Mute tracks or go on with them, as the SDK does; ``None`` changes nothing.

        Like the SDK it tells the server, which withholds the media from subscribers and recordings; it is sent all the same.
        """
        for key, muted in (("muteAudio", audio), ("muteVideo", video)):
            if muted is not None:
                self._send({"mute": {key: muted}})

    async def unpublish(self) -> None:
        """End the stream: ask, wait for the server's "stopping", tear down.

        Does nothing for a stream that has ended.

        Raises:
            PublishTimeout: The server did not confirm in time; everything is torn down all the same.
        """
        confirmed = True
        if self._dialogue.state is DialogueState.LIVE and not self.closed.is_set():
            if self._http is not None:
                confirmed = await self._delete()
            else:
                self._perform(self._dialogue.unpublish())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), self._timeout)
                confirmed = self._stopped.is_set()
        await self.close()
        if not confirmed:
            raise PublishTimeout(f"the server did not confirm the unpublish within {self._timeout:g} s")

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

    def _send(self, message: dict[str, Any]) -> None:
        if self._dialogue.state is not DialogueState.LIVE or self.closed.is_set():
            raise PublishError(f"the stream is not live but {self.state}")
        if self._http is not None and not self._data_channel:
            raise PublishError("over WHIP without a data channel nothing can be sent but media")
        self._perform(self._dialogue.send(message))

    async def _prepare(self) -> PublishingPeer:
        from smproxy.testing.publisher_peer import PublishingPeer
        from smproxy.testing.publishing_tracks import make_tracks

        tracks, self._file = await make_tracks(
            self._kinds,
            self._codec,
            media=self._media,
            silent=not self._send_media,
            pattern=self._pattern,
            stream=self.stream,
        )
        self._peer = PublishingPeer(
            tracks,
            codec=self._codec,
            channel="red5pro" if self._data_channel else None,
            ipv6=self._ipv6,
            on_state=self._transport_state,
            on_text=self._received_on_channel,
        )
        return self._peer

    async def _http_offer(self) -> str:
        assert self._peer is not None
        return await self._peer.complete_offer()

    async def _take_http_answer(self, sdp: str) -> None:
        assert self._peer is not None
        try:
            await self._peer.answer(sdp)
        except ValueError as error:
            raise PublishError(f"the server's answer cannot be used: {error}") from error

    async def _take(self, action: Any) -> Sequence[Any]:
        assert self._peer is not None
        match action:
            case CreateOffer():
                return self._dialogue.offered(*await self._peer.offer())
            case ApplyAnswer(sdp):
                try:
                    await self._peer.answer(sdp)
                except ValueError as error:
                    raise PublishError(f"the server's answer cannot be used: {error}") from error
                return self._dialogue.answer_applied()
        self._perform([action])
        return []

    def _note(self, action: Any) -> None:
        assert isinstance(action, Stopped), f"{action} belongs to the socket"
        self._stopped.set()

    async def _finish(self) -> None:
        """The unpublish with which the client answers is on its way: give it a moment."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), REASON_GRACE)

    async def _release(self) -> None:
        if self._file is not None:
            await self._file.close()

    def _woken(self) -> None:
        self._stopped.set()
