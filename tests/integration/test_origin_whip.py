"""WHIP and WHEP at the origin, with real media."""

from __future__ import annotations

from smproxy.signaling.node import PeerEnded
from smproxy.signaling.payloads import Reason

from tests.helpers import eventually
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
