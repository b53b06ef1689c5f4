"""Playing a recorded client again, and comparing the server's messages.

What a frame says and the order count, not the time. Where media was up in the transcript, a real peer connection takes the
place of the recorded one; where it was not, the recorded descriptions are sent as they are, so that an offer which a
server refused is refused again.
"""

from __future__ import annotations

import asyncio
import json
import ssl as tls
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from smproxy.signaling.messages import Candidate
from smproxy.testing.replay_peer import ReplayPeer
from smproxy.testing.session_transcript import (
    OF_MEDIA,
    RecordedFrame,
    SessionTranscript,
    TranscriptError,
    Via,
    client_says,
    read_object,
    server_says,
)
from smproxy.testing.signaling_socket import SignalingSocket

_CLOSED = "the end of the connection"


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that was not as recorded. ``str()`` is one line."""

    line: int
    after: str
    recorded: str
    got: str

    def __str__(self) -> str:
        return f"line {self.line}: after {self.after} the transcript has {self.recorded}, but {self.got}"


@dataclass(slots=True)
class ReplayResult:
    """The result of a replay. ``skipped`` is what was not played, as text."""

    difference: Difference | None = None
    sent: int = 0
    compared: int = 0
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class _Heard:
    """Something from the server: a text, or the end of the connection."""

    via: Via
    text: str = ""
    close: int | None = None
    closed: bool = False


class Replay:
    """Plays one transcript once.

    ``url`` is dialed; ``timeout``: seconds for each frame of the server.

    ``media``: use a real peer connection; ``None``: as the transcript suggests.
    """

    def __init__(
        self,
        transcript: SessionTranscript,
        url: str,
        *,
        media: bool | None = None,
        timeout: float = 10.0,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        self._frames = transcript.frames
        self._media = transcript.had_media if media is None else media
        self._url = url
        self._ssl = ssl
        self._timeout = timeout
        self._heard: asyncio.Queue[_Heard] = asyncio.Queue()
        self._early: list[str] = []
        self._candidates: deque[Candidate] = deque()
        self._offer = ""
        self._after = "the connection"
        self._left = False
        self._over = False
        self._socket: SignalingSocket | None = None
        ipv6 = urlsplit(url).hostname not in ("127.0.0.1", "localhost")
        self._peer = ReplayPeer(ipv6=ipv6, on_text=lambda text: self._heard.put_nowait(_Heard("channel", text)))

    async def run(self) -> ReplayResult:
        """Play to the end, or to the first difference.

        Raises:
            StreamError: the server cannot be reached, or refuses the upgrade.
            TranscriptError: an answer is recorded where the server offers nothing that can be answered.
        """
        outcome = ReplayResult()
        self._socket = await SignalingSocket.open(self._url, self._ssl)
        reading = asyncio.create_task(self._read(self._socket))
        try:
            for frame in _in_order(self._frames):
                if not self._playable(frame, outcome):
                    break
                outcome.difference = await self._play(frame, outcome)
                self._over |= frame.closed
                if outcome.difference is not None:
                    break
        except TimeoutError:
            outcome.difference = Difference(frame.line, self._after, client_says(frame.text), self._nothing)
        finally:
            await self._socket.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._peer.close()
        return outcome

    @property
    def _nothing(self) -> str:
        return f"nothing came within {self._timeout:g} s"

    def _playable(self, frame: RecordedFrame, outcome: ReplayResult) -> bool:
        if frame.omitted:
            outcome.skipped = f"from line {frame.line} on: {frame.omitted} frames are missing there"
        elif not self._media and (frame.via == "channel" or "switchChannel" in frame.message):
            outcome.skipped = f"from line {frame.line} on: without media there is no data channel"
        elif self._over and frame.via == "socket":
            outcome.skipped = f"from line {frame.line} on: the client came back on another connection"
        return not outcome.skipped

    async def _play(self, frame: RecordedFrame, outcome: ReplayResult) -> Difference | None:
        if frame.sender == "client":
            outcome.sent += await self._say(frame)
            return None
        if not frame.closed and (server_says(frame.text) is None or (frame.of_media and not self._media)):
            return None
        outcome.compared += 1
        return await self._expect(frame)

    # What the client said.

    async def _say(self, frame: RecordedFrame) -> int:
        """Send what the recorded client sent; return how many frames that are now."""
        assert self._socket is not None
        if frame.closed:
            self._left = True
            await self._socket.close()
            return 0
        texts = [frame.text]
        if self._media:
            texts = await self._with_own_media(frame)
        if texts and client_says(texts[0]) != "handleCandidate":
            self._after = client_says(frame.text)
        for text in texts:
            if frame.via == "channel":
                self._peer.send(text)
            else:
                await self._socket.send(text)
        return len(texts)

    async def _with_own_media(self, frame: RecordedFrame) -> list[str]:
        message = frame.message
        if "handleOffer" in message:
            sdp, candidates = await self._peer.offer(_sdp(message))
            self._candidates = deque(candidates)
            return [_with_sdp(message, sdp)]
        if "handleAnswer" in message:
            sdp, candidates = await self._answer(frame)
            self._candidates = deque(candidates)
            return [_with_sdp(message, sdp)]
        if "handleCandidate" in message:
            return self._own_candidates(message)
        if "switchChannel" in message or frame.via == "channel":
            async with asyncio.timeout(self._timeout):
                while not self._peer.channel_open:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
        return [frame.text]

    async def _answer(self, frame: RecordedFrame) -> tuple[str, Sequence[Candidate]]:
        try:
            return await self._peer.answer(self._offer)
        except ValueError as error:
            raise TranscriptError(
                f"line {frame.line}: the recorded answer follows no offer that can be used: {error}"
            ) from None

    def _own_candidates(self, message: dict[str, Any]) -> list[str]:
        """All of our own in place of the first that was recorded; its end of candidates as it was."""
        name = message["handleCandidate"]
        texts = [
            json.dumps({"handleCandidate": name, "data": {"candidate": msgspec.to_builtins(each)}})
            for each in self._candidates
        ]
        self._candidates.clear()
        data = message.get("data")
        recorded = data.get("candidate") if isinstance(data, dict) else None
        if not (isinstance(recorded, dict) and recorded.get("candidate")):
            texts.append(json.dumps(message))
        return texts

    # What the server says.

    async def _expect(self, frame: RecordedFrame) -> Difference | None:
        recorded = _CLOSED if frame.closed else _via(frame.via, str(server_says(frame.text)))
        if recorded in self._early:
            self._early.remove(recorded)
            return None
        while True:
            heard = None
            with suppress(TimeoutError):
                heard = await asyncio.wait_for(self._heard.get(), self._timeout)
            if heard is None:
                return Difference(frame.line, self._after, recorded, self._nothing)
            if heard.closed and self._left:
                continue  # the socket was left for the data channel
            if heard.closed:
                if frame.closed and frame.close == heard.close:
                    return None
                wanted = f"a close with {_code(frame.close)}" if frame.closed else recorded
                return Difference(
                    frame.line, self._after, wanted, f"the server closed the connection with {_code(heard.close)}"
                )
            said = server_says(heard.text)
            if (problem := await self._apply(heard.text)) is not None:
                return Difference(frame.line, self._after, recorded, problem)
            if said is None:
                continue
            said = _via(heard.via, said)
            if said == recorded:
                return None
            if _of_media(heard.text):
                self._early.append(said)
                continue
            return Difference(frame.line, self._after, recorded, f"the server said {said}")

    async def _apply(self, text: str) -> str | None:
        """Let the peer connection know; return what was wrong with it."""
        if not self._media:
            return None
        data = read_object(text).get("data")
        if not isinstance(data, dict):
            return None
        description = data.get("sdp")
        if isinstance(description, dict) and description.get("type") == "answer":
            try:
                await self._peer.answered(str(description.get("sdp")))
            except ValueError as error:
                return f"the server's answer cannot be used: {error}"
        elif isinstance(description, dict):
            self._offer = str(description.get("sdp"))
        elif "candidate" in data:
            with suppress(msgspec.ValidationError):
                await self._peer.candidate(msgspec.convert(data["candidate"], Candidate))
        return None

    async def _read(self, socket: SignalingSocket) -> None:
        async for text in socket.texts():
            self._heard.put_nowait(_Heard("socket", text))
        self._heard.put_nowait(_Heard("socket", close=_known(socket.close_code), closed=True))


def _in_order(frames: Sequence[RecordedFrame]) -> list[RecordedFrame]:
    """Put frames about media behind the other frames of the server.

    They may come sooner or later, up to the client's next frame.
    """
    ordered: list[RecordedFrame] = []
    run: list[RecordedFrame] = []
    for frame in frames:
        if frame.sender == "server" and not frame.closed:
            run.append(frame)
            continue
        ordered += sorted(run, key=lambda each: each.of_media)
        ordered.append(frame)
        run = []
    return ordered + sorted(run, key=lambda each: each.of_media)


def _known(code: int | None) -> int | None:
    """Return the code of a Close frame; ``None`` when there was none (RFC 6455, 7.1.5)."""
    return None if code == 1006 else code


def _code(code: int | None) -> str:
    return "no close frame" if code is None else str(code)


def _via(via: Via, said: str) -> str:
    return said if via == "socket" else f"{said} on the data channel"


def _of_media(text: str) -> bool:
    data = read_object(text).get("data")
    return isinstance(data, dict) and data.get("code") in OF_MEDIA


def _sdp(message: dict[str, Any]) -> str:
    data = message.get("data")
    description = data.get("sdp") if isinstance(data, dict) else None
    return str(description.get("sdp", "")) if isinstance(description, dict) else ""


def _with_sdp(message: dict[str, Any], sdp: str) -> str:
    """Return a message with another description, all else as it was."""
    data = message.get("data")
    data = data if isinstance(data, dict) else {}
    description = data.get("sdp")
    description = description if isinstance(description, dict) else {"type": "offer"}
    return json.dumps(message | {"data": data | {"sdp": description | {"sdp": sdp}}}, ensure_ascii=False)
