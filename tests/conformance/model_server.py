"""A WHIP and WHEP server for tests of the conformance check: right in everything but the flaws that it is given.

It shares no code with the product's server. Offers without candidates get an answer that is text only; those with candidates
get a real peer connection.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from aiortc import RTCSessionDescription
from aiortc.sdp import SessionDescription
from smproxy.testing.publisher_peer import PublishingPeer
from smproxy.testing.publishing_tracks import make_tracks
from smproxy.testing.subscriber_peer import SubscribingPeer

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
KNOWN = {"audio/opus", "video/VP8", "video/H264"}
#: Seconds until a server that is deaf to a DTLS alert ends the session all the same.
DEAF = 2.0
EVENTS = "urn:ietf:params:whep:ext:core:server-sent-events"


class Player(PublishingPeer):
    """The sending end of a WHEP session."""

    async def take_offer(self, sdp: str) -> str:
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self._gather()
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return str(self._pc.localDescription.sdp)


class Session:
    def __init__(self, offer: str, tag: str) -> None:
        self.id = secrets.token_hex(16)
        self.tag = tag
        self.ufrag = value(offer, "ice-ufrag")
        self.local = secrets.token_hex(4)
        self.peer: Any = None


def value(sdp: str, name: str) -> str:
    return next((line.partition(":")[2] for line in sdp.splitlines() if line.startswith(f"a={name}:")), "")


class ModelServer:
    """Made with its flaws; ``app`` is to be served. ``url`` is the path of the endpoint."""

    url = "/endpoint"

    def __init__(
        self,
        protocol: str,
        flaws: Iterable[str] = (),
        *,
        token: str | None = None,
        live: bool = True,
    ) -> None:
        self.protocol = protocol
        self.flaws = set(flaws)
        self.token = token
        self.live = live
        self.sessions: dict[str, Session] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = web.Application(middlewares=[self._guard])
        self.app.router.add_route("*", "/endpoint", self._endpoint)
        self.app.router.add_route("*", "/elsewhere", self._endpoint)
        self.app.router.add_route("*", "/session/{id}", self._session)
        self.app.router.add_route("POST", "/session/{id}/events", self._events)
        self.app.on_cleanup.append(self._close)

    async def _close(self, _app: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        for session in tuple(self.sessions.values()):
            await self._end(session)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        exempt = preflight and "preflight-401" not in self.flaws
        if self.token is not None and not exempt:
            good = request.headers.get("Authorization") == f"Bearer {self.token}" and "bearer-unread" not in self.flaws
            if not good:
                status = 403 if "token-403" in self.flaws else 401
                headers = {} if "401-bare" in self.flaws else {"WWW-Authenticate": 'Bearer realm="model"'}
                return web.Response(status=status, headers=headers)
        response: web.StreamResponse = await handler(request)
        if (
            "Origin" in request.headers
            and "no-cors" not in self.flaws
            and not (not preflight and "no-cors-answer" in self.flaws)
        ):
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Expose-Headers"] = "Location, ETag, Link"
            if preflight:
                response.headers["Access-Control-Allow-Methods"] = "POST, PATCH, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
        return response

    def _problem(self, status: int, detail: str) -> web.Response:
        said = 500 if "problem-status" in self.flaws else status
        body = json.dumps({"type": "about:blank", "status": said, "detail": detail})
        return web.Response(status=status, text=body, content_type="application/problem+json")

    # the endpoint -----------------------------------------------------------------------------------------------------

    async def _endpoint(self, request: web.Request) -> web.Response:
        match request.method:
            case "OPTIONS":
                headers = {} if "no-accept-post" in self.flaws else {"Accept-Post": SDP}
                if "preflight-ice" in self.flaws:
                    headers["Link"] = '<stun:stun.example>; rel="ice-server"'
                return web.Response(status=204, headers=headers)
            case "GET":
                return web.Response(status=405 if "get-405" in self.flaws else 204)
            case "HEAD":
                return web.Response(status=405) if "head-405" in self.flaws else web.Response(content_type=SDP)
            case "POST":
                if "redirect-302" in self.flaws and request.path == "/endpoint":
                    return web.Response(status=302, headers={"Location": "/elsewhere"})
                if "redirect-307" in self.flaws and request.path == "/endpoint":
                    return web.Response(status=307, headers={"Location": "/elsewhere"})
                return await self._post(request)
        return web.Response(status=405)

    async def _post(self, request: web.Request) -> web.Response:
        offer = await request.text()
        if request.content_type != SDP and "any-content" not in self.flaws:
            return self._problem(415, "not application/sdp")
        try:
            parsed = SessionDescription.parse(offer)
            if not parsed.media:
                raise ValueError("no media")
        except Exception:
            if "any-sdp" not in self.flaws:
                return self._problem(400, "malformed")
            return web.Response(status=201, headers={"Location": "/session/none"})
        if not self.live:
            if "offline-404" in self.flaws:
                return self._problem(404, "nobody publishes")
            headers = {} if "offline-bare" in self.flaws else {"Retry-After": "2"}
            return web.Response(status=409, headers=headers)
        refusal = self._look(parsed, offer)
        if refusal is not None:
            return refusal
        return await self._create(offer, parsed)

    def _look(self, parsed: SessionDescription, offer: str) -> web.Response | None:
        kinds = [each.kind for each in parsed.media]
        mine = {"sendonly", "sendrecv"} if self.protocol == "whip" else {"recvonly", "sendrecv"}
        if any(each.direction not in mine for each in parsed.media) and "any-direction" not in self.flaws:
            return self._problem(422, "wrong direction")
        if len(kinds) != len(set(kinds)) and not self.flaws & {
            "second-track-dropped",
            "simulcast-wrong",
            "simulcast-right",
        }:
            return self._problem(422, "two tracks of a kind")
        if "a=simulcast" in offer and not self.flaws & {"simulcast-wrong", "simulcast-right"}:
            return self._problem(422, "no simulcast")
        unknown = any(not {c.mimeType for c in each.rtp.codecs} & KNOWN for each in parsed.media)
        if unknown and "partial" not in self.flaws:
            if self.protocol == "whep":
                self._count += 1
                counter = "v=0\r\ns=-\r\nm=video 5000 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n"
                return web.Response(
                    status=406, text=counter, content_type=SDP, headers={"Location": "/session/counter"}
                )
            return self._problem(422, "no codec")
        return None

    async def _create(self, offer: str, parsed: SessionDescription) -> web.Response:
        self._count += 1
        tag = f'"{secrets.token_hex(8)}"'
        tag = {"weak-tag": f"W/{tag}", "star-tag": "*", "same-tag": '"1"', "no-tag": ""}.get(self._one("tag"), tag)
        session = Session(offer, tag)
        if "counter-urls" in self.flaws:
            session.id = f"session-{self._count}"
        self.sessions[session.id] = session
        answer = (
            await self._real_answer(offer, session)
            if "a=candidate" in offer
            else self._text_answer(parsed, offer, session)
        )
        headers = {"Location": f"/session/{session.id}", "ETag": tag}
        if not tag:
            del headers["ETag"]
        if "no-location" in self.flaws:
            del headers["Location"]
        links = {
            "turn-bare": '<turn:turn.example?transport=udp>; rel="ice-server"',
            "stun": '<stun:stun.example>; rel="ice-server"',
            "extension-name": '</x>; rel="urn:example:ext:events"',
            "events": f'</session/{session.id}/events>; rel="{EVENTS}"',
            "events-404": f'</nowhere>; rel="{EVENTS}"',
        }
        if link := next((text for name, text in links.items() if name in self.flaws), ""):
            headers["Link"] = link
        status = 200 if "post-200" in self.flaws else 201
        kind = "text/plain" if "answer-type" in self.flaws else SDP
        return web.Response(status=status, text=answer, content_type=kind, headers=headers)

    def _one(self, ending: str) -> str:
        return next((each for each in self.flaws if each.endswith(ending)), "")

    # answers ----------------------------------------------------------------------------------------------------------

    def _text_answer(self, parsed: SessionDescription, offer: str, session: Session) -> str:
        bundle = (
            ""
            if "no-bundle" in self.flaws
            else "a=group:BUNDLE " + " ".join(each.rtp.muxId for each in parsed.media) + "\r\n"
        )
        text = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=ice-options:ice2\r\n{bundle}"
        seen: set[str] = set()
        direction = "recvonly" if self.protocol == "whip" else "sendonly"
        direction = "sendrecv" if "sendrecv" in self.flaws else direction
        setup = "passive" if "a=setup:active" in offer and "active-active" not in self.flaws else "active"
        setup = "actpass" if "setup-actpass" in self.flaws else setup
        for each in parsed.media:
            codec = next((c for c in each.rtp.codecs if c.mimeType in KNOWN), each.rtp.codecs[0])
            dropped = (each.kind in seen and "second-track-dropped" in self.flaws) or codec.mimeType not in KNOWN
            seen.add(each.kind)
            text += f"m={each.kind} {0 if dropped else 5000} UDP/TLS/RTP/SAVPF {codec.payloadType}\r\n"
            text += f"c=IN IP4 127.0.0.1\r\na=mid:{each.rtp.muxId}\r\na={direction}\r\na=rtcp-mux\r\n"
            text += "" if "no-mux-only" in self.flaws else "a=rtcp-mux-only\r\n"
            text += f"a=rtpmap:{codec.payloadType} {codec.name}/{codec.clockRate}\r\n"
            stream = each.rtp.muxId if "two-streams" in self.flaws else "s"
            text += f"a=msid:{stream} t{each.rtp.muxId}\r\n"
            text += f"a=ice-ufrag:{session.local}\r\na=ice-pwd:{'p' * 24}\r\na=setup:{setup}\r\n"
            if "no-fingerprint" not in self.flaws:
                text += f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"
            if "no-candidates" not in self.flaws:
                text += "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\n"
            if "a=simulcast" in offer and each.kind == "video":
                if "simulcast-wrong" in self.flaws:
                    text += "a=simulcast:recv h;l\r\n"
                if "simulcast-right" in self.flaws:
                    text += "a=rid:h recv\r\na=rid:l recv\r\na=simulcast:recv h;l\r\n"
        return text

    async def _real_answer(self, offer: str, session: Session) -> str:
        def state(name: str) -> None:
            if name in ("closed", "failed"):
                self._tasks.add(asyncio.ensure_future(self._left(session)))

        if self.protocol == "whip":
            peer: Any = SubscribingPeer(
                channel=None, decode=False, ipv6=False, on_state=state, on_text=_nothing, on_arrival=_nothing, on_frame=_nothing
            )  # fmt: skip
            text, candidates = await peer.answer(offer)
            lines = "".join(f"a={each.candidate}\r\n" for each in candidates)
            at = text.index("a=mid:")
            answer = text[:at] + lines + text[at:]
        else:
            silent = "no-media" in self.flaws
            tracks, _ = await make_tracks(
                {"audio", "video"}, "VP8", media=None, silent=silent, pattern="test", stream="s"
            )
            peer = Player(tracks, codec="VP8", channel=None, ipv6=False, on_state=state, on_text=_nothing)
            answer = await peer.take_offer(offer)
        session.peer = peer
        if "wrong-fingerprint" in self.flaws:
            wrong = f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}"
            lines = [wrong if line.startswith("a=fingerprint") else line for line in answer.splitlines()]
            answer = "\r\n".join(lines) + "\r\n"
        return answer.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n")

    async def _left(self, session: Session) -> None:
        if "deaf-to-close" in self.flaws:
            await asyncio.sleep(DEAF)  # this is the flaw: it notices late that its peer has left
        await self._end(session)

    async def _end(self, session: Session, *, media: bool = True) -> None:
        self.sessions.pop(session.id, None)
        peer, session.peer = session.peer, None if media else session.peer
        if peer is not None and media:
            await peer.close()

    # a session --------------------------------------------------------------------------------------------------------

    async def _session(self, request: web.Request) -> web.Response:
        session = self.sessions.get(request.match_info["id"])
        if request.match_info["id"] == "counter":
            return web.Response(status=204 if "counter-anything" in self.flaws else 400)
        if session is None:
            late = request.method == "PATCH" and "late-patch-500" in self.flaws
            return web.Response(status=500 if late else 404)
        match request.method:
            case "GET":
                return web.Response(text="{}") if "get-body" in self.flaws else web.Response(status=204)
            case "DELETE":
                if "delete-checks-tag" in self.flaws and request.headers.get("If-Match", session.tag) != session.tag:
                    return web.Response(status=412)
                if "delete-stays" not in self.flaws:
                    await self._end(session, media="delete-keeps-media" not in self.flaws)
                return web.Response(status=204) if "delete-204" in self.flaws else web.json_response({})
            case "PATCH":
                return await self._patch(request, session)
        return web.Response(status=405)

    async def _patch(self, request: web.Request, session: Session) -> web.Response:
        body = await request.text()
        flaws = self.flaws
        if request.content_type != FRAGMENT and "patch-any-content" not in flaws:
            return self._problem(415, "not a fragment")
        if "no-patch" in flaws:
            return web.Response(status=405)
        ufrag = value(body, "ice-ufrag")
        if not ufrag and "patch-any-fragment" not in flaws:
            return self._problem(400, "malformed")
        if ufrag not in ("", session.ufrag):
            return await self._restart(session, body)
        tag = request.headers.get("If-Match")
        if session.tag and tag is None and "no-428" not in flaws:
            return web.Response(status=428)
        if session.tag and tag not in (None, session.tag) and "no-412" not in flaws:
            return web.Response(status=412)
        if " tcp " in body and "picky" in flaws:
            return self._problem(400, "no TCP")
        headers = {"ETag": session.tag} if "trickle-etag" in flaws else {}
        return web.Response(status=200 if "trickle-200" in flaws else 204, headers=headers)

    async def _restart(self, session: Session, body: str) -> web.Response:
        flaws = self.flaws
        if "restart-400" in flaws:
            return web.Response(status=400)
        if "restart-422" in flaws:
            return web.Response(status=422)
        if len(value(body, "ice-pwd")) < 22:
            if "failed-restart-kills" in flaws:
                await self._end(session)
            return self._problem(400, "no password")
        session.ufrag = value(body, "ice-ufrag")
        if "restart-same-credentials" not in flaws:
            session.local = secrets.token_hex(4)
        password = ("p" if "restart-same-credentials" in flaws else "q") * 24
        lite = "" if "restart-no-lite" in flaws else "a=ice-lite\r\n"
        text = f"{lite}a=ice-options:ice2\r\na=ice-ufrag:{session.local}\r\na=ice-pwd:{password}\r\n"
        text += "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
        if "restart-no-candidates" not in flaws:
            text += "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\n"
        if "restart-same-tag" not in flaws:
            session.tag = f'"{secrets.token_hex(8)}"'
        kind = "text/plain" if "restart-type" in flaws else FRAGMENT
        return web.Response(text=text, content_type=kind, headers={"ETag": session.tag})

    async def _events(self, request: web.Request) -> web.Response:
        return web.Response(status=201, headers={"Location": f"{request.path}/stream"})


def _nothing(*_: Any) -> None:
    pass
