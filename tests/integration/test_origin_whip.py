"""WHIP and WHEP at the origin, with real media."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable

import pytest
from aiortc import RTCSessionDescription
from smproxy.origin.settings import WhepOffline
from smproxy.signaling.node_channel import Announce, AttemptFailed, Drain, Kick, PeerEnded
from smproxy.signaling.payloads import ConnectError, Reason
from smproxy.signaling.whip import IceServer

from tests.helpers import eventually, scaled
from tests.integration.origin_client import client, running
from tests.integration.origin_viewer import viewer
from tests.integration.origin_whip import http, webrtc


async def test_publish_over_whip_and_watch_over_both() -> None:
    """A stream that is published over WHIP is watched over WHEP and over the WebSocket, and ends with DELETE."""
    async with (
        running() as (origin, reports),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as watching,
        viewer(origin, attempt="c1") as other,
    ):
        reply = await publisher.publish()
        assert reply.headers["Content-Type"] == "application/sdp"
        assert "a=recvonly" in reply.text
        assert "a=ice-lite" in reply.text
        assert reply.text.count("a=end-of-candidates") == 2
        await eventually(lambda: reports.kinds().count("TrackStarted") == 2)
        assert reports.kinds()[:2] == ["StreamStarted", "TransportUp"]
        reply = await watching.watch()
        assert reply.text.count("a=sendonly") == 2
        await watching.more("audio", "video")
        await other.watch("s1")
        await other.more("audio", "video")
        assert "PlayStarted" in reports.kinds("b1")
        reply = await request("DELETE", publisher.location)
        assert (reply.status, reply.text) == (200, "{}")
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, False)
        await eventually(lambda: publisher.pc.connectionState == "closed")
        assert (await request("DELETE", publisher.location)).status == 404
        assert (await request("DELETE", watching.location)).status == 200
        await reports.until("PeerEnded", "b1")


async def test_publish_over_the_websocket_and_watch_over_whep() -> None:
    """A stream that is published over the WebSocket is watched over WHEP."""
    async with (
        running() as (origin, _),
        http(origin) as request,
        client(origin) as publisher,
        webrtc(request) as watching,
    ):
        await publisher.publish("s1")
        await watching.watch()
        await watching.more("audio", "video")


# the rules ------------------------------------------------------------------------------------------------------------


def ice_restart(sdp: str, ufrag: str = "newu", password: str = "p" * 24) -> str:
    """Write the fragment of a client that restarts ICE."""
    return f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"


def trickled(sdp: str) -> str:
    """Write the fragment of a client that trickles, with the credentials of its offer."""
    credentials = re.findall(r"a=ice-(?:ufrag|pwd):\S+", sdp)[:2]
    mdns = "a=candidate:1 1 UDP 2113937151 5e0a3d2f.local 54321 typ host"
    tcp = "a=candidate:2 1 TCP 1518280447 192.0.2.1 9 typ host tcptype active"
    return "\r\n".join([*credentials, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", mdns, tcp, "a=end-of-candidates"])


async def test_trickle_and_its_preconditions() -> None:
    """W7, W8, W10: trickling is 204 without an ETag; without If-Match 428, with an old one 412, malformed 400."""
    async with running() as (origin, _), http(origin) as request, webrtc(request) as publisher:
        await publisher.publish()
        path, good = publisher.location, trickled(publisher.pc.localDescription.sdp)
        reply = await request.trickle(path, good, If_Match=publisher.etag)
        assert (reply.status, reply.body) == (204, b"")
        assert "ETag" not in reply.headers
        reply = await request.trickle(path, good)
        assert reply.status == 428
        assert "If-Match" in reply.problem
        assert (await request.trickle(path, good, If_Match='"old"')).status == 412
        assert (await request.trickle(path, "nonsense", If_Match=publisher.etag)).status == 400
        assert (await request("PATCH", path, good, "text/plain", If_Match=publisher.etag)).status == 415
        assert (await request.trickle(path, good, If_Match="*")).status == 204


async def test_ice_restart() -> None:
    """W11 to W14: a restart gives new credentials and a new ETag on the same port; media goes on when it is not completed."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        answer = (await publisher.publish()).text
        await reports.until("TrackStarted")
        path = publisher.location
        failed = await request.trickle(path, ice_restart(answer, password="short"), If_Match="*")
        assert failed.status == 400
        reply = await request.trickle(path, ice_restart(answer), If_Match="*")
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
        assert reply.headers["ETag"].startswith('"')
        assert reply.headers["ETag"] != publisher.etag
        assert reply.text.startswith("a=ice-lite\r\n")
        old, new = (re.search(r"a=ice-ufrag:(\S+)", each)[1] for each in (answer, reply.text))  # type: ignore[index]
        assert old != new
        ports = [set(re.findall(r"a=candidate:.* (\d+) typ host", each)) for each in (answer, reply.text)]
        assert ports[0] > ports[1] != set()
        assert (await request.trickle(path, ice_restart(answer), If_Match=publisher.etag)).status == 412
        assert (await request.trickle(path, ice_restart(answer), If_Match=reply.headers["ETag"])).status == 204
        before = origin.statistics()[0].packets
        await eventually(lambda: origin.statistics()[0].packets > before + 10)
        assert "PeerEnded" not in reports.kinds()


async def test_a_client_that_restarts_goes_on() -> None:
    """W11: a client that takes the new credentials keeps its stream, from a new port even."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        answer = (await publisher.publish(video=False)).text
        await reports.until("TrackStarted")
        reply = await request.trickle(publisher.location, ice_restart(answer), If_Match="*")
        found = dict(re.findall(r"a=(ice-ufrag|ice-pwd):(\S+)", reply.text))
        connection = publisher.pc.getTransceivers()[0].sender.transport.transport._connection
        connection._local_username, connection._local_password = "newu", "p" * 24
        connection.remote_username, connection.remote_password = found["ice-ufrag"], found["ice-pwd"]
        pair = next(iter(connection._nominated.values()))
        await connection.check_start(pair)
        session = next(iter(origin._sessions))
        assert session.transport is not None
        await eventually(lambda: session.transport.ice.local.ufrag == found["ice-ufrag"])
        before = origin.statistics()[0].packets
        await eventually(lambda: origin.statistics()[0].packets > before + 10)


async def test_get_head_and_options() -> None:
    """W3, W4: endpoint and session answer GET with 204, OPTIONS with what they take; HEAD of WHEP has the type."""
    async with running() as (origin, _), http(origin) as request, webrtc(request) as publisher:
        await publisher.publish()
        for path in ("/live/whip/endpoint/s1", publisher.location):
            reply = await request("GET", path)
            assert (reply.status, reply.body) == (204, b"")
        reply = await request("OPTIONS", "/live/whip/endpoint/s1")
        assert (reply.status, reply.headers["Accept-Post"]) == (200, "application/sdp")
        reply = await request("OPTIONS", publisher.location)
        assert reply.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
        reply = await request("HEAD", "/live/whep/endpoint/s1")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/sdp")
        assert (await request("PUT", publisher.location)).status == 405
        assert (await request("GET", "/live")).status == 404
        assert (await request("GET", "/live/whip/resource/s1/unknown")).status == 404
        assert (await request("GET", publisher.location.replace("/s1/", "/s2/"))).status == 404


async def test_only_announced_attempts() -> None:
    """A15: a POST that no manager announced is 403, and each announcement begins one session."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        offer = await publisher.offer(sends=True)
        reply = await request("POST", "/live/whip/endpoint/s1", offer, "application/sdp")
        assert reply.status == 403
        assert "stream manager" in reply.problem
        assert (await request.post("/live/whip/endpoint/s1", offer)).status == 201
        again = await request("POST", "/live/whip/endpoint/s2", offer, "application/sdp", X_Stream_Manager_Attempt="a1")
        assert again.status == 403
        assert "AttemptFailed" not in reports.kinds()


SDP = "application/sdp"
INVALID, REJECTED = AttemptFailed("a1", ConnectError.INVALID_SDP), AttemptFailed("a1", ConnectError.REJECTED)


def second_video(sdp: str) -> str:
    """Offer video twice."""
    video = sdp[sdp.index("m=video") :]
    again = video.replace("a=mid:1", "a=mid:2")
    return sdp.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + again


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (lambda sdp: "garbage", 400, "not an SDP"),
        (lambda sdp: sdp.replace("a=ice-ufrag", "a=x"), 400, "ICE credentials"),
        (lambda sdp: sdp.replace("a=sendonly", "a=recvonly"), 422, "recvonly"),
        (lambda sdp: sdp.replace("a=sendonly", "a=inactive"), 422, "inactive"),
        (lambda sdp: re.sub(r"(VP8|H264)/90000", "AV1/90000", sdp), 422, "video codec"),
        (
            lambda sdp: re.sub(r"a=rtpmap:\d+ (opus|G722|PCMU|PCMA).*", "a=x", sdp).replace(" 9 0 8\r", " 111\r"),
            422,
            "audio codec",
        ),
        (second_video, 422, "2 video tracks"),
        (lambda sdp: sdp + "a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n", 422, "simulcast"),
        (lambda sdp: re.sub(r"a=msid:\S+", lambda _: f"a=msid:{next(NUMBERS)}", sdp), 422, "MediaStream"),
    ],
)
async def test_offers_that_cannot_be_served(change: Callable[[str], str], status: int, says: str) -> None:
    """W2, W5, W17, W18, W29: an offer is refused as a whole, with a sentence that says why, and the attempt has its end."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        offer = await publisher.offer(sends=True)
        assert change(offer) != offer
        reply = await request.post("/live/whip/endpoint/s1", change(offer))
        assert reply.status == status
        assert says in reply.problem
        assert reports.of() == [INVALID]
        assert len(origin.services.streams) == 0


async def test_content_types_of_a_post() -> None:
    """W2: another content type is 415, an empty body 400, one that is too long 413, and the attempt has its end."""
    async with running() as (origin, reports), http(origin) as request:
        for number, (kind, body, status) in enumerate(
            [("text/plain", "v=0", 415), (SDP, "", 400), (SDP, "v" * 300_000, 413), (SDP, b"\xff", 400)]
        ):
            origin.command(Announce(f"a{number}"))
            reply = await request("POST", "/live/whip/endpoint/s1", body, kind, X_Stream_Manager_Attempt=f"a{number}")
            assert reply.status == status
            assert reply.problem
            assert number == 2 or reports.of(f"a{number}") == [AttemptFailed(f"a{number}", ConnectError.INVALID_SDP)]


@pytest.mark.parametrize(("setup", "role"), [("actpass", "active"), ("active", "passive"), ("passive", "active")])
async def test_dtls_roles(setup: str, role: str) -> None:
    """W20: any role of the client is answered with the other one; FFmpeg offers passive."""
    async with running() as (origin, _), http(origin) as request, webrtc(request) as publisher:
        offer = await publisher.offer(sends=True)
        reply = await request.post("/live/whip/endpoint/s1", offer.replace("a=setup:actpass", f"a=setup:{setup}"))
        assert reply.status == 201
        assert set(re.findall(r"a=setup:(\S+)", reply.text)) == {role}
        assert reply.text.count("a=rtcp-mux-only") == 2
        assert "a=group:BUNDLE 0 1" in reply.text


async def test_a_name_in_use() -> None:
    """One name is one stream, whatever transport it came over: 409, and the first goes on."""
    async with (
        running() as (origin, reports),
        http(origin) as request,
        client(origin) as publisher,
        webrtc(request) as second,
        client(origin, attempt="a3") as third,
    ):
        await publisher.publish("s1")
        offer = await second.offer(sends=True)
        reply = await request.post("/live/whip/endpoint/s1", offer, "a2")
        assert reply.status == 409
        assert "s1" in reply.problem
        assert reports.of("a2") == [AttemptFailed("a2", ConnectError.NAME_IN_USE)]
        assert (await request.post("/live/whip/endpoint/s2", offer, "a4")).status == 201
        await third.say(isAvailable="s2", bundle=True)
        assert (await third.hear(lambda each: "isAvailable" in each))["isAvailable"] is True


async def test_takeover() -> None:
    """With takeover the newcomer gets the name, over both transports; the old session ends first, with a reason of its own."""
    async with (
        running(takeover=0.0) as (origin, reports),
        http(origin) as request,
        client(origin) as first,
        webrtc(request) as second,
        client(origin, attempt="a3") as third,
        viewer(origin) as watching,
    ):
        await first.publish("s1")
        await first.hear_code("NetStream.Publish.IsAvailable")
        await watching.watch("s1")
        await watching.more("video")
        await second.publish(attempt="a2")
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.REPLACED, False)
        assert reports.index(PeerEnded("a1", Reason.REPLACED, False)) < reports.index(reports.of("a2")[0])
        await eventually(lambda: first.socket.close_code is not None)
        await watching.more("video")
        await third.say(isAvailable="s1", bundle=True)
        assert (await third.hear(lambda each: "isAvailable" in each))["isAvailable"] is False
        await third.publish("s1")
        assert await reports.until("PeerEnded", "a2") == PeerEnded("a2", Reason.REPLACED, False)
        await watching.more("video")
        assert (await request("GET", second.location)).status == 404


async def test_takeover_after_a_while() -> None:
    """Until a name may be taken over a newcomer gets 409, and is told when to come again."""
    async with (
        running(takeover=60.0) as (origin, reports),
        http(origin) as request,
        client(origin) as first,
        webrtc(request) as second,
    ):
        await first.publish("s1")
        reply = await request.post("/live/whip/endpoint/s1", await second.offer(sends=True), "a2")
        assert reply.status == 409
        assert 50 <= int(reply.headers["Retry-After"]) <= 60
        assert reports.of("a2") == [AttemptFailed("a2", ConnectError.NAME_IN_USE)]


async def test_draining_and_bad_names() -> None:
    """W22: an origin that drains is 503 with Retry-After; a name with a control character is 400."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        offer = await publisher.offer(sends=True)
        assert (await request.post("/live/whip/endpoint/s%0A1", offer)).status == 400
        origin.command(Drain())
        reply = await request.post("/live/whip/endpoint/s1", offer, "a2")
        assert reply.status == 503
        assert int(reply.headers["Retry-After"]) > 0
        assert reports.of("a2") == [AttemptFailed("a2", ConnectError.REJECTED)]


async def test_late_requests() -> None:
    """After DELETE every request to the session is 404, in any order, and DELETE ignores entity tags."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        await publisher.publish()
        sdp = publisher.pc.localDescription.sdp
        assert (await request("DELETE", publisher.location, If_Match='"old"')).status == 200
        late = [request.trickle(publisher.location, trickled(sdp), If_Match=publisher.etag) for _ in range(3)]
        assert {each.status for each in await asyncio.gather(*late)} == {404}
        assert (await request("DELETE", publisher.location)).status == 404
        assert await reports.until("AttemptFailed")
        assert not origin._sessions


async def test_delete_after_the_connection_is_closed() -> None:
    """A client that closes its peer connection first gets 200 for the DELETE that follows, once."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        await publisher.publish()
        await reports.until("TrackStarted")
        await publisher.pc.close()
        await reports.until("PeerEnded")
        await eventually(lambda: not origin._sessions)
        assert (await request("GET", publisher.location)).status == 404
        assert [(await request("DELETE", publisher.location)).status for _ in range(2)] == [200, 404]


async def test_kicked() -> None:
    """A kicked session is reported as such, its client's connection is closed, and its URL answers 404."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        await publisher.publish(data=True)
        await reports.until("TrackStarted")
        await eventually(lambda: publisher.channel.readyState == "open")
        origin.command(Kick("a1"))
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.KICKED, False)
        await eventually(lambda: publisher.pc.connectionState == "closed")
        assert publisher.heard[-1]["data"]["code"] == "NetConnection.Connect.Closed"
        assert (await request("GET", publisher.location)).status == 404


async def test_a_client_that_never_connects() -> None:
    """A session whose client never connects ends by itself, and frees its name."""
    async with running(connect_timeout=0.2) as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        offer = await publisher.offer(sends=True)
        assert (await request.post("/live/whip/endpoint/s1", offer)).status == 201
        assert await reports.until("AttemptFailed") == AttemptFailed("a1", ConnectError.TIMEOUT)
        await eventually(lambda: not origin._sessions)
        assert not origin._exchanges._exchanges


# WHEP -----------------------------------------------------------------------------------------------------------------


async def test_nobody_publishes() -> None:
    """A stream that nobody publishes is 409 with Retry-After, or 404, as the settings have it."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as watching:
        offer = await watching.offer(sends=False)
        reply = await request.post("/live/whep/endpoint/s1", offer)
        assert (reply.status, reply.headers["Retry-After"]) == (409, "5")
        assert "s1" in reply.problem
        assert reports.of() == [REJECTED]
    async with running(whep_offline=WhepOffline.NOT_FOUND) as (origin, _), http(origin) as request:
        reply = await request.post("/live/whep/endpoint/s1", offer)
        assert reply.status == 404
        assert "Retry-After" not in reply.headers


async def test_waiting_for_a_publisher() -> None:
    """With the setting to wait, a client is answered before anybody publishes, and sees the stream when it comes."""
    async with (
        running(whep_offline=WhepOffline.WAIT) as (origin, reports),
        http(origin) as request,
        webrtc(request) as watching,
        webrtc(request) as publisher,
    ):
        await watching.watch()
        await reports.until("PlayStarted", "b1")
        await publisher.publish()
        await watching.more("audio", "video", timeout=10)


async def test_one_kind_of_media() -> None:
    """A client that wants only audio gets only that; a stream without video leaves the video section inactive."""
    async with (
        running() as (origin, _),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as listener,
        webrtc(request) as watching,
    ):
        await publisher.publish(video=False)
        assert "m=video" not in (await listener.watch(video=False)).text
        await listener.more("audio")
        answer = (await watching.watch(attempt="b2")).text
        assert answer.count("a=sendonly") == answer.count("a=inactive") == 1
        await watching.more("audio")


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_directions_of_a_viewer(direction: str) -> None:
    """W5: who watches must receive; an offer to send is 422."""
    async with (
        running() as (origin, _),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as other,
    ):
        await publisher.publish()
        offer = (await other.offer(sends=False)).replace("a=recvonly", f"a={direction}")
        reply = await request.post("/live/whep/endpoint/s1", offer, "b1")
        assert reply.status == 422
        assert direction in reply.problem


async def test_counter_offer() -> None:
    """A client that offers no codec of the stream gets 406 with an offer, and answers it with PATCH."""
    async with (
        running() as (origin, reports),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as watching,
    ):
        await publisher.publish()
        offer = re.sub(r"(VP8|H264)/90000", "AV1/90000", await watching.offer(sends=False))
        reply = await request.post("/live/whep/endpoint/s1", offer, "b1")
        assert reply.status == 406
        assert reply.headers["Content-Type"] == "application/sdp"
        assert "VP8/90000" in reply.text
        answering = webrtc(request)
        async with answering as other:
            await other.pc.setRemoteDescription(RTCSessionDescription(reply.text, "offer"))
            await other.pc.setLocalDescription(await other.pc.createAnswer())
            path, sdp = reply.headers["Location"], other.pc.localDescription.sdp
            assert (await request("PATCH", path, "garbage", SDP)).status == 400
        assert reports.of("b1") == [AttemptFailed("b1", ConnectError.INVALID_SDP)]
        reply = await request.post("/live/whep/endpoint/s1", offer, "b2")
        async with webrtc(request) as other:
            await other.pc.setRemoteDescription(RTCSessionDescription(reply.text, "offer"))
            await other.pc.setLocalDescription(await other.pc.createAnswer())
            path, sdp = reply.headers["Location"], other.pc.localDescription.sdp
            answered = await request("PATCH", path, sdp, SDP)
            assert (answered.status, answered.body) == (204, b"")
            await other.more("audio", "video")
            assert (await request("PATCH", path, sdp, SDP)).status == 409


async def test_the_vendors_subscriber() -> None:
    """With ``requestId`` the server offers, with a data channel; the answer and the candidates come without If-Match."""
    async with (
        running() as (origin, reports),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as watching,
    ):
        await publisher.publish(query="?signal=true&mode=live&keyFramerate=3000", data=True)
        query = "?requestId=subscriber-1&signal=true"
        reply = await request.post(f"/live/whep/endpoint/s1{query}", "v=0\r\n", "b1")
        assert reply.status == 201
        offer = reply.text
        assert "a=setup:actpass" in offer
        assert "a=group:BUNDLE 0 1 2" in offer
        assert "m=application" in offer
        path = reply.headers["Location"] + query
        await watching.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        watching.open_channel()
        await watching.pc.setLocalDescription(await watching.pc.createAnswer())
        sdp = watching.pc.localDescription.sdp
        assert (await request("PATCH", path, sdp, SDP)).status == 204
        assert (await request.trickle(path, trickled(sdp))).status == 204
        await watching.more("audio", "video")
        await eventually(lambda: any(each.get("type") == "metadata" for each in watching.heard))
        publisher.channel.send(json.dumps({"send": {"method": "chat", "data": {"a": 1}}}))
        await eventually(lambda: any("chat" in json.dumps(each) for each in watching.heard))
        publisher.channel.send(json.dumps({"unpublish": "s1"}))
        assert await reports.until("PeerEnded") == PeerEnded("a1", Reason.USER_ACTION, False)
        await eventually(lambda: any("UnpublishNotify" in json.dumps(each) for each in watching.heard))
        assert (await request("DELETE", path)).status == 200


async def test_the_vendors_publisher() -> None:
    """Over WHIP the vendor's SDK has a data channel, on which the stream is announced, and sends PATCH without If-Match."""
    async with running() as (origin, reports), http(origin) as request, webrtc(request) as publisher:
        await publisher.publish(query="?signal=true&mode=record&keyFramerate=3000&transport=udp", data=True)
        sdp = publisher.pc.localDescription.sdp
        assert (await request.trickle(publisher.location, trickled(sdp))).status == 204
        await eventually(lambda: any("Publish.IsAvailable" in json.dumps(each) for each in publisher.heard))
        started = await reports.until("StreamStarted")
        assert getattr(started, "mode", "") == "record"
        await reports.until("ChannelFrame")


async def test_events() -> None:
    """Server-sent events tell of the stream's end and return and of how many watch it; they end with the session."""
    async with (
        running() as (origin, _),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as again,
        webrtc(request) as watching,
        webrtc(request) as other,
    ):
        await publisher.publish()
        reply = await watching.watch()
        link = reply.headers["Link"]
        assert 'rel="urn:ietf:params:whep:ext:core:server-sent-events"' in link
        events = link[1 : link.index(">")]
        assert (await request("POST", events, "{}", "application/json")).status == 400
        assert (await request("POST", events, "[]", "text/plain")).status == 415
        assert (await request("GET", events)).status == 405
        made = await request("POST", events, '["active","inactive","viewercount","layers"]', "application/json")
        assert made.status == 201
        url = f"http://127.0.0.1:{origin.hello.port}{made.headers['Location']}"
        seen: list[str] = []
        async with request.session.get(url) as stream:
            assert stream.content_type == "text/event-stream"

            async def read() -> None:
                async for line in stream.content:
                    if text := line.decode().strip():
                        seen.append(text)

            reading = asyncio.create_task(read())
            await eventually(lambda: 'data: {"viewercount":1}' in seen)
            assert seen[:2] == ["event: active", "data: {}"]
            await other.watch(attempt="b2")
            await eventually(lambda: 'data: {"viewercount":2}' in seen)
            await request("DELETE", publisher.location)
            await eventually(lambda: "event: inactive" in seen)
            await again.publish(attempt="a2")
            await eventually(lambda: seen.count("event: active") == 2)
            assert (await request("DELETE", watching.location)).status == 200
            await asyncio.wait_for(reading, scaled(5))
        assert (await request("GET", made.headers["Location"])).status == 404


async def test_ice_servers_are_links() -> None:
    """W24: configured ICE servers are in the 201 of both protocols."""
    servers = (IceServer("stun:127.0.0.1:9"), IceServer("turn:127.0.0.1:9", "u", "c"))
    async with (
        running(ice_servers=servers) as (origin, _),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as watching,
    ):
        reply = await publisher.publish()
        assert [each.partition(";")[0] for each in reply.headers.getall("Link")] == [
            "<stun:127.0.0.1:9>",
            "<turn:127.0.0.1:9>",
        ]
        assert len((await watching.watch()).headers.getall("Link")) == 3


async def test_stop_does_not_wait_for_http_clients() -> None:
    """Idle HTTP connections, half a body and an event stream do not hold up the stop of an origin."""
    async with (
        running() as (origin, reports),
        http(origin) as request,
        webrtc(request) as publisher,
        webrtc(request) as watching,
    ):
        await publisher.publish()
        reply = await watching.watch()
        events = reply.headers["Link"][1 : reply.headers["Link"].index(">")]
        made = await request("POST", events, "[]", "application/json")
        stream = await request.session.get(f"http://127.0.0.1:{origin.hello.port}{made.headers['Location']}")
        _, half = await asyncio.open_connection("127.0.0.1", origin.hello.port)
        half.write(
            b"POST /live/whip/endpoint/s2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0"
        )
        _, slow = await asyncio.open_connection("127.0.0.1", origin.hello.port)
        slow.write(b"GET /live")
        await reports.until("TransportUp")
        await asyncio.wait_for(origin.stop(), scaled(3))
        assert reports.of()[-1] == PeerEnded("a1", Reason.NODE_SHUTDOWN, False)
        for writer in (half, slow):
            writer.close()
        stream.close()


NUMBERS = itertools.count()
