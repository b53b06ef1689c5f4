"""Clients whose certificate, handshake or address is not the usual one, with real sockets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCSessionDescription
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
from smproxy.origin.candidates import host_addresses
from smproxy.signaling.node_channel import AttemptFailed
from smproxy.signaling.payloads import ConnectError

from tests.helpers import eventually
from tests.integration.nat import Nat, nat
from tests.integration.origin_client import Client, client, running
from tests.integration.origin_viewer import viewer


class RsaCertificate(RTCCertificate):  # type: ignore[misc]
    """An RSA certificate, as GStreamer and older pages have; as a server it knows RSA suites only."""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> Any:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        return context


def rsa_certificate() -> RsaCertificate:
    key: Any = rsa.generate_private_key(65537, 2048)
    return RsaCertificate(key, generate_certificate(key))


def certify(peer: Client, certificate: RTCCertificate) -> None:
    """Let the client's peer connection use this certificate; aiortc has no public way."""
    peer.pc._RTCPeerConnection__certificates = [certificate]


@pytest.mark.parametrize("setup", ["actpass", "active"])
async def test_a_publisher_with_an_rsa_certificate_connects(setup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """M5: as DTLS server, which browsers are to us, and as client; media comes."""
    async with running() as (origin, reports), client(origin) as publisher:
        certify(publisher, rsa_certificate())
        say = publisher.say

        async def say_with_setup(**message: Any) -> None:
            text = json.dumps(message).replace("setup:actpass", f"setup:{setup}")
            await say(**json.loads(text))

        monkeypatch.setattr(publisher, "say", say_with_setup)
        await publisher.publish("s1", audio=False)
        await reports.until("TrackStarted")


async def test_a_refused_handshake_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """M5: a DTLS failure ends the attempt at once as error 6; client and log have the reason, and no time-out is mentioned."""
    async with running(connect_timeout=3600) as (origin, reports), client(origin) as publisher:
        say = publisher.say

        async def say_with_another_fingerprint(**message: Any) -> None:
            sdp = message.get("data", {}).get("sdp")
            if sdp:
                head, fingerprint, rest = sdp["sdp"].partition("a=fingerprint:sha-256 ")
                lines = [
                    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}" if line.startswith("a=fingerprint:") else line
                    for line in (head + fingerprint + rest).split("\r\n")
                ]
                sdp["sdp"] = "\r\n".join(lines)
            await say(**message)

        monkeypatch.setattr(publisher, "say", say_with_another_fingerprint)
        with caplog.at_level(logging.WARNING, "smproxy.origin"):
            await publisher.offer("s1", audio=False)
            await publisher.accept()
            error = await publisher.hear(lambda each: each.get("data", {}).get("type") == "error")
            assert await reports.until("AttemptFailed") == AttemptFailed("a1", ConnectError.DTLS_FAILED)
    words = "the client's certificate is not the one that its SDP announced"
    assert words in error["data"]["message"]
    assert any(words in each.getMessage() and "attempt a1" in each.getMessage() for each in caplog.records)
    assert "time" not in error["data"]["message"]


async def test_what_never_came_is_named_when_the_time_is_over() -> None:
    """A client that makes no check is told that none came, and not that "ICE or DTLS" failed."""
    async with running(connect_timeout=0.2) as (origin, _), client(origin) as publisher:
        await publisher.offer("s1", audio=False)
        error = await publisher.hear(lambda each: each.get("data", {}).get("type") == "error")
        assert "no STUN check came from the client within 0.2 s" in error["data"]["message"]


async def accept_behind(box: Nat, peer: Client, origin_sdp: str) -> None:
    await peer.pc.setRemoteDescription(RTCSessionDescription(box.behind(origin_sdp), "answer"))


async def test_a_publisher_whose_port_changes_goes_on_and_can_unpublish() -> None:
    """M7: after the NAT has changed the port, feedback goes to the new one, and unpublish on the data channel is answered."""
    async with (
        running(media_timeout=60, media_gap=30) as (origin, reports),
        client(origin) as publisher,
        nat(host_addresses()[0]) as box,
    ):
        offer = await publisher.offer("s1", audio=False, data=True)
        reply = await publisher.hear(lambda each: "sdp" in each.get("data", {}))
        answer = str(reply["data"]["sdp"]["sdp"])
        await accept_behind(box, publisher, answer)
        await publisher.say(publish="s1", mode="live", keyFramerate=3000)
        await publisher.hear_code("NetStream.Publish.Start")
        await publisher.switch()
        await reports.until("TrackStarted")
        await eventually(lambda: _rtcp(box.outer.received))

        old = await box.change_port()
        box.check(answer, offer)
        await eventually(lambda: _rtcp(box.outer.received), 10)
        lost = len(old.received)
        publisher.channel.send(json.dumps({"unpublish": "s1"}))
        await eventually(lambda: "s1 stopping" in said_on_channel(publisher))
        assert len(old.received) == lost
        await reports.until("PeerEnded")
    assert "PeerEnded" in reports.kinds()


async def test_unpublish_right_after_the_change_is_answered() -> None:
    """M7: a message on the data channel moves the client without a wait: unpublish() does not hang."""
    async with (
        running(media_timeout=60, media_gap=30) as (origin, reports),
        client(origin) as publisher,
        nat(host_addresses()[0]) as box,
    ):
        offer = await publisher.offer("s1", audio=False, video=False, data=True)
        reply = await publisher.hear(lambda each: "sdp" in each.get("data", {}))
        answer = str(reply["data"]["sdp"]["sdp"])
        await accept_behind(box, publisher, answer)
        await publisher.say(publish="s1", mode="live", keyFramerate=3000)
        await publisher.switch()
        await box.change_port()
        box.check(answer, offer)
        await eventually(lambda: box.outer.received)  # the check was answered
        publisher.channel.send(json.dumps({"unpublish": "s1"}))
        await eventually(lambda: "s1 stopping" in said_on_channel(publisher))
        await reports.until("PeerEnded")


async def test_a_copied_check_moves_nobody() -> None:
    """M7: a stranger that repeats a check of the client's, and its media, is sent nothing while the client goes on."""
    async with (
        running() as (origin, reports),
        client(origin) as publisher,
        nat(host_addresses()[0]) as box,
    ):
        offer = await publisher.offer("s1", audio=False)
        reply = await publisher.hear(lambda each: "sdp" in each.get("data", {}))
        answer = str(reply["data"]["sdp"]["sdp"])
        await accept_behind(box, publisher, answer)
        await reports.until("TrackStarted")
        copied = box.check(answer, offer)
        heard = len(box.outer.received)
        await eventually(lambda: len(box.outer.received) > heard)
        stranger = await box._open(lambda _data, _addr: None)
        for datagram in (copied, *[bytes([0x80, 96, 0, number]) + bytes(40) for number in range(20)]):
            stranger.transport.sendto(datagram, box.origin)
        before = len(_rtcp(box.outer.received))
        await eventually(lambda: len(_rtcp(box.outer.received)) > before + 1, 10)
        assert stranger.received == []


async def test_a_subscriber_whose_port_changes_sees_the_stream_go_on() -> None:
    """M7: media goes to the new port of a subscriber, whose reports are the sign."""
    async with (
        running(media_timeout=60, media_gap=30) as (origin, reports),
        client(origin) as publisher,
        nat(host_addresses()[0]) as box,
    ):
        await publisher.publish("s1", audio=False)
        await reports.until("TrackStarted")
        async with viewer(origin, attempt="b1") as watching:
            offer = await watching.ask("s1")
            answer = await watching.answer("s1", box.behind(offer))
            await watching.hear_code("NetConnection.ICE.TrickleCompleted")
            await watching.say(subscribe="s1", requestId="subscriber-1b31")
            await eventually(lambda: _rtp(box.outer.received))
            await box.change_port()
            box.check(offer, answer)
            await eventually(lambda: _rtp(box.outer.received), 15)


def said_on_channel(peer: Client) -> list[str]:
    return [str(each.get("data", {}).get("message")) for each in peer.heard_on_channel]


def _rtcp(datagrams: list[bytes]) -> list[bytes]:
    return [each for each in datagrams if len(each) > 1 and each[0] & 0xC0 == 0x80 and 191 < each[1] < 224]


def _rtp(datagrams: list[bytes]) -> list[bytes]:
    return [each for each in datagrams if len(each) > 1 and each[0] & 0xC0 == 0x80 and not 191 < each[1] < 224]
