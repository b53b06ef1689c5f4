"""The headless publisher and subscriber over WHIP and WHEP, against an origin and against a server of another make."""

from __future__ import annotations

import re
from typing import Any

import pytest
from smproxy.origin.origin import Origin
from smproxy.signaling.node_channel import PeerEnded
from smproxy.signaling.payloads import Reason
from smproxy.testing import (
    Publisher,
    PublishError,
    PublishRejected,
    Subscriber,
    SubscribeRejected,
)
from smproxy.testing.http_session import endpoint_url

from tests.conformance.model_server import ModelServer
from tests.conformance.test_check import TOKEN, serving
from tests.helpers import eventually
from tests.integration import commands
from tests.integration.origin_client import running


def base(origin: Origin) -> str:
    return f"ws://127.0.0.1:{origin.hello.port}/live"


@pytest.mark.parametrize("data_channel", [True, False])
async def test_publish_over_whip_and_watch_over_whep(data_channel: bool) -> None:
    """Media comes; the end of each is a DELETE that the origin reports as the user's doing."""
    options: dict[str, Any] = {"stream": "s1", "data_channel": data_channel}
    async with running(open_to_all=True) as (origin, reports):
        async with Publisher(base(origin), transport="whip", **options) as publisher:
            assert publisher.state == "live"
            async with Subscriber(base(origin), transport="whep", **options) as subscriber:
                await subscriber.wait_for_frames(5)
                assert subscriber.picture.width == 320
            assert subscriber.ended_by == "client"
            assert [each.text.split()[0] for each in subscriber.frames if each.sender == "client"][-1] == "DELETE"
        ended = [each for each in reports if isinstance(each, PeerEnded)]
        assert [(each.reason, each.lost) for each in ended] == [(Reason.USER_ACTION, False)] * 2


async def test_what_a_publisher_sends_goes_over_the_data_channel() -> None:
    """send() and mute() reach a subscriber over WHEP; without a data channel they are refused in words."""
    async with running(open_to_all=True) as (origin, _):
        async with (
            Publisher(base(origin), stream="s1", transport="whip") as publisher,
            Subscriber(base(origin), stream="s1", transport="whep") as subscriber,
        ):
            await subscriber.wait_for_frames(1)
            publisher.send("hello", {"a": 1})
            await subscriber.wait_until(lambda: subscriber.invokes)
            assert (subscriber.invokes[0].method, subscriber.invokes[0].data) == ("hello", {"a": 1})
            publisher.mute(audio=True)
            await subscriber.wait_until(lambda: subscriber.streaming_mode == "Video")
        async with Publisher(base(origin), stream="s2", transport="whip", data_channel=False) as publisher:
            with pytest.raises(PublishError, match="without a data channel"):
                publisher.send("hello", {})


async def test_refusals_have_the_status_and_the_sentence_of_the_server() -> None:
    """A name in use and a stream that is not there are told with the detail of the problem details."""
    async with running(open_to_all=True) as (origin, _):
        async with Publisher(base(origin), stream="s1", transport="whip"):
            with pytest.raises(PublishRejected, match=r"HTTP 409: .+") as refused:
                await Publisher(base(origin), stream="s1", transport="whip").publish()
            assert refused.value.code == "HTTP 409"
        with pytest.raises(SubscribeRejected, match=r"HTTP 409: .*s2"):
            await Subscriber(base(origin), stream="s2", transport="whep").subscribe()


async def test_the_loss_of_the_server_ends_the_stream() -> None:
    """A session that ends at the server closes the publisher."""
    async with running(open_to_all=True) as (origin, _):
        publisher = Publisher(base(origin), stream="s1", transport="whip")
        await publisher.publish()
        await origin.stop()
        await eventually(publisher.closed.is_set)
        assert publisher.ended_by in ("server", "transport")
        await publisher.close()


async def test_a_server_of_another_make() -> None:
    """The clients need nothing but the standard: a token, a relative Location, a redirection, no data channel."""
    ingest, egress = ModelServer("whip", ["redirect-307"], token=TOKEN), ModelServer("whep")
    options: dict[str, Any] = {"stream": "x", "data_channel": False}
    async with serving(ingest) as whip, serving(egress) as whep:
        with pytest.raises(PublishRejected, match="HTTP 401"):
            await Publisher(whip, transport="whip", **options).publish()
        async with Publisher(whip, transport="whip", token=TOKEN, **options):
            assert len(ingest.sessions) == 1
        assert not ingest.sessions
        async with Subscriber(whep, transport="whep", **options) as subscriber:
            await subscriber.wait_for_frames(2)
        assert not egress.sessions


async def test_a_server_that_names_no_session_is_an_error() -> None:
    """A 201 without a Location cannot be used, and says so."""
    async with serving(ModelServer("whip", ["no-location"])) as whip:
        with pytest.raises(PublishError, match="no Location"):
            await Publisher(whip, stream="x", transport="whip", data_channel=False).publish()


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("ws://h:1/streammanager", "http://h:1/streammanager/whip/endpoint/a%2Fb?app=live"),
        ("wss://h/live/", "https://h/live/whip/endpoint/a%2Fb?app=live"),
        ("http://h/any/whip?x=1", "http://h/any/whip?x=1&app=live"),
    ],
)
def test_endpoints(url: str, endpoint: str) -> None:
    """The URL of a stream manager gets the endpoint's path; that of an endpoint stays; parameters go into the query."""
    assert endpoint_url(url, "whip", "a/b", {"app": "live"}) == endpoint


@pytest.mark.parametrize("url", ["ftp://h/x", "h/x", "http:///x"])
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    """Other URLs are refused before anything is sent."""
    with pytest.raises(ValueError, match="must look like"):
        Publisher(url, stream="s", transport="whip")


async def test_the_commands_publish_and_watch() -> None:
    """``smproxy publish --whip`` and ``subscribe --whep`` do what the classes do, against any server."""
    async with running(open_to_all=True) as (origin, reports):
        http = base(origin).replace("ws:", "http:")
        publishing = await commands.start("publish", "--whip", f"{http}/whip/endpoint/s1", "--duration", "6", "--json")
        await eventually(lambda: any(type(each).__name__ == "TrackStarted" for each in reports), 10)
        watched = await commands.run("subscribe", "--whep", f"{http}/whep/endpoint/s1", "--duration", "2")
        published = await commands.finish(publishing)
    assert (watched.code, published.code) == (0, 0), watched.err + published.err
    assert watched.out
    assert '"signaling": "whip"' in published.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["publish", "--whip", "ws://h/x"], "--whip: the URL cannot be used"),
        (["publish", "ws://h/x", "--whip", "http://h/x"], "give a URL or name, or --whip, not both"),
        (["subscribe", "s1", "--whep", "http://h/x"], "not both"),
    ],
)
async def test_arguments_that_do_not_fit_are_one_line(arguments: list[str], words: str) -> None:
    """Each is told in one line with exit code 2."""
    finished = await commands.run(*arguments)
    assert finished.code == 2
    assert words in finished.err
    assert finished.err.count("\n") == 1


async def test_a_refusal_says_what_to_do() -> None:
    """The command tells the status, the server's sentence and what to do."""
    async with running(open_to_all=True) as (origin, _):
        url = f"http://127.0.0.1:{origin.hello.port}/live/whep/endpoint/s1"
        finished = await commands.run("subscribe", "--whep", url)
    assert finished.code == 1
    assert re.search(r"refused with HTTP 409: .+; publish the stream first\n", finished.err)
