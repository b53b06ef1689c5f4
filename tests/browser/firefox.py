"""Firefox, driven over WebDriver BiDi: Playwright drives only a build of its own, and Debian's is what people have.

Firefox itself is the BiDi server (W3C WebDriver BiDi; ``--remote-debugging-port``), so no driver stands between. Of the
protocol the tests need to open a tab, load a page and run JavaScript in it; values travel as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.helpers import scaled

PREFERENCES: dict[str, str | int | bool] = {
    # A camera and a microphone that are none, without a question.
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    # Host candidates of 127.0.0.1, as addresses and not as mDNS names: a sandbox may have no other interface.
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Nothing leaves the machine.
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "browser.topsites.contile.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
}

_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")


class FirefoxMissing(Exception):
    """There is no Firefox, or it does not start."""


class BidiError(Exception):
    """A command of WebDriver BiDi failed; the message is the page's or the browser's."""


class Bidi:
    """A BiDi connection: commands with their results, and events."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: list[Callable[[str, dict[str, Any]], None]] = []
        self._reader = asyncio.create_task(self._read())

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; returns its result. Raises :class:`BidiError`."""
        number = next(self._numbers)
        result = self._pending[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        return await asyncio.wait_for(result, scaled(60))

    def listen(self, listener: Callable[[str, dict[str, Any]], None]) -> None:
        """Call ``listener(method, params)`` for each event."""
        self._listeners.append(listener)

    async def close(self) -> None:
        await self._socket.close()
        await self._reader

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                message = json.loads(text)
                if message["type"] == "event":
                    for listener in self._listeners:
                        listener(message["method"], message["params"])
                elif (result := self._pending.pop(message.get("id"), None)) is not None and not result.done():
                    if message["type"] == "success":
                        result.set_result(message["result"])
                    else:
                        result.set_exception(BidiError(f"{message['error']}: {message['message']}"))
        for result in self._pending.values():
            result.cancel()


class FirefoxTab:
    """A tab, with the methods of Playwright's ``Page`` that the SDK pages use."""

    def __init__(self, bidi: Bidi, context: str, user_context: str) -> None:
        self._bidi = bidi
        self._context = context
        self._user_context = user_context
        self._on_error: list[Callable[[str], None]] = []
        bidi.listen(self._event)

    @classmethod
    async def open(cls, bidi: Bidi) -> FirefoxTab:
        """Open a tab in a container and a window of its own: what is in the background is drawn once a second."""
        user_context = (await bidi.command("browser.createUserContext"))["userContext"]
        created = await bidi.command("browsingContext.create", type="window", userContext=user_context)
        return cls(bidi, created["context"], user_context)

    def on(self, event: str, listener: Callable[[Any], None]) -> None:
        """Listen for ``pageerror``. (BiDi has no events of WebSockets; the server's transcript has the frames.)"""
        if event == "pageerror":
            self._on_error.append(listener)

    async def goto(self, url: str) -> None:
        """Load a page."""
        await self._bidi.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def reload(self) -> None:
        """Load the page again."""
        await self._bidi.command("browsingContext.reload", context=self._context, wait="complete")

    async def evaluate(self, expression: str, argument: Any = None) -> Any:
        """Return the value of an expression, or of a function called with ``argument``. Raises :class:`BidiError`."""
        body = (
            f"const value = ({expression}); return typeof value === 'function' ? value({json.dumps(argument)}) : value;"
        )
        call = await self._bidi.command(
            "script.callFunction",
            functionDeclaration=f"async () => JSON.stringify(await (() => {{ {body} }})() ?? null)",
            target={"context": self._context},
            awaitPromise=True,
        )
        if call["type"] == "exception":
            raise BidiError(call["exceptionDetails"]["text"])
        return json.loads(call["result"]["value"])

    async def wait_for_function(self, expression: str, timeout: float) -> None:
        """Wait, frame by frame, until an expression is true; ``timeout`` in milliseconds."""
        look = f"new Promise((resolve) => setTimeout(() => resolve(Boolean({expression})), 20))"
        async with asyncio.timeout(timeout / 1000):
            while not await self.evaluate(look):
                pass

    async def close(self, *, run_before_unload: bool = False) -> None:
        """Close the tab."""
        await self._bidi.command("browsingContext.close", context=self._context, promptUnload=run_before_unload)

    async def discard(self) -> None:
        """Close the tab, if it is open, and forget its container."""
        with contextlib.suppress(BidiError):
            await self._bidi.command("browser.removeUserContext", userContext=self._user_context)

    def _event(self, method: str, params: dict[str, Any]) -> None:
        if (
            method == "log.entryAdded"
            and params["type"] == "javascript"
            and params["source"].get("context") == self._context
            and params["level"] == "error"
        ):
            for listener in self._on_error:
                listener(params["text"])


class Firefox:
    """A headless Firefox with a profile of its own. Made by :meth:`start`, ended by :meth:`stop`."""

    def __init__(
        self, process: asyncio.subprocess.Process, bidi: Bidi, drain: asyncio.Task[None], version: str
    ) -> None:
        self._process = process
        self._bidi = bidi
        self._drain = drain
        self.version = version

    @classmethod
    async def start(cls, profile: Path) -> Firefox:
        """Start it with a new profile in the directory.

        Raises:
            FirefoxMissing: it is not installed, or says nothing of BiDi in time.
        """
        path = next(
            filter(None, map(shutil.which, filter(None, (os.environ.get("FIREFOX"), "firefox-esr", "firefox")))), None
        )
        if path is None:
            raise FirefoxMissing("no Firefox: install it (Debian: apt-get install firefox-esr) or set FIREFOX")
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines))
        process = await asyncio.create_subprocess_exec(
            path,
            *("--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(scaled(30)):
                address = await _address(process.stderr)
        except TimeoutError:
            process.kill()
            raise FirefoxMissing(f"{path} does not listen for WebDriver BiDi") from None
        drain = asyncio.create_task(_discard(process.stderr))
        bidi = Bidi(await connect(f"{address}/session", max_size=None, ping_interval=None))
        session = await bidi.command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        await bidi.command("session.subscribe", events=["log.entryAdded"])
        return cls(process, bidi, drain, session["capabilities"]["browserVersion"])

    async def open_tab(self) -> FirefoxTab:
        """Open a tab."""
        return await FirefoxTab.open(self._bidi)

    async def stop(self) -> None:
        """Close it."""
        with contextlib.suppress(BidiError, ConnectionClosed, asyncio.CancelledError):
            await self._bidi.command("browser.close")
        try:
            await asyncio.wait_for(self._process.wait(), scaled(10))
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._bidi.close()
        await self._drain


async def _address(stderr: asyncio.StreamReader) -> str:
    while line := await stderr.readline():
        if found := _LISTENING.search(line):
            return found[1].decode()
    raise FirefoxMissing("Firefox ended before it listened for WebDriver BiDi")


async def _discard(stderr: asyncio.StreamReader) -> None:
    while await stderr.read(65536):
        pass
