"""A subscriber's life at the origin, with real peer connections on both sides."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from smproxy.signaling.node_channel import (
    ChannelFrame,
    Load,
    LocalTrack,
    LocalTrackAttached,
    LocalTrackDetached,
    PeerEnded,
    PlayStarted,
    TransportUp,
)
from smproxy.signaling.payloads import Kind, Reason

from tests.helpers import eventually, scaled
from tests.integration.origin_client import Client, client, running
from tests.integration.origin_viewer import metadata, on_air, statistics, viewer

UNPUBLISH_NOTIFY = "NetStream.Play.UnpublishNotify"


async def test_a_subscription_is_served_and_reported_in_order() -> None:
    """Offer, one TrickleCompleted, starting, metadata; audio and video are decoded; each report comes once and in order."""
    async with on_air() as (origin, reports, _), viewer(origin) as subscriber:
        await subscriber.say(isAvailable="s1")
        assert (await subscriber.hear(lambda each: "isAvailable" in each))["isAvailable"] is True
        await subscriber.watch("s1")
        await subscriber.more("audio", "video")
        await eventually(lambda: "resolution" in (metadata(subscriber.heard) or [{}])[-1])
        assert metadata(subscriber.heard)[-1] == {"streamingMode": "Video/Audio", "resolution": "160,120"}
        await eventually(lambda: {"audio_main", "video_main"} <= {each.track for each in statistics(origin, "b1")})
        video = next(each for each in statistics(origin, "b1") if each.track == "video_main")
        assert (video.codec, video.width, video.height) == ("VP8", 160, 120)
        assert video.packets >= video.frames > 4
        await subscriber.socket.close()
        await reports.until("PeerEnded", "b1")
        assert statistics(origin, "b1") == []
    assert reports.of("b1") == [
        TransportUp("b1"),
        PlayStarted("b1", "s1", "live"),
        LocalTrack("b1", 0, Kind.AUDIO),
        LocalTrack("b1", 1, Kind.VIDEO),
        LocalTrackAttached("b1", 0, "s1", "audio_main"),
        LocalTrackAttached("b1", 1, "s1", "video_main"),
        LocalTrackDetached("b1", 0),
        LocalTrackDetached("b1", 1),
        PeerEnded("b1", Reason.USER_ACTION, False),
    ]
    codes = subscriber.codes()
    assert codes.count("NetConnection.ICE.TrickleCompleted") == 1
    assert codes.index("NetConnection.ICE.TrickleCompleted") < codes.index("NetStream.Play.Start")
    assert "NetConnection.DataChannel.Available" not in codes


async def test_a_late_viewer_need_not_wait_for_a_key_frame() -> None:
    """Whoever joins in the middle sees a picture at once, although a regular key frame comes only once a minute."""
    async with running() as (origin, _), client(origin) as publisher, viewer(origin) as first:
        await publisher.offer("s1")
        await publisher.accept()
        await publisher.say(publish="s1", mode="live", keyFramerate=60_000)
        await eventually(lambda: any(each.frames > 25 for each in origin.statistics()))
        await first.watch("s1")
        await first.more("video", count=1)
        async with viewer(origin, attempt="b2") as second:
            await second.watch("s1")
            await second.more("video", count=1)


async def test_five_watch_at_once_and_one_end_touches_nobody_else() -> None:
    """Five subscribers decode the same stream; one leaves, one vanishes, and neither publisher nor others notice."""
    async with AsyncExitStack() as stack:
        origin, reports, _ = await stack.enter_async_context(on_air(media_gap=0.4, media_timeout=1.2))
        viewers = [await stack.enter_async_context(viewer(origin, attempt=f"b{n}")) for n in range(5)]
        await asyncio.gather(*(each.watch("s1", data=n == 4) for n, each in enumerate(viewers)))
        assert [each for each in reports if isinstance(each, Load)][-1] == Load(1, 5)
        await asyncio.gather(*(each.more("audio", "video", timeout=10) for each in viewers))
        await viewers[0].socket.close()
        assert await reports.until("PeerEnded", "b0") == PeerEnded("b0", Reason.USER_ACTION, False)
        await viewers[4].switch()
        viewers[4].vanish()
        assert await reports.until("PeerEnded", "b4", 10) == PeerEnded("b4", Reason.TIMEOUT, True)
        assert "MediaGap" in reports.kinds("b4")
        await asyncio.gather(*(each.more("audio", "video") for each in viewers[1:4]))
        assert "PeerEnded" not in reports.kinds("a1")
        assert [each for each in reports if isinstance(each, Load)][-1] == Load(1, 3)


@pytest.mark.parametrize(("tracks", "kind"), [({"video": False}, "audio"), ({"audio": False}, "video")])
async def test_one_kind_is_enough(tracks: dict[str, bool], kind: str) -> None:
    """A stream with only audio or only video is offered, played and reported as that."""
    async with on_air(tracks=tracks) as (origin, reports, _), viewer(origin) as subscriber:
        offer = await subscriber.watch("s1")
        assert offer.count("m=") == 1
        await subscriber.more(kind)
        number = 0 if kind == "audio" else 1
        assert reports.of("b1")[-1] == LocalTrackAttached("b1", number, "s1", f"{kind}_main")
        mode = {"audio": "Audio", "video": "Video"}[kind]
        assert metadata(subscriber.heard)[-1]["streamingMode"] == mode


async def test_who_asks_before_the_first_packet_gets_both_tracks() -> None:
    """A stream that is live and has sent nothing yet is offered as it was negotiated, and played when its packets come."""
    async with running() as (origin, reports), client(origin) as publisher, viewer(origin) as subscriber:
        await publisher.offer("s1")
        await publisher.say(publish="s1", mode="live")
        await publisher.hear_code("NetStream.Publish.Start")
        offer = await subscriber.watch("s1")
        assert "m=audio" in offer
        assert "m=video" in offer
        assert reports.kinds("b1")[-1] == "LocalTrackAttached"
        await publisher.accept()
        await subscriber.more("audio", "video")


async def test_a_stream_that_ends_is_told_and_its_name_published_again_is_shown() -> None:
    """Unpublish detaches and is notified; the subscriber stays, and sees the next stream of the name without a new offer."""
    async with on_air() as (origin, reports, publisher), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        await subscriber.more("audio", "video")
        await publisher.say(unpublish="s1")
        notice = await subscriber.hear_code(UNPUBLISH_NOTIFY)
        assert notice == {"data": {"type": "status", "code": UNPUBLISH_NOTIFY}}
        assert reports.of("b1")[-2:] == [LocalTrackDetached("b1", 0), LocalTrackDetached("b1", 1)]
        await subscriber.say(isAvailable="s1")
        await subscriber.hear(lambda each: each.get("isAvailable") is False)
        async with client(origin, attempt="a2") as again:
            await again.publish("s1")
            await subscriber.hear_code("NetStream.Play.PublishNotify")
            assert reports.of("b1")[-2:] == [
                LocalTrackAttached("b1", 0, "s1", "audio_main"),
                LocalTrackAttached("b1", 1, "s1", "video_main"),
            ]
            await subscriber.more("audio", "video")
        await eventually(lambda: reports.kinds("b1").count("LocalTrackDetached") == 4)
        assert "PeerEnded" not in reports.kinds("b1")
    assert "NetStream.Play.Unpublish" not in str(publisher.heard + publisher.heard_on_channel)


async def test_a_name_published_again_with_another_codec_is_shown_as_far_as_it_can_be() -> None:
    """The codecs were settled with the subscriber: audio goes on, video of another codec is not attached."""
    async with on_air() as (origin, reports, publisher), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        await publisher.say(unpublish="s1")
        await subscriber.hear_code(UNPUBLISH_NOTIFY)
        async with client(origin, attempt="a2") as again:
            await again.offer("s1", videoEncoding="H264")
            await again.accept()
            await again.say(publish="s1", mode="live")
            await subscriber.hear_code("NetStream.Play.PublishNotify")
            assert reports.of("b1")[-1] == LocalTrackAttached("b1", 0, "s1", "audio_main")
            await subscriber.more("audio")
            await subscriber.socket.close()
            await reports.until("PeerEnded", "b1")
            assert "PeerEnded" not in reports.kinds("a2")
        assert reports.kinds("b1").count("LocalTrackAttached") == reports.kinds("b1").count("LocalTrackDetached") == 3


async def test_sender_reports_tie_audio_to_video() -> None:
    """Both slots report their clocks with the publisher's, as a player needs them for lip sync, and get reports back."""
    async with on_air() as (origin, _, _), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        deadline = asyncio.get_running_loop().time() + scaled(10)
        kinds: set[str] = set()
        while len(kinds) < 2:
            assert asyncio.get_running_loop().time() < deadline, kinds
            await subscriber.more("video", count=5)
            stats = (await subscriber.pc.getStats()).values()
            kinds = {each.kind for each in stats if each.type == "remote-outbound-rtp"}


async def test_a_stream_of_data_alone_is_offered_as_that() -> None:
    """Without media there is a data channel or a refusal, but nothing that hangs."""
    async with (
        on_air(tracks={"audio": False, "video": False, "data": True}) as (origin, reports, publisher),
        viewer(origin) as subscriber,
        viewer(origin, attempt="b2") as other,
    ):
        await subscriber.watch("s1", data=True)
        await subscriber.hear_code("NetConnection.DataChannel.Available")
        await publisher.say(send={"method": "m", "data": 1})
        await subscriber.hear(lambda each: each.get("send") == {"method": "m", "data": 1})
        assert metadata(subscriber.heard) == [{"streamingMode": "Empty"}]
        await other.say(requestOffer="s1", requestId="x")
        error = await other.hear_code("NetStream.Play.Failed")
        assert "neither audio nor video" in error["data"]["message"]
        assert reports.kinds("b1") == ["TransportUp", "PlayStarted"]


async def test_standby_and_mute_stop_the_media() -> None:
    """Standby sends nothing, its end goes on; muting one track leaves the other."""
    async with on_air() as (origin, _, _), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        await subscriber.more("audio", "video")

        def sent() -> dict[str, int]:
            return {each.track: each.packets for each in statistics(origin, "b1")}

        await subscriber.say(mute={"muteAudio": True, "muteVideo": True})
        await answered(subscriber)
        before = sent()
        published = sum(each.packets for each in statistics(origin, "a1"))
        await eventually(lambda: sum(each.packets for each in statistics(origin, "a1")) > published + 20)
        assert sent() == before
        await subscriber.say(mute={"muteVideo": False})
        await subscriber.more("video")
        assert sent()["audio_main"] == before["audio_main"]
        await subscriber.say(standby=True)
        await subscriber.say(standby=False)
        await subscriber.more("audio", "video")


async def answered(who: Client) -> None:
    """Wait until everything that was said before is taken: messages are taken in their order."""
    count = len(who.heard)
    await who.say(callAdapter={"method": "none"}, id="f00d", **{"async": True})
    await eventually(lambda: any(each.get("id") == "f00d" for each in who.heard[count:]))


async def test_what_the_publisher_says_reaches_its_subscribers() -> None:
    """send comes as it was said, orientation and mute come as metadata, on the socket and on the channel; an SDK from before
    8, which asks for no data channel, hears a send in the form that it knows."""
    async with on_air() as (origin, _, publisher), viewer(origin) as old, viewer(origin, attempt="b2") as new:
        await old.watch("s1")
        await new.watch("s1", data=True)
        await new.switch()
        await eventually(lambda: origin._attempts["b2"].role.signaling.switched)
        await publisher.say(send={"method": "whateverFunction", "data": {"message": "hi", "list": [1]}})
        await publisher.say(send={"method": "onMetaData", "data": {"deviceOrientation": 90}})
        await publisher.say(mute={"muteVideo": True})
        call = {"method": "whateverFunction", "data": {"message": "hi", "list": [1]}}
        invoked = {"type": "metadata", **call}
        said = {"data": {}, "send": call, "senderName": "s1", "dcLabel": "red5pro"}
        for heard, form in ((old.heard, invoked), (new.heard_on_channel, said)):
            await eventually(lambda heard=heard, form=form: form in heard)  # type: ignore[misc]
            await eventually(
                lambda heard=heard: any(  # type: ignore[misc]
                    each.get("orientation") == 90 and each["streamingMode"] == "Audio" for each in metadata(heard)
                )
            )


async def test_the_subscription_lives_on_after_the_switch() -> None:
    """On the data channel a subscriber is answered, notified in the channel's form, and what passes there is reported."""
    async with on_air(tracks={"data": True}) as (origin, reports, publisher), viewer(origin) as subscriber:
        offer = await subscriber.watch("s1", data=True)
        assert "m=application" in offer
        await subscriber.switch()
        await subscriber.more("audio", "video")
        call = json.dumps({"callAdapter": {"method": "getLiveStreams", "arguments": []}, "id": "1f", "async": True})
        subscriber.channel.send(call)
        await eventually(lambda: {"async": True, "id": "1f", "data": ["s1"]} in subscriber.heard_on_channel)
        await publisher.say(unpublish="s1")
        await eventually(lambda: {"data": {"status": UNPUBLISH_NOTIFY}} in subscriber.heard_on_channel)
        await subscriber.pc.close()
        assert await reports.until("PeerEnded", "b1") == PeerEnded("b1", Reason.USER_ACTION, False)
    codes = subscriber.codes()
    assert codes.index("NetStream.Play.Start") < codes.index("NetConnection.DataChannel.Available")
    frames = [each for each in reports if isinstance(each, ChannelFrame) and each.attempt == "b1"]
    assert ChannelFrame("b1", True, call) in frames
    assert json.loads(frames[-1].text) == {"data": {"status": UNPUBLISH_NOTIFY}}
    assert not frames[-1].by_client


async def test_no_data_channel_is_offered_unasked() -> None:
    """Without datachannel in requestOffer there is no m=application, and with it there is; each m-line has one msid."""
    async with on_air() as (origin, _, _), viewer(origin) as old, viewer(origin, attempt="b2") as new:
        plain, full = await old.ask("s1"), await new.ask("s1", data=True)
        assert "m=application" not in plain
        assert "m=application" in full
        ids = {line.split()[0] for line in full.splitlines() if line.startswith("a=msid:")}
        assert len(ids) == 1


async def test_a_stream_that_comes_back_in_another_codec_is_refused_with_the_reason() -> None:
    """What a subscriber did not negotiate it is not sent; it is told so, and still hears the sound."""
    async with on_air() as (origin, reports, publisher), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        await subscriber.more("video", "audio")
        await publisher.say(unpublish="s1")
        await reports.until("PeerEnded")
        async with client(origin, attempt="a2") as other:
            await other.offer("s1", videoEncoding="H264")
            await other.accept()
            await other.say(publish="s1", mode="live")
            refusal = await subscriber.hear(lambda each: each.get("data", {}).get("type") == "error")
            assert "H264" in refusal["data"]["message"]
            assert "the subscriber takes VP8" in refusal["data"]["message"]
            await subscriber.more("audio")
            assert reports.of("b1")[-1] == LocalTrackAttached("b1", 0, "s1", "audio_main")


async def test_a_flood_of_switches_is_refused() -> None:
    """A client that switches without end gets some of them, an answer to each, and goes on to see the stream."""
    async with on_air() as (origin, reports, _), viewer(origin) as subscriber:
        await subscriber.watch("s1")
        for number in range(200):
            call = {"method": "switchStreams", "arguments": [{"path": "live/s1"}]}
            await subscriber.say(callAdapter=call, id=f"t{number}")
        await subscriber.hear(lambda each: each.get("id") == "t199")
        answers = [each for each in subscriber.heard if str(each.get("id")).startswith("t")]
        refused = [each for each in answers if "Too many switches" in each.get("error", {}).get("message", "")]
        assert len(answers) == 200
        assert len(refused) > 100
        assert reports.kinds("b1").count("LocalTrackAttached") == 2 + 2 * (200 - len(refused))
        await subscriber.more("video", "audio")


async def test_a_subscriber_can_be_switched_to_another_stream() -> None:
    """switchStreams detaches and attaches, is answered on its ticket and notified; an unknown path changes nothing."""
    async with (
        on_air() as (origin, reports, _),
        client(origin, attempt="a2") as other,
        client(origin, attempt="a3") as strange,
        client(origin, attempt="a4") as odd,
        viewer(origin) as subscriber,
    ):
        await other.publish("s2")
        await strange.publish("s3", video=False)
        await odd.offer("s4", videoEncoding="H264")
        await odd.accept()
        await odd.say(publish="s4", mode="live")
        await odd.hear_code("NetStream.Publish.Start")
        await subscriber.watch("s1")
        await subscriber.more("video")

        async def switch(path: str, ticket: str) -> dict[str, Any]:
            arguments = [{"path": path, "isImmediate": True}]
            call = {"callAdapter": {"method": "switchStreams", "arguments": arguments}, "id": ticket, "async": True}
            await subscriber.say(**call)
            return await subscriber.hear(lambda each: each.get("id") == ticket)

        assert (await switch("live/nothing", "1"))["error"]["message"] == "Stream live/nothing does not exist."
        assert "H264" in (await switch("live/s4", "4"))["error"]["message"]
        assert reports.kinds("b1")[-1] == "LocalTrackAttached"
        assert (await switch("live/s2", "2"))["data"]
        assert {"data": {"type": "result", "message": "Stream switch: Success"}} in subscriber.heard
        assert reports.of("b1")[-4:] == [
            LocalTrackDetached("b1", 0),
            LocalTrackDetached("b1", 1),
            LocalTrackAttached("b1", 0, "s2", "audio_main"),
            LocalTrackAttached("b1", 1, "s2", "video_main"),
        ]
        await subscriber.more("video")
        assert (await switch("s3", "3"))["data"]
        assert reports.of("b1")[-1] == LocalTrackAttached("b1", 0, "s3", "audio_main")
        await eventually(lambda: metadata(subscriber.heard)[-1]["streamingMode"] == "Audio")
        assert "PeerEnded" not in {*reports.kinds("a1"), *reports.kinds("a2")}
