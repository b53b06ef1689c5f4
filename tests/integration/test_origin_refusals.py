"""What the origin does with what it cannot use."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest
from smproxy.signaling.node_channel import ATTEMPT_HEADER, Announce, AttemptFailed, Evict, Load
from smproxy.signaling.payloads import ConnectError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.helpers import eventually
from tests.integration.origin_client import Client, client, running

OFFERS = pathlib.Path(__file__).parents[2] / "fixtures" / "offers"
CHROMIUM = (OFFERS / "chromium-sdk11-datachannel.sdp").read_bytes().decode()


async def send_offer(publisher: Client, sdp: Any, **more: Any) -> None:
    await publisher.say(handleOffer="s1", data={"sdp": {"type": "offer", "sdp": sdp}}, **more)


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "garbage",
        "v=0\r\n",
        CHROMIUM.replace("a=fingerprint", "a=nothing"),
        CHROMIUM.replace("a=ice-pwd", "a=nothing"),
        CHROMIUM.replace("a=group:BUNDLE", "a=nothing"),
        CHROMIUM.replace("VP8/", "VP7/").replace("H264/", "H266/"),
        CHROMIUM[: len(CHROMIUM) // 9],
        CHROMIUM.replace("a=mid:1", f"a=mid:1\r\na=ssrc:{'9' * 5000} cname:x"),
    ],
)
async def test_an_offer_that_cannot_be_answered_is_refused_in_words(sdp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gets an error with a message, the attempt fails as invalid SDP, and the socket is closed after a grace."""
    monkeypatch.setattr("smproxy.origin.client_session.GRACE", 0.1)
    async with running() as (origin, reports), client(origin) as publisher:
        await send_offer(publisher, sdp)
        error = await publisher.hear(lambda each: each.get("data", {}).get("type") == "error")
        assert error["data"]["message"]
        assert await reports.until("AttemptFailed") == AttemptFailed("a1", ConnectError.INVALID_SDP)
        assert len(origin.services.streams) == 0
        await eventually(lambda: publisher.socket.close_code is not None)
    assert reports.kinds() == ["AttemptFailed"]


@pytest.mark.parametrize("name", sorted(path.name for path in OFFERS.glob("*.sdp")))
async def test_offers_of_real_browsers_are_answered(name: str) -> None:
    """Every recorded SDK offer gets an answer that mirrors its m-lines and can be reached on the loopback."""
    sdp = (OFFERS / name).read_bytes().decode()
    async with running() as (origin, _), client(origin) as publisher:
        await send_offer(publisher, sdp)
        reply = await publisher.hear(lambda each: "sdp" in each.get("data", {}))
        answer = reply["data"]["sdp"]["sdp"]
        await publisher.hear_code("NetConnection.ICE.TrickleCompleted")

    def kinds(text: str) -> list[str]:
        return [line.split()[0] for line in text.splitlines() if line.startswith("m=")]

    assert kinds(answer) == kinds(sdp)
    assert answer.count(" 127.0.0.1 ") >= len(kinds(sdp))
    assert "transport-cc" not in answer
    assert re.search(r"a=rtcp-fb:\d+ goog-remb", answer)
    assert answer.count("a=recvonly") == 2
    assert "a=sendrecv" not in answer


@pytest.mark.parametrize(
    "candidate",
    [
        None,
        {},
        {"type": "candidate", "candidate": ""},
        {"candidate": None},
        {"candidate": "candidate:1 1 udp 1 0a1b2c3d-0000-4000-8000-000000000000.local 9 typ host", "sdpMid": "0"},
        {"candidate": "candidate:1 1 tcp 1 192.0.2.2 9 typ host tcptype active", "sdpMLineIndex": 0},
        {"candidate": "candidate:1 1 udp 1 fe80::1%eth0 9 typ host", "sdpMLineIndex": 77},
        {"candidate": "candidate:\x00 rubbish", "sdpMLineIndex": -1},
        "text",
        7,
    ],
)
async def test_no_candidate_can_do_harm(candidate: Any) -> None:
    """Candidates of every shape, before the offer, after it and after the end marker, leave a publish as it is."""
    message = {"handleCandidate": "s1", "data": {"candidate": candidate}}
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.say(**message)
        await publisher.offer("s1", audio=False)
        await publisher.say(**message)
        await publisher.say(handleCandidate="s1", data={"candidate": {"type": "candidate", "candidate": ""}})
        await publisher.say(**message)
        await publisher.accept()
        await publisher.say(publish="s1", mode="live")
        await reports.until("TransportUp")
        assert "error" not in json.dumps(publisher.heard)


async def test_a_second_offer_is_declined_and_the_first_lives_on() -> None:
    """A second offer on one socket gets an error; the stream of the first is not touched."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", audio=False)
        await reports.until("TransportUp")
        await send_offer(publisher, CHROMIUM)
        await publisher.hear(lambda each: each.get("data", {}).get("type") == "error")
        await publisher.say(unpublish="s1")
        await reports.until("PeerEnded")


async def test_publish_without_an_offer_is_declined() -> None:
    """publish before any offer gets an error in words and starts nothing."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.say(publish="s1", mode="live")
        await publisher.hear(lambda each: each.get("data", {}).get("type") == "error")
        assert reports.kinds() == []


async def test_a_subscriber_s_question_has_no_consequences() -> None:
    """isAvailable of who does not publish is answered truly; nothing is reported of it."""
    async with running() as (origin, reports), client(origin) as publisher:
        await publisher.publish("s1", audio=False)
        async with client(origin, attempt="a2", id="subscriber-1b31") as subscriber:
            await subscriber.say(isAvailable="s1")
            assert (await subscriber.hear(lambda each: "isAvailable" in each))["isAvailable"] is True
            assert reports.kinds("a2") == []


@pytest.mark.parametrize(
    "rubbish", ["", "{", "[]", "null", '{"a":', '{"data":7}', '{"hello":1}', "[" * 5000, '{"mute":{}}']
)
async def test_rubbish_is_passed_over(rubbish: str) -> None:
    """Frames that are no message are not answered, and the connection goes on."""
    async with running() as (origin, _), client(origin) as publisher:
        await publisher.socket.send(rubbish)
        await publisher.socket.send(rubbish.encode())
        await publisher.say(isAvailable="s1", bundle=True)
        await publisher.hear(lambda each: "isAvailable" in each)
        assert len(publisher.heard) == 2


async def test_a_message_over_the_limit_closes_with_1009() -> None:
    """A message larger than the limit ends the connection with close code 1009."""
    async with running(max_message=1000) as (origin, reports), client(origin) as publisher:
        await publisher.socket.send("x" * 2000)
        await eventually(lambda: publisher.socket.close_code is not None)
        assert publisher.socket.close_code == 1009
        await reports.until("AttemptFailed")


async def test_a_path_without_an_application_is_not_found() -> None:
    """An upgrade to / is answered 404."""
    async with running() as (origin, _):
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{origin.hello.port}/", proxy=None)


async def test_a_direct_client_gets_a_token() -> None:
    """Without the attempt header, or with one in use, an origin that is open to all reports with a fresh token."""
    async with (
        running(open_to_all=True) as (origin, reports),
        client(origin, attempt=None),
        client(origin),
        client(origin),
    ):
        pass
    attempts = [each.attempt for each in reports if isinstance(each, AttemptFailed)]
    assert len(set(attempts)) == 3
    assert "a1" in attempts
    assert sum(each.startswith("direct-") for each in attempts) == 2


async def test_only_announced_clients_are_taken() -> None:
    """A15: a client that no manager announced gets HTTP 403 with the reason; an announcement is good for one connection."""
    async with running() as (origin, reports):
        with pytest.raises(InvalidStatus) as refused:
            async with client(origin, attempt=None):
                pass
        assert refused.value.response.status_code == 403
        assert b"stream manager" in refused.value.response.body
        async with client(origin):
            url = f"ws://127.0.0.1:{origin.hello.port}/live/?id=s1"
            with pytest.raises(InvalidStatus):
                await connect(url, additional_headers={ATTEMPT_HEADER: "a1"}, proxy=None)
        origin.command(Announce("a2"))
        origin.command(Evict("a2"))
        with pytest.raises(InvalidStatus):
            await connect(url, additional_headers={ATTEMPT_HEADER: "a2"}, proxy=None)
        assert [type(each) for each in reports if not isinstance(each, Load)] == [AttemptFailed]


async def test_the_json_subprotocol_is_selected_when_it_is_offered() -> None:
    """A client that offers json gets it, and one that offers nothing is served as well."""
    async with running() as (origin, _), client(origin, subprotocols=["json", "x"]) as first, client(origin) as second:
        assert first.socket.subprotocol == "json"
        assert second.socket.subprotocol is None
