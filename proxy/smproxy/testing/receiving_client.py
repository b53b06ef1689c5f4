"""What a headless subscriber receives: pictures and counts, and waiting for them."""

from __future__ import annotations

import asyncio
import ssl as tls
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smproxy.testing.counts import ReceivedCount
from smproxy.testing.dialogue import Dialogue
from smproxy.testing.errors import SubscribeError, SubscribeTimeout
from smproxy.testing.picture_check import PictureCheck, PictureReport, Spread
from smproxy.testing.signaling_client import SignalingClient
from smproxy.testing.subscriber_waiting import Condition, Waiters

if TYPE_CHECKING:
    from smproxy.testing.media import Kind


class ReceivingClient(SignalingClient):
    """A client that receives media, and looks at it if it decodes.

    ``on_picture`` is called with each decoded ``av.VideoFrame``, ``on_sound`` with each ``av.AudioFrame``.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        url: str,
        *,
        ssl: tls.SSLContext | None,
        timeout: float,
        switch_delay: float,
        user_agent: str | None,
        decode: bool,
        on_picture: Callable[[Any], None] | None,
        on_sound: Callable[[Any], None] | None,
    ) -> None:
        super().__init__(dialogue, url, ssl=ssl, timeout=timeout, switch_delay=switch_delay, user_agent=user_agent)
        #: The last decoded ``av.VideoFrame``.
        self.picture: Any = None
        #: Milliseconds from the start until the first picture was decoded.
        self.first_picture_ms: float | None = None
        self._picture_check = PictureCheck()
        self._decode = decode
        self._on_picture = on_picture
        self._on_sound = on_sound
        self._waiters = Waiters()

    @property
    @abstractmethod
    def statistics(self) -> dict[Kind, ReceivedCount]:
        """What came so far, by ``audio`` and ``video``."""

    @property
    def picture_report(self) -> PictureReport:
        """Latency, freezes, black pictures, and the offset of the sound, of all that was decoded.

        Raises:
            SubscribeError: This subscriber does not decode.
        """
        return self._check().report(time.monotonic())

    @property
    def decodes(self) -> bool:
        """Whether frames are decoded."""
        return self._decode

    async def expect_latency(
        self,
        *,
        p50: float | None = None,
        p95: float | None = None,
        most: float | None = None,
        pictures: int = 30,
        timeout: float | None = None,
    ) -> Spread:
        """Fail unless the next pictures come within so many seconds; return their percentiles.

        The publisher must have the pattern ``clock`` and this machine's clock.

        Raises:
            AssertionError: They came later; the message has the percentiles.
            SubscribeTimeout: So many pictures with a time did not come.
            SubscribeError: The stream ended before, or this subscriber does not decode.
        """
        check = self._check()
        before = check.timed

        def came() -> int:
            return check.timed - before

        await self._until(
            lambda: came() >= pictures, timeout, lambda: f"{came()} of {pictures} pictures with a time came"
        )
        spread = Spread.of(list(check.latencies)[-pictures:])
        assert spread is not None
        for name, wanted in (("p50", p50), ("p95", p95), ("most", most)):
            got = float(getattr(spread, name))
            if wanted is not None and got > wanted:
                raise AssertionError(f"{name} of the latency is {got:.3f} s, and was to be {wanted:g} s: {spread}")
        return spread

    async def expect_no_freeze(self, longest: float = 0.5, *, seconds: float = 3.0) -> None:
        """Fail when there is no new picture for longer than ``longest`` within the next ``seconds``.

        Raises:
            AssertionError: The picture stood still.
            SubscribeError: The stream ended before, or this subscriber does not decode.
        """
        check, loop = self._check(), asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            seen = check.pictures

            def changed(seen: int = seen) -> bool:
                return check.pictures != seen

            try:
                await self._until(changed, min(longest, left), lambda: "no picture came")
            except SubscribeTimeout:
                if left > longest:
                    raise AssertionError(f"the picture stood still for more than {longest:g} s") from None

    def _check(self) -> PictureCheck:
        if not self._decode:
            raise SubscribeError("this subscriber does not decode: pictures cannot be checked")
        return self._picture_check

    async def wait_for_frames(self, count: int = 1, timeout: float | None = None, *, kind: Kind = "video") -> None:
        """Wait until ``count`` more frames have come; decoded ones, if this subscriber decodes.

        Raises:
            SubscribeTimeout: They did not come in time; the message tells how many did.
            SubscribeError: The stream ended before.
        """

        def came() -> int:
            track = self.statistics.get(kind, ReceivedCount())
            return track.decoded if self._decode else track.frames

        before = came()
        await self._until(
            lambda: came() >= before + count, timeout, lambda: f"{came() - before} of {count} {kind} frames came"
        )

    async def wait_for_picture(self, predicate: Callable[[Any], object] = bool, timeout: float | None = None) -> Any:
        """Return the next decoded picture for which ``predicate`` is true.

        Raises:
            SubscribeTimeout: None came in time.
            SubscribeError: The stream ended before.
        """
        seen = self.picture
        found: list[Any] = []

        def good() -> bool:
            nonlocal seen
            if self.picture is not seen and not found:
                seen = self.picture
                if predicate(seen):
                    found.append(seen)
            return bool(found)

        await self._until(good, timeout, lambda: "no picture was as wanted")
        return found[0]

    async def wait_until(self, condition: Condition, timeout: float | None = None) -> None:
        """Wait until a condition on this subscriber is true, such as ``lambda: s.invokes``.

        Looked at after each event.

        Raises:
            SubscribeTimeout: It did not become true in time.
            SubscribeError: The stream ended before.
        """
        await self._until(condition, timeout, lambda: "what was waited for did not come")

    def picture_png(self) -> bytes:
        """Return the last picture as a PNG file.

        Raises:
            SubscribeError: There is none yet.
        """
        if self.picture is None:
            raise SubscribeError("no picture has come yet" if self._decode else "this subscriber does not decode")
        from smproxy.testing.png import png

        return png(self.picture)

    def _frame(self, kind: Kind, frame: Any) -> None:
        if kind == "audio":
            self._check().sound(frame, time.time())
            self._hand_on("on_sound", self._on_sound, frame)
        elif kind == "video":
            self.picture = frame
            self._check().picture(frame, time.monotonic(), time.time())
            if self.first_picture_ms is None:
                self.first_picture_ms = self.frames.elapsed_ms
            self._hand_on("on_picture", self._on_picture, frame)
        self._waiters.changed()

    def _hand_on(self, name: str, taker: Callable[[Any], None] | None, frame: Any) -> None:
        if taker is None:
            return
        try:
            taker(frame)
        except Exception as error:
            self._fail(SubscribeError(f"{name} raised {type(error).__name__}: {error}"))

    # waiting

    async def _until(self, condition: Condition, timeout: float | None, what: Callable[[], str]) -> None:
        seconds = self._timeout if timeout is None else timeout
        met = False

        def met_or_closed() -> bool:
            nonlocal met
            met = met or bool(condition())
            return met or self.closed.is_set()

        try:
            await self._waiters.until(met_or_closed, seconds)
        except TimeoutError:
            raise SubscribeTimeout(f"{what()} within {seconds:g} s") from None
        if not met:
            raise SubscribeError(f"the stream ended, {what()}: {self.close_reason or self.ended_by}")

    def _switch(self, label: str) -> None:
        super()._switch(label)
        self._waiters.changed()

    def _woken(self) -> None:
        self._waiters.changed()
