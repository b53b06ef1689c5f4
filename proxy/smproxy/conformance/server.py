"""The server under check: its endpoint, its sessions, and media connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from smproxy.conformance.exchange import Exchange, NotJudged, Protocol
from smproxy.conformance.http import Http, HttpAnswer, NoAnswer, resolve
from smproxy.conformance.media_peer import MediaPeer
from smproxy.conformance.sdp import OPUS, VP8, Media, ReadDescription, read, write_fragment, write_offer

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
#: Seconds for a name that the row before has used to be free again.
_FREE_AGAIN = 5.0
#: Statuses that may be about the session before.
_BUSY = frozenset({409, 429, 503})
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTIONS = 5
#: Failures in a row after which a server is not asked again, so that a check of one that hangs has an end.
_TRIES = 2


class CheckedSession:
    """A session that the server made."""

    def __init__(self, server: ServerUnderCheck, answer: HttpAnswer, offer: str) -> None:
        self.answer = answer
        self.offer = read(offer)
        self.description: ReadDescription = read(answer.text)
        self.deleted = False
        self._server = server
        self.url = resolve(answer.url, answer.header("location"))

    @property
    def tag(self) -> str:
        """The entity tag of its ICE session; empty when the server gave none."""
        return self.answer.header("etag")

    async def request(
        self, method: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a request to the session's URL.

        Raises:
            NotJudged: the server did not say where the session is.
        """
        if not self.url:
            raise NotJudged("the server did not say where its session is (no Location that is a URL)")
        return await self._server.http.request(method, self.url, body=body, headers=headers)

    async def patch(self, body: str, *, tag: str | None, content_type: str = FRAGMENT) -> HttpAnswer:
        """Send a PATCH; ``tag`` goes into If-Match."""
        headers = {"Content-Type": content_type}
        if tag:
            headers["If-Match"] = tag
        return await self.request("PATCH", body=body, headers=headers)

    def trickle(self, *candidates: str) -> str:
        """Write a fragment with candidates of the client."""
        mid = self.offer.sections[0].value("mid") if self.offer.sections else "0"
        return write_fragment(self.offer.value("ice-ufrag"), self.offer.value("ice-pwd"), candidates, mid=mid)

    async def delete(self, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Send a DELETE."""
        self.deleted = True
        return await self.request("DELETE", headers=headers)


class ServerUnderCheck:
    """The server under check. One is made for a whole run; after each row it is cleaned up."""

    def __init__(
        self, protocol: Protocol, url: str, http: Http, *, rng: random.Random, timeout: float, consent: float
    ) -> None:
        self.protocol = protocol
        self.url = url
        self.http = http
        self.rng = rng
        #: Seconds for an answer, or for a media connection.
        self.timeout = timeout
        #: Seconds in which a server must notice that its client has vanished.
        self.consent = consent
        #: Statuses of redirections that POST got.
        self.redirections: list[int] = []
        #: What the whole run showed: does the server take trickled candidates, does it restart ICE.
        self.known: dict[str, bool] = {}
        #: Why the last attempts at a session failed, one after the other; and how many DELETEs were not answered.
        self._failures: list[str] = []
        self._unanswered = 0
        #: What a DELETE got that did not end its session; such a session keeps its name.
        self.failed_delete = ""
        self._sample: tuple[CheckedSession, Exchange] | None = None
        self._open: list[CheckedSession] = []
        self._peers: list[MediaPeer] = []

    @property
    def direction(self) -> str:
        """The direction that an offer has."""
        return "sendonly" if self.protocol == "whip" else "recvonly"

    def offer(self, *media: Media, setup: str = "actpass") -> str:
        """Write an offer: of audio and video, or of what is given."""
        sections = media or (Media("audio", [OPUS], self.direction), Media("video", [VP8], self.direction))
        return write_offer(sections, rng=self.rng, setup=setup)

    async def post(
        self,
        body: str | None,
        *,
        content_type: str = SDP,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> HttpAnswer:
        """POST to the endpoint; redirections are noted and followed, whatever their status."""
        url = self.url
        for _ in range(_MAX_REDIRECTIONS):
            answer = await self.http.request(
                "POST", url, body=body, headers={"Content-Type": content_type, **(headers or {})}, token=token
            )
            url = resolve(url, answer.header("location"))
            if answer.status not in _REDIRECTIONS or not url:
                break
            self.redirections.append(answer.status)
        if answer.successful:
            self._open.append(CheckedSession(self, answer, body or ""))
            if self._sample is None:
                self._sample = (self._open[-1], self.http.exchanges[-1])
        return answer

    async def sample(self, *, described: bool = True) -> CheckedSession:
        """Return the first session that was made, for rows that look at an answer only.

        It may be over.

        Raises:
            NotJudged: none can be made, or its answer has no description although one is needed.
        """
        if self._sample is None:
            try:
                await self.open()
            except NotJudged:
                if self._sample is None:
                    raise
        assert self._sample is not None
        session, exchange = self._sample
        if described and not session.description.sections:
            raise NotJudged("the answer has no description")
        if exchange not in self.http.exchanges:
            self.http.exchanges.append(exchange)
        return session

    async def open(self, offer: str | None = None) -> CheckedSession:
        """Make a session for a row that is about something else; any 2xx with a description will do.

        Raises:
            NotJudged: the server makes none; after some failures in a row it is not asked again.
        """
        if len(self._failures) >= _TRIES:
            raise NotJudged(self._failures[-1])
        offer = offer if offer is not None else self.offer()
        reason = ""
        try:
            answer = await self.retried(lambda: self.post(offer))
            if not answer.successful:
                reason = f"POST got {answer}"
            elif not read(answer.text).sections:
                reason = "the answer has no description"
        except NoAnswer as exc:
            reason = str(exc)
        if reason:
            self._failures.append(f"no session could be made: {reason}")
            raise NotJudged(self._failures[-1])
        self._failures.clear()
        return self._open[-1]

    async def try_offer(self, offer: str) -> HttpAnswer:
        """POST an offer that the server may refuse, when it takes a good one and the name is free.

        Raises:
            NotJudged: it does not, or it is not.
        """
        await self.accepts()
        answer = await self.retried(lambda: self.post(offer))
        if answer.status in _BUSY:
            raise NotJudged(f"POST got {answer}, as while the session before has the name")
        return answer

    async def accepts(self) -> None:
        """Make sure that the server takes a good offer, before a row is glad of a bad one's refusal.

        Raises:
            NotJudged: it refuses that, too.
        """
        if "accepts" not in self.known:
            kept = len(self.http.exchanges)
            session = await self.open()
            with contextlib.suppress(NoAnswer, NotJudged):
                await session.delete()
            self.known["accepts"] = True
            del self.http.exchanges[kept:]

    async def retried(self, post: Callable[[], Awaitable[HttpAnswer]]) -> HttpAnswer:
        """Post, and post again while the session of the row before still holds the name."""
        deadline = asyncio.get_running_loop().time() + _FREE_AGAIN
        while True:
            answer = await post()
            if answer.status not in _BUSY or asyncio.get_running_loop().time() > deadline:
                return answer
            await asyncio.sleep(0.25)

    def peer(self) -> MediaPeer:
        """Make a client for media; it is closed after the row."""
        made = MediaPeer(self.protocol)
        self._peers.append(made)
        return made

    async def connect(self) -> tuple[MediaPeer, CheckedSession]:
        """Make a session and bring its media connection up.

        Raises:
            NotJudged: that did not come about.
        """
        peer = self.peer()
        session = await self.open(await peer.offer())
        try:
            await peer.accept(session.answer.text, self.timeout)
        except (ValueError, TimeoutError) as exc:
            raise NotJudged(f"no media connection came about: {exc or 'it took too long'}") from None
        return peer, session

    async def visible(self, session: CheckedSession) -> None:
        """Make sure that the session's URL shows whether it is there.

        Raises:
            NotJudged: it does not.
        """
        if not (await session.request("GET")).successful:
            raise NotJudged("the session's URL does not answer GET with success, so it does not show when it is gone")

    async def gone(self, session: CheckedSession, seconds: float) -> bool:
        """Return whether the session is gone within so many seconds, as its URL shows."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (await session.request("GET")).successful:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.25)
        session.deleted = True
        return True

    @property
    def local(self) -> bool:
        """Whether the host is this machine, or one of a network without public names."""
        host = urlsplit(self.url).hostname or ""
        return host == "localhost" or "." not in host.strip(".") or host.startswith(("127.", "10.", "192.168."))

    async def clean(self) -> None:
        """End what the row has left behind. Does not raise for what the server does."""
        kept = len(self.http.exchanges)
        for session in self._open:
            if not session.deleted and session.url and self._unanswered < _TRIES:
                try:
                    answer = await session.delete()
                    if not answer.successful:
                        self.failed_delete = f"DELETE got {answer}"
                except NoAnswer as exc:
                    self._unanswered += 1
                    self.failed_delete = str(exc)
        self._open.clear()
        for peer in self._peers:
            await peer.close()
        self._peers.clear()
        del self.http.exchanges[kept:]
