"""WHIP sessions as RFC 9725 tells them: entity tags, ICE restarts, ends; and an origin's real table of them to compare with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from smproxy.origin.effects import Effect, Refuse, TakeOffer
from smproxy.origin.ice import Credentials, IceLite
from smproxy.origin.offer import InvalidOffer, read_offer
from smproxy.origin.streams import Streams
from smproxy.origin.whip.exchanges import HttpExchanges
from smproxy.origin.whip.publisher import WhipSignaling
from smproxy.signaling.http_exchange import SDP, SDP_FRAGMENT, HttpRequest, HttpResponse
from smproxy.signaling.sdp_fragment import read_fragment, write_fragment
from smproxy.signaling.whip_urls import read_whip_target

OFFER = (Path(__file__).parents[2] / "fixtures" / "offers" / "chromium-sdk11-socket.sdp").read_text()

NAMES = ("cam", "mic")


class SimulatedPeer:
    """A client's session at the origin: real signaling and a real ICE agent, without media."""

    def __init__(
        self,
        signaling: WhipSignaling,
        streams: Streams,
        rng: random.Random,
        over: Callable[[SimulatedPeer], None],
        attempt: str = "attempt",
    ) -> None:
        self.signaling = signaling
        self._streams = streams
        self.attempt = attempt
        self.ended = False
        self.transport: Any = None
        self._rng = rng
        self._over = over
        signaling.on_displaced = self.peer_left

    async def perform(self, effects: list[Effect]) -> None:
        """Perform what follows from a request."""
        for effect in effects:
            await asyncio.sleep(0)
            if isinstance(effect, Refuse):
                self.peer_left()
            elif isinstance(effect, TakeOffer):
                try:
                    offer = read_offer(effect.sdp)
                except InvalidOffer as error:
                    await self.perform(self.signaling.invalid_offer(error))
                    continue
                ice = IceLite(Credentials(offer.ufrag, offer.password), self._rng, lambda: 0.0)
                self.transport = SimpleNamespace(ice=ice, bundle_tag=offer.bundle_tag)
                await self.perform(self.signaling.answered("v=0 answer"))

    def channel_closed(self, *, lost: bool) -> None:
        """The POST is over."""

    def fail(self) -> None:
        """The origin failed."""
        raise AssertionError("the origin failed")

    async def delete(self) -> None:
        """Free the name, which takes its time, and end."""
        await asyncio.sleep(0)
        self.peer_left()

    def peer_left(self) -> None:
        """End."""
        if not self.ended:
            self.ended = True
            self.signaling.end()
            if self.signaling.stream is not None:
                self._streams.free("live", self.signaling.stream, self.signaling)
            # The origin forgets a session when its peer connection is closed, which takes its time.
            asyncio.get_running_loop().call_later(self._rng.choice((0.0, 0.0001)), self._over, self)


@dataclass
class Expected:
    """What the model knows of a session."""

    path: str
    name: str
    peer: SimulatedPeer
    etag: str
    client: tuple[str, str]
    tags: list[str] = field(default_factory=list)
    ended: bool = False
    deleted: bool = False


class WhipWorld:
    """An origin's table of sessions, clients that do what they like, and the model of what they are answered."""

    def __init__(self, seed: int) -> None:
        #: The chances of the step that is taken.
        self._rng = random.Random(seed)
        #: Nothing reaches the origin.
        self.down = False
        self._streams = Streams(self._rng.choice((None, 0.0)), lambda: 0.0)
        self._peers: list[SimulatedPeer] = []
        services: Any = SimpleNamespace(
            settings=SimpleNamespace(ice_servers=()),
            streams=self._streams,
            rng=random.Random(f"origin/{seed}"),
            report=lambda report: None,
            draining=False,
        )
        self._exchanges = HttpExchanges(services, _admit, self._open)
        self._sessions: list[Expected] = []
        self._tags: set[str] = set()
        self.log: list[str] = []

    def _open(self, signaling: Any, attempt: str | None, recording: bool) -> Any:
        rng = random.Random(self._rng.getrandbits(32))
        peer = SimulatedPeer(signaling, self._streams, rng, self._forget, attempt or "attempt")
        self._peers.append(peer)
        return peer

    def _forget(self, peer: SimulatedPeer) -> None:
        self._exchanges.forget(peer)  # type: ignore[arg-type]

    async def step(self, number: int) -> None:
        """Let one client do something that the number decides, and check the answer."""
        rng = self._rng = random.Random(number)
        await asyncio.sleep(0)
        live = [each for each in self._sessions if not each.ended]
        what = rng.choice(
            ("post", "trickle", "trickle", "restart", "restart", "broken", "delete", "delete", "lose", "other")
        )
        if what == "post" or not self._sessions:
            await self._post(rng.choice(NAMES))
            return
        session = rng.choice(live if live and rng.random() < 0.8 else self._sessions)
        self.log.append(f"{what} session {self._sessions.index(session)} of {session.name}")
        if what == "lose":
            session.peer.peer_left()
            session.ended = True
        elif what == "delete":
            await self._delete(session)
        elif what == "other":
            answer = await self._ask(session, rng.choice(("PUT", "GET", "OPTIONS", "POST")))
            expected = (404,) if session.ended else (502,) if self.down else (204, 200, 405)
            assert answer.status in expected, f"{session.path[-8:]} answers {answer.status}, not one of {expected}"
        else:
            await self._patch(session, what)

    async def _post(self, name: str) -> None:
        self.log.append(f"post {name}")
        holder = next((each for each in self._sessions if each.name == name and not each.ended), None)
        takes = self._streams.takeover_in("live", name) == 0 if holder else True
        answer = await self._request("POST", f"/live/whip/endpoint/{name}", SDP, OFFER.encode())
        if self.down:
            assert answer.status == 502, f"a POST gets {answer.status} although the origin is gone"
            return
        if holder is not None and not takes:
            assert answer.status == 409, f"a second publisher of {name} gets {answer.status}"
            return
        assert answer.status == 201, answer
        if holder is not None:
            assert holder.peer.ended, "who was displaced goes on"
            holder.ended = True
        headers = dict(answer.headers)
        etag, path = headers["ETag"], headers["Location"]
        assert etag.startswith('"'), f"W9: {etag} is no strong entity tag"
        assert etag.endswith('"')
        assert etag not in self._tags, "W9: an entity tag is used twice"
        assert all(each.path != path for each in self._sessions), "a session's URL is used twice"
        self._tags.add(etag)
        offer = read_offer(OFFER)
        self._sessions.append(Expected(path, name, self._peers[-1], etag, (offer.ufrag, offer.password)))

    async def _delete(self, session: Expected) -> None:
        tags = {} if self._rng.random() < 0.5 else {"if-match": self._rng.choice(('"old"', "*", session.etag))}
        answer = await self._ask(session, "DELETE", headers=tags)
        expected = 404 if session.deleted else 502 if self.down and not session.ended else 200
        assert answer.status == expected, f"W15: DELETE gets {answer.status}, not {expected}"
        if expected == 502:
            return
        session.deleted = True
        if not session.ended:
            assert session.peer.ended, "W15: DELETE ends nothing"
            session.ended = True
            assert not self._streams.is_live("live", session.name), "W15: the name is not free"

    async def _patch(self, session: Expected, what: str) -> None:
        rng = self._rng
        tag = rng.choice((None, "*", session.etag, session.etag, *session.tags[-1:], '"never"'))
        current = tag in ("*", session.etag)
        before = session.peer.transport.ice.local
        client = (
            (f"u{rng.getrandbits(32):08x}", f"p{rng.getrandbits(128):032x}") if what == "restart" else session.client
        )
        body = write_fragment(kind="audio", mid="0", ufrag=client[0], password=client[1], candidates=())
        if what == "broken":
            body = rng.choice((b"a=ice-ufrag:new1\r\n", b"\xff", b"nothing", b"a=candidate:x\r\n"))
        answer = await self._ask(session, "PATCH", SDP_FRAGMENT, body, {} if tag is None else {"if-match": tag})
        if session.ended:
            assert answer.status == 404
        elif what == "broken":
            assert answer.status in (400, 412, 428), "W13: a broken fragment is taken"
        elif tag is None:
            assert answer.status == 428, f"W10: without If-Match {answer.status}"
        elif not current:
            assert answer.status == 412, f"W10: with an outdated tag {answer.status}"
        elif what == "trickle":
            assert answer.status == 204
        else:
            self._restarted(session, answer, client, before)
            return
        if not session.ended:
            assert not session.peer.ended, "W13: the session is over"
            assert session.peer.transport.ice.local == before, "W13: the ICE session is another one"

    def _restarted(self, session: Expected, answer: HttpResponse, client: tuple[str, str], before: Credentials) -> None:
        assert answer.status == 200, f"W11: a restart gets {answer.status}"
        headers = dict(answer.headers)
        assert headers["Content-Type"] == SDP_FRAGMENT
        assert headers["ETag"] not in self._tags, "W11: a restart keeps its entity tag"
        self._tags.add(headers["ETag"])
        fragment = read_fragment(answer.body)
        assert fragment.ufrag != before.ufrag, "W11: a restart keeps the server's credentials"
        assert fragment.password != before.password
        assert b"a=ice-lite" in answer.body
        assert session.peer.transport.ice.local == before, "W11: the old credentials hold until the first check"
        session.tags.append(session.etag)
        session.etag, session.client = headers["ETag"], client

    async def _ask(
        self, session: Expected, method: str, kind: str = "", body: bytes = b"", headers: dict[str, str] | None = None
    ) -> HttpResponse:
        return await self._request(method, session.path, kind, body, headers)

    async def _request(
        self, method: str, path: str, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> HttpResponse:
        target = read_whip_target(path)
        assert target is not None
        request = HttpRequest(method, path, "", {"content-type": kind, **(headers or {})}, body)
        return await self._exchanges.handle(target, request, "attempt")


async def _admit(attempt: str | None, scope: str) -> bool:
    return True


def draw(seed: int, steps: int = 60) -> list[int]:
    """Draw the steps of a seed, each by the number that decides it."""
    rng = random.Random(f"whip/{seed}")
    return [rng.getrandbits(32) for _ in range(steps)]


async def run(seed: int, steps: Sequence[int] | None = None) -> WhipWorld:
    """Run a seed, or other steps with its chances. Raises ``AssertionError``, whose note tells what happened."""
    world = WhipWorld(seed)
    try:
        for number in draw(seed) if steps is None else steps:
            await world.step(number)
    except AssertionError as error:
        error.add_note("\n".join(world.log))
        raise
    return world
