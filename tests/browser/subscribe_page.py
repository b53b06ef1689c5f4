"""A browser tab that watches with the vendor's SDK, driven from a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page

from tests.browser.firefox import FirefoxTab
from tests.browser.sdk_page import WsFrame
from tests.helpers import scaled


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What became of ``init`` and ``subscribe``; ``index`` is the subscriber's number in its page."""

    index: int
    resolved: bool
    value: Any
    reason: Any
    ms: int
    events: list[str]


class SubscribePage:
    """A tab of one of the watching pages, with any number of subscribers. Of one in Firefox the frames are not known."""

    def __init__(self, page: Page | FirefoxTab) -> None:
        self.page = page
        #: Frames of all the page's sockets.
        self.ws_frames: list[WsFrame] = []
        #: Sockets of the page that were closed.
        self.closed_sockets = 0
        #: What the page threw without catching it.
        self.errors: list[str] = []
        page.on("websocket", self._on_websocket)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def open(self, url: str) -> None:
        """Load the page and its SDK."""
        await self.page.goto(url)
        await self.page.wait_for_function("window.subscribe && window.red5prosdk", timeout=scaled(10) * 1000)

    async def subscribe(self, config: dict[str, Any], timeout: float = 15.0) -> Subscribed:
        """Run the SDK's ``init`` and ``subscribe`` in a subscriber of its own."""
        arguments = [config, scaled(timeout) * 1000]
        return Subscribed(**await self.page.evaluate("(args) => subscribe(...args)", arguments))

    async def unsubscribe(self, index: int = 0) -> None:
        """Run the SDK's ``unsubscribe``."""
        await self.page.evaluate("(args) => unsubscribe(...args)", [index, scaled(10) * 1000])

    async def events(self, index: int = 0) -> list[str]:
        """Return the types of the SDK's events so far."""
        return [event["type"] for event in await self.page.evaluate("(index) => eventsOf(index)", index)]

    async def wait_event(self, type: str, index: int = 0, *, count: int = 1, data: str = "true") -> list[Any]:
        """Wait for so many events of a type for whose data the JavaScript expression is true; return their data."""
        chosen = f"eventsOf({index}).filter(({{type, data}}) => type === {type!r} && ({data}))"
        try:
            events = await self.until(f"[{chosen}].find((events) => events.length >= {count})")
        except AssertionError:
            raise AssertionError(f"no {type} with {data} among {await self.events(index)}") from None
        return [event["data"] for event in events]

    async def until(self, expression: str, timeout: float = 15.0) -> Any:
        """Wait until a JavaScript expression, which may use ``await``, is true, and return its value."""
        value = await self.page.evaluate("(args) => until(...args)", [expression, scaled(timeout) * 1000])
        assert value, f"not within {scaled(timeout):g} s: {expression}"
        return value

    async def shown(self, index: int = 0, *, mark: int, after: int = -1, timeout: float = 15.0) -> int:
        """Wait for a picture of the stream with this mark and a number above ``after``; return the number."""
        code = f"[shown({index})].find((code) => code?.mark === {mark} && code.number > {after})"
        return int((await self.until(code, timeout))["number"])

    async def numbers(self, index: int = 0) -> list[int]:
        """Return the numbers of the pictures that were shown, in that order, once there are two of them."""
        return list(await self.until(f"[numbersOf({index})].find((numbers) => numbers.length > 1)"))

    async def received(self, index: int = 0) -> dict[str, Any]:
        """Return the sums of the browser's ``inbound-rtp`` statistics."""
        return await self.page.evaluate("(index) => received(index)", index)

    async def video(self, index: int = 0) -> dict[str, Any]:
        """Return ``currentTime``, ``videoWidth`` and ``videoHeight`` of the video element."""
        return await self.page.evaluate("(index) => videoOf(index)", index)

    def _on_websocket(self, socket: Any) -> None:
        socket.on("framesent", lambda text: self.ws_frames.append(WsFrame("client", str(text))))
        socket.on("framereceived", lambda text: self.ws_frames.append(WsFrame("server", str(text))))
        socket.on("close", self._on_close)

    def _on_close(self, _: Any) -> None:
        self.closed_sockets += 1
