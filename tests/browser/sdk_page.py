"""A browser tab with the vendor's SDK, driven from a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from playwright.async_api import Page, WebSocket

from tests.browser.firefox import FirefoxTab
from tests.helpers import scaled


class WsFrame(NamedTuple):
    """A frame on one of the page's signaling sockets."""

    sender: Literal["client", "server"]
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a promise of the SDK: ``reason`` is what it rejected with, ``events`` the events so far."""

    resolved: bool
    value: Any
    reason: Any
    ms: int
    events: list[str]


class SdkPage:
    """A tab of one of the test pages. Of a tab in Firefox the sockets and frames are not known."""

    def __init__(self, page: Page | FirefoxTab) -> None:
        self.page = page
        #: URLs of the page's sockets, in the order of opening.
        self.ws_urls: list[str] = []
        #: Frames of all of them but the hook socket.
        self.ws_frames: list[WsFrame] = []
        #: What the page threw without catching it.
        self.errors: list[str] = []
        page.on("websocket", self._on_websocket)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def open(self, url: str) -> None:
        """Load the page and its SDK."""
        await self.page.goto(url)
        await self.page.wait_for_function("window.publish && window.red5prosdk", timeout=scaled(10) * 1000)

    async def publish(self, config: dict[str, Any], timeout: float = 15.0) -> Outcome:
        """Run the SDK's ``init`` and ``publish``."""
        return self._outcome(
            await self.page.evaluate("([config, ms]) => publish(config, ms)", [config, scaled(timeout) * 1000])
        )

    async def autoscale_and_publish(self, rest_url: str, scope: str, config: dict[str, Any]) -> Outcome:
        """Ask the Stream Manager where to go, as the hand-written pages do, then publish there."""
        arguments = [rest_url, scope, config, scaled(15) * 1000]
        return self._outcome(await self.page.evaluate("(args) => autoscaleAndPublish(...args)", arguments))

    async def unpublish(self, timeout: float = 10.0) -> Outcome:
        """Run the SDK's ``unpublish``."""
        return self._outcome(await self.page.evaluate("(ms) => unpublish(ms)", scaled(timeout) * 1000))

    async def events(self) -> list[str]:
        """Return the types of the SDK's events so far."""
        return await self.page.evaluate("events.map((event) => event.type)")

    async def wait_event(self, type: str, timeout: float = 10.0) -> dict[str, Any]:
        """Wait for an event of the SDK; fails with the page's words when it does not come."""
        return await self.page.evaluate("([type, ms]) => waitEvent(type, ms)", [type, scaled(timeout) * 1000])

    async def stats(self) -> dict[str, Any]:
        """Return the sums of the browser's ``outbound-rtp`` statistics."""
        return await self.page.evaluate("stats()")

    async def wait_bytes(self, more_than: int = 0, timeout: float = 10.0) -> int:
        """Wait until the browser has sent more than so many bytes, and some of each kind of media; return how many."""
        return await self.page.evaluate("([least, ms]) => waitBytes(least, ms)", [more_than, scaled(timeout) * 1000])

    async def listen(self, url: str) -> None:
        """Open the page's own socket for hooks."""
        await self.page.evaluate("(url) => listen(url)", url)

    async def hooks(self) -> list[str]:
        """Return what came on the socket for hooks."""
        return await self.page.evaluate("hooks")

    async def close_tab(self) -> None:
        """Close the tab as a user does: nothing of the page runs any more."""
        await self.page.close(run_before_unload=False)

    def _on_websocket(self, socket: WebSocket) -> None:
        self.ws_urls.append(socket.url)
        if urlsplit(socket.url).path.rstrip("/").endswith("/webhook"):
            return
        socket.on("framesent", lambda text: self.ws_frames.append(WsFrame("client", str(text))))
        socket.on("framereceived", lambda text: self.ws_frames.append(WsFrame("server", str(text))))

    @staticmethod
    def _outcome(result: dict[str, Any]) -> Outcome:
        return Outcome(**result)
