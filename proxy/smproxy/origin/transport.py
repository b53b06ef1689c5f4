"""One client's transport: ICE, DTLS and the data channel, whichever way the media goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiortc import RTCDataChannel

from smproxy.log_fields import About
from smproxy.origin.aiortc_adapter import MAX_CHANNEL_BUFFER, Link
from smproxy.origin.aiortc_dtls import Identity
from smproxy.origin.ice import Credentials, IceLite
from smproxy.origin.sdp_section import Section
from smproxy.tasks import Tasks

_log = logging.getLogger(__name__)

#: Seconds after which the sockets that the client did not choose are closed.
_SETTLED = 5.0
#: Seconds between looks at whether the data channel is flushed.
_FLUSH_LOOK = 0.005


class TransportEvents(Protocol):
    """Events of a transport."""

    @property
    def about(self) -> About:
        """The session, for the log."""

    def transport_up(self) -> None:
        """ICE and DTLS are up."""

    def transport_failed(self, reason: str) -> None:
        """The DTLS handshake failed; ``reason`` completes a sentence."""

    def channel_opened(self, label: str) -> None:
        """The data channel for signaling is open."""

    def channel_message(self, text: str | bytes) -> None:
        """A message came on it."""

    def peer_left(self) -> None:
        """The client closed its peer connection."""


class MediaTransport:
    """The media transport of one client.

    Made, then ``connect`` as soon as the client's side is known; ended by ``close``.

    ``ready`` is called when the keys are there, and is to say ``transport_up`` and let media flow.
    """

    def __init__(
        self,
        events: TransportEvents,
        ready: Callable[[Link], Awaitable[None]],
        *,
        identity: Identity,
        monotonic: Callable[[], float],
        rng: random.Random,
        tasks: Tasks,
    ) -> None:
        self.ice = IceLite(None, rng, monotonic)
        self.link: Link | None = None
        self.closed = False
        #: ICE and DTLS are up.
        self.connected = False
        self._events = events
        self._ready = ready
        self._identity = identity
        self._monotonic = monotonic
        self._tasks = tasks
        self._fingerprints: list[tuple[str, str]] = []
        self._data: Section | None = None
        self._nominated = False
        self._starting: asyncio.Task[None] | None = None
        self._channel: RTCDataChannel | None = None
        self._up_at: float | None = None
        #: When ICE had a pair and DTLS was done, seconds, monotonic.
        self.nominated_at: float | None = None
        self.secured_at: float | None = None
        self.ice.on_nominated = self._was_nominated
        self.ice.on_moved = self._client_moved

    def connect(
        self, remote: Credentials, fingerprints: list[tuple[str, str]], dtls_role: str, data: Section | None
    ) -> None:
        """Take the client's side.

        ``dtls_role`` is ours, ``data`` the client's section for data channels.
        """
        self.ice.remote = remote
        self._fingerprints = fingerprints
        self._data = data
        self.link = Link(self.ice, self._identity, dtls_role, self._left)
        if self._nominated:
            self._starting = self._tasks.spawn(self._start(self.link))

    def _was_nominated(self) -> None:
        self._nominated = True
        self.nominated_at = self._monotonic()
        if self.link is not None:
            self._starting = self._tasks.spawn(self._start(self.link))

    async def _start(self, link: Link) -> None:
        failure = await link.start(self._fingerprints)
        if failure is not None:
            if not self.closed:
                self._events.transport_failed(failure)
            return
        if self.closed:
            return
        self.connected = True
        self._up_at = self.secured_at = self._monotonic()
        await self._ready(link)
        if self._data is not None and not self.closed:
            await link.open_data(self._data, self._channel_came, self._events.about)

    def _client_moved(self) -> None:
        _log.info("the client moved to another address: its NAT has given it a new port", extra=self._events.about)

    def _left(self) -> None:
        if not self.closed and self.connected:
            self._events.peer_left()

    def settle(self, now: float) -> None:
        """Close the sockets that the client did not choose, once it has had the time to choose.

        In seconds, monotonic.
        """
        if self._up_at is not None and now - self._up_at > _SETTLED:
            self._up_at = None
            self.ice.close_unused()

    def send_rtcp(self, packet: bytes) -> None:
        """Send RTCP, when there is a connection."""
        if self.link is not None and self.connected and not self.closed:
            self.link.send_rtcp(packet)

    # the data channel -------------------------------------------------------------------------------------------------

    def _channel_came(self, channel: RTCDataChannel) -> None:
        if self._channel is None and not self.closed:
            # The SDK makes one channel; what else a page opens is not signaling.
            self._channel = channel
            channel.on("message", self._channel_message)
            self._events.channel_opened(channel.label)

    def _channel_message(self, text: str | bytes) -> None:
        if self.closed:
            return
        self.ice.confirm()
        self._events.channel_message(text)

    def send(self, text: str) -> bool:
        """Send on the data channel; False when there is none, or its client does not read."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > MAX_CHANNEL_BUFFER:
            return False
        try:
            channel.send(text)
        except ValueError:
            return False
        return True

    async def flush(self, seconds: float) -> None:
        """Wait until what was sent on the data channel has arrived.

        At most so long: the client may be gone.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.sleep(_FLUSH_LOOK)  # aiortc takes a turn of the loop to queue it
                while self.link is not None and not self.link.flushed:  # noqa: ASYNC110 - aiortc tells nobody
                    await asyncio.sleep(_FLUSH_LOOK)

    async def close(self) -> None:
        """Send a DTLS alert (close_notify) and close the sockets. Does not raise."""
        if self.closed:
            return
        self.closed = True
        if self._starting is not None and not self._starting.done() and self._starting is not asyncio.current_task():
            self._starting.cancel()
        try:
            if self.link is not None:
                await self.link.stop()
        except Exception:
            _log.exception("closing a peer failed", extra=self._events.about)
        finally:
            self.ice.close()
            if self._channel is not None:
                self._channel.remove_all_listeners()
            # Nothing is to refer back to this: a session ends too fast for the cycle collector.
            self._starting = self._channel = None
            del self._events, self._ready
