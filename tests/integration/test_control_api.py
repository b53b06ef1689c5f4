"""The control API of a real simulator, with real publishers: sessions, streams, waiting for hooks, reset, and its OpenAPI."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from smproxy.manager.rest.openapi import API, document
from smproxy.simulator import Simulator
from smproxy.testing import PublishError, WebhookReceiver
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.helpers import eventually, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it looks for among old packages
    import jsonschema


def validate(template: str, method: str, status: int, answer: Any) -> None:
    """Fail when an answer is not what the document promises for this call."""
    described = document()
    schema = described["paths"][API + template][method]["responses"][str(status)]["content"]["application/json"][
        "schema"
    ]
    jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(answer)


@dataclass
class Control:
    """A client of one simulator; every answer is held against the document."""

    http: aiohttp.ClientSession
    base: str

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, f"{self.base}{API}{path}", **options) as response:
            answer = await response.json() if response.content_type == "application/json" else await response.text()
            return response.status, answer

    async def get(self, template: str, expected: int = 200, *, method: str = "get", **values: Any) -> Any:
        """Call, check status and answer, and return the answer; ``values`` fill the path or become parameters."""
        names = re.findall(r"{(\w+)}", template)
        path = template.format(**{name: values[name] for name in names})
        query = {name: str(value) for name, value in values.items() if name not in names}
        status, answer = await self.call(method.upper(), path, params=query)
        assert status == expected, answer
        validate(template, method, status, answer)
        return answer


@pytest.fixture
async def control(start_simulator: StartSimulator) -> AsyncIterator[tuple[Simulator, Control]]:
    """A simulator and a client of its control API."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession() as http:
        yield simulator, Control(http, simulator.rest_url)


Running = tuple[Simulator, Control]


async def test_a_session_from_its_start_to_its_end(control: Running, publisher: MakePublisher) -> None:
    """A session is shown while it lives, with its media, and after its end, with the reason."""
    simulator, api = control
    stream = publisher(simulator, "cam-1", params={"username": "ann", "meta": '{"room":"A"}'})
    await published(simulator, stream)
    listing = await api.get("/sessions")
    assert listing["total"] == 1
    view = await api.get("/sessions/{session}", session=listing["sessions"][0]["session"])
    assert (view["state"], view["role"], view["id"], view["stream"]) == ("connected", "publisher", "cam-1", "cam-1")
    assert (view["app"], view["scope"], view["customerScope"], view["username"]) == ("live", "live", "acme", "ann")
    assert view["meta"] == {"room": "A"}
    assert view["userAgent"].startswith("stream-manager-proxy")
    assert view["connectedAt"] >= view["startedAt"]
    assert (view["endedAt"], view["reason"], view["error"]) == (None, None, None)
    assert {track["direction"] for track in view["tracks"]} <= {"remote"}
    await stream.unpublish()
    await eventually(lambda: not len(simulator.manager.sessions))
    ended = await api.get("/sessions/{session}", session=view["session"])
    assert (ended["state"], ended["reason"]) == ("disconnected", "user_action")
    assert ended["endedAt"] >= ended["connectedAt"]
    tracks = {track["kind"]: track for track in ended["tracks"]}
    assert tracks["video"]["codec"] == "VP8"
    assert tracks["video"]["packets"] > 0
    assert tracks["video"]["keyFrames"] > 0
    assert tracks["audio"]["bytes"] > 0


async def test_the_bitrate_of_a_track(control: Running, publisher: MakePublisher) -> None:
    """A track that media flows on has a bitrate, and its stream shows the same."""
    simulator, api = control
    await published(simulator, publisher(simulator, "cam-1"))
    async with asyncio.timeout(scaled(15)):
        while True:
            stream = await api.get("/streams/{scope}/{name}", scope="live", name="cam-1")
            if stream["tracks"] and all(track["bitrate"] for track in stream["tracks"]):
                break
            await asyncio.to_thread(lambda: None)
    assert {track["kind"] for track in stream["tracks"]} == {"audio", "video"}
    assert stream["subscribers"] == 0
    assert stream["startedAt"] > 0


async def test_streams_and_origins(control: Running, publisher: MakePublisher) -> None:
    """Live streams are listed with their rooms, and the origin counts them; what is not live is not found."""
    simulator, api = control
    await published(simulator, publisher(simulator, "cam-1", params={"app": "live", "context": "room1"}))
    (stream,) = (await api.get("/streams"))["streams"]
    assert (stream["app"], stream["scope"], stream["name"]) == ("live", "live/room1", "cam-1")
    shown = await api.get("/streams/{scope}/{name}", scope="live/room1", name="cam-1")
    assert shown["session"] == stream["session"]
    (origin,) = (await api.get("/origins"))["origins"]
    assert (origin["publishers"], origin["subscribers"], origin["sessions"]) == (1, 0, 1)
    await api.get("/streams/{scope}/{name}", 404, scope="live", name="cam-1")


async def test_a_refused_connection_is_a_failed_session(control: Running) -> None:
    """A connection that is refused for its parameters is shown with the error, and its frames say what it was told."""
    simulator, api = control
    async with connect(f"{simulator.url}?id=cam-1&recording=maybe") as socket:
        assert "Rejected" in str(await socket.recv())
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    (view,) = (await api.get("/sessions", state="failed"))["sessions"]
    assert (view["error"], view["id"], view["hooks"]) == ("rejected", "cam-1", 1)
    _, text = await api.call("GET", f"/sessions/{view['session']}/frames")
    said, closed = map(json.loads, text.splitlines())
    assert said["from"] == "proxy"
    assert said["message"]["data"]["code"] == "NetConnection.Connect.Rejected"
    assert closed["close"] == {"code": 1008, "reason": "recording is neither true nor false"}


async def test_filters(control: Running, publisher: MakePublisher) -> None:
    """Sessions are found by what they are; an unknown parameter or value is refused with what is allowed."""
    simulator, api = control
    for name in ("cam-1", "cam-2"):
        await published(simulator, publisher(simulator, name, send_media=False))
    assert [each["id"] for each in (await api.get("/sessions"))["sessions"]] == ["cam-2", "cam-1"]
    assert (await api.get("/sessions", limit=1))["total"] == 2
    assert [each["id"] for each in (await api.get("/sessions", id="cam-1"))["sessions"]] == ["cam-1"]
    assert (await api.get("/sessions", state="connected,failed", role="publisher", customerScope="acme"))["total"] == 2
    assert (await api.get("/sessions", role="subscriber"))["total"] == 0
    assert "connecting, connected" in (await api.get("/sessions", 400, state="live"))["errorMessage"]
    assert "state, role, id" in (await api.get("/sessions", 400, stat="live"))["errorMessage"]
    assert "from 1 to 1000" in (await api.get("/sessions", 400, limit=0))["errorMessage"]
    assert "takes none" in (await api.get("/origins", 400, id="x"))["errorMessage"]
    await api.get("/sessions/{session}", 404, session=1)
    await api.get("/sessions/{session}", 400, session="x")


async def test_frames_have_no_secrets(control: Running, publisher: MakePublisher) -> None:
    """What was said is kept in both directions, and no password or token of the URL is in it, wherever it turns up."""
    simulator, api = control
    params = {"username": "ann", "password": "hun ter+2", "token": "tok-12345", "meta": '{"accessToken":"deep-secret"}'}
    stream = publisher(simulator, "tok-12345", params=params)
    await published(simulator, stream)
    await stream.unpublish()
    (view,) = (await api.get("/sessions"))["sessions"]
    _, text = await api.call("GET", f"/sessions/{view['session']}/frames", params={"header": "true"})
    header, *frames = map(json.loads, text.splitlines())
    for secret in ("hun ter", "hun%20ter", "tok-12345", "deep-secret"):
        assert secret not in text
    assert "password=***" in header["url"]
    assert header["userAgent"] == view["userAgent"]
    senders = {frame["from"] for frame in frames}
    assert senders >= {"client", "origin"}
    assert [frame["at"] for frame in frames] == sorted(frame["at"] for frame in frames)
    assert all(frame["session"] == view["session"] for frame in frames)
    said = [next(iter(frame["message"])) for frame in frames if frame["from"] == "client" and "message" in frame]
    assert said[:2] == ["isAvailable", "handleOffer"]
    assert frames[1]["message"] == {"isAvailable": "***", "bundle": True}


async def test_kick(control: Running, publisher: MakePublisher) -> None:
    """A kicked session ends at once, its client is told, and it cannot be kicked again."""
    simulator, api = control
    stream = publisher(simulator, "cam-1")
    await published(simulator, stream)
    (view,) = (await api.get("/sessions"))["sessions"]
    answer = await api.get("/sessions/{session}", method="delete", session=view["session"])
    assert answer == {"session": view["session"], "kicked": True}
    assert (await api.get("/sessions/{session}", session=view["session"]))["reason"] == "kicked"
    await eventually(stream.closed.is_set)
    assert stream.ended_by in ("server", "transport")
    await api.get("/sessions/{session}", 409, method="delete", session=view["session"])


async def test_timeline(start_simulator: StartSimulator, receiver: WebhookReceiver, publisher: MakePublisher) -> None:
    """The timeline has signaling, hooks and deliveries of one session, in the order of time."""
    simulator = await start_simulator(receiver)
    stream = publisher(simulator, "cam-1")
    await published(simulator, stream)
    await stream.unpublish()
    await eventually(lambda: not len(simulator.manager.sessions))
    assert await simulator.dispatcher.drained(scaled(5))
    async with aiohttp.ClientSession() as http:
        api = Control(http, simulator.rest_url)
        (view,) = (await api.get("/sessions"))["sessions"]
        entries = (await api.get("/sessions/{session}/timeline", session=view["session"]))["entries"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    titles = {
        kind: [entry["title"] for entry in entries if entry["kind"] == kind]
        for kind in ("signaling", "hook", "delivery")
    }
    assert {"handleOffer cam-1", "answer", "publish cam-1", "NetStream.Publish.Start"} <= set(titles["signaling"])
    assert titles["hook"][:2] == ["#1 connecting", "#2 connected"]
    assert sorted(titles["delivery"]) == sorted(titles["hook"])
    delivery = next(entry for entry in entries if entry["kind"] == "delivery")
    assert delivery["detail"].startswith("delivered in ")


async def test_waiting_for_a_hook_to_come(control: Running, publisher: MakePublisher) -> None:
    """A wait is answered when the event comes, with the event as receivers are sent it."""
    simulator, api = control
    waiting = asyncio.create_task(api.get("/hooks/wait", event="peer_joined", id="cam-2", timeout=30))
    for name in ("cam-1", "cam-2"):
        await published(simulator, publisher(simulator, name, send_media=False))
    event = await asyncio.wait_for(waiting, scaled(10))
    assert event["payload"]["peer"] == "cam-2"
    (stored,) = (await api.get("/hooks", id="cam-2", state="peer_joined"))["hooks"]
    assert event == {key: value for key, value in stored.items() if key != "id"}


async def test_waiting_for_what_has_come(control: Running, publisher: MakePublisher) -> None:
    """An event that came before the request is answered at once; ``since`` leaves out what the caller has seen."""
    simulator, api = control
    await published(simulator, publisher(simulator, "cam-1", send_media=False))
    event = await api.get("/hooks/wait", event="session", state="connected", role="publisher", app="live", timeout=30)
    assert event["seq"] == 2
    connecting = await api.get("/hooks/wait", state="connecting,connected", session=event["payload"]["session"])
    assert connecting["seq"] == 1
    later = await api.get("/hooks/wait", customerScope="acme", since=event["uuid"])
    assert later["seq"] == 3
    await api.get("/hooks/wait", 408, state="connected", since=event["uuid"], timeout=0)


async def test_waiting_in_vain(control: Running, publisher: MakePublisher) -> None:
    """When the time is up the answer names the events that came nearest, and each field that was different."""
    simulator, api = control
    await published(simulator, publisher(simulator, "cam-1", send_media=False))
    answer = await api.get("/hooks/wait", 408, event="peer_joined", id="cam-2", timeout=0.1)
    nearest = answer["nearest"][0]
    assert nearest["differences"] == {"id": ["cam-2", "cam-1"]}
    assert nearest["event"]["payload"]["event"] == "peer_joined"
    assert "id 'cam-1' instead of 'cam-2'" in answer["errorMessage"]
    for query, allowed in (
        ({"event": "peerjoined"}, "peer_joined"),
        ({"state": "live"}, "connected"),
        ({"timeout": 61}, "from 0 to 60"),
        ({"scope": "acme"}, "customerScope"),
        ({"since": "yesterday"}, "since"),
        ({"role": "viewer"}, "subscriber"),
    ):
        assert allowed in (await api.get("/hooks/wait", 400, **query))["errorMessage"]


async def test_a_wait_ends_with_the_simulator(start_simulator: StartSimulator) -> None:
    """A simulator that stops does not wait for those who wait for a hook."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession() as http:
        waiting = asyncio.create_task(Control(http, simulator.rest_url).call("GET", "/hooks/wait?timeout=60"))
        await eventually(lambda: simulator.manager.broadcast.listeners == 1)
        await asyncio.wait_for(simulator.stop(), scaled(10))
        status, answer = await asyncio.wait_for(waiting, scaled(5))
        assert (status, "stops" in answer["errorMessage"]) == (503, True)


async def test_reset(start_simulator: StartSimulator, receiver: WebhookReceiver, publisher: MakePublisher) -> None:
    """After a reset nothing lives, and nothing of before is found, waited for or delivered; what comes then is whole."""
    simulator = await start_simulator(receiver)
    streams = [publisher(simulator, name) for name in ("cam-1", "cam-2")]
    for stream in streams:
        await published(simulator, stream)
    async with aiohttp.ClientSession() as http:
        api = Control(http, simulator.rest_url)
        answer = await api.get("/reset", method="post")
        assert (answer["sessions"], answer["forgotten"], answer["complete"]) == (2, 2, True)
        assert answer["hooks"] > 0
        for stream in streams:
            await eventually(stream.closed.is_set)
        assert [
            event["payload"]["reason"] for event in receiver.events if event["payload"].get("state") == "disconnected"
        ] == [
            3,
            3,
        ]
        assert (await api.get("/sessions"))["total"] == 0
        assert await api.get("/hooks") == {"hooks": []}
        await api.get("/hooks/wait", 408, state="connected", timeout=0)
        before = len(receiver.events)
        await published(simulator, publisher(simulator, "cam-1", send_media=False))
        assert (await api.get("/hooks/wait", state="connected"))["seq"] == 2
        await eventually(lambda: len(receiver.events) >= before + 3)
        assert [event["seq"] for event in receiver.events[before : before + 3]] == [1, 2, 3]


async def test_reset_drops_what_is_not_delivered(
    start_simulator: StartSimulator, receiver: WebhookReceiver, publisher: MakePublisher
) -> None:
    """A receiver that was down gets nothing of the test before, neither after a reset nor after a restart."""
    receiver.respond = 503
    simulator = await start_simulator(receiver)
    await published(simulator, publisher(simulator, "cam-1", send_media=False))
    async with aiohttp.ClientSession() as http:
        answer = await Control(http, simulator.rest_url).get("/reset", method="post", timeout=0.3)
    assert not answer["complete"]
    assert answer["undelivered"] > 0
    (sink,) = simulator.dispatcher.status()
    assert sink.backlog == 0
    receiver.reset()
    await simulator.stop()
    again = Simulator(simulator.settings)
    async with again:
        await published(again, publisher(again, "cam-2", send_media=False))
        await eventually(lambda: len(receiver.events) >= 3)
        assert [(event["connection"]["id"], event["seq"]) for event in receiver.events[:3]] == [
            ("cam-2", n) for n in (1, 2, 3)
        ]


async def test_the_token(start_simulator: StartSimulator) -> None:
    """With an admin token every call of the control API needs it."""
    simulator = await start_simulator(admin_token="sesame")
    async with aiohttp.ClientSession() as http:
        api = Control(http, simulator.rest_url)
        for method, path in (
            ("GET", "/sessions"), ("DELETE", "/sessions/1"), ("GET", "/sessions/1/frames"), ("GET", "/streams"),
            ("GET", "/origins"), ("GET", "/hooks/wait"), ("POST", "/reset"), ("GET", "/openapi.json"),
        ):  # fmt: skip
            assert (await api.call(method, path))[0] == 401
        headers = {"Authorization": "Bearer sesame"}
        assert (await api.call("GET", "/sessions", headers=headers))[0] == 200
        assert (await api.call("POST", "/reset?accessToken=sesame"))[0] == 200


async def test_the_document_and_the_router_agree(control: Running) -> None:
    """Every route of ``/api/v1`` is in the OpenAPI document and every call of the document has a route."""
    simulator, api = control
    served = await api.get("/openapi.json")
    described = {(method, path) for path, methods in served["paths"].items() for method in methods}
    routes = set()
    for route in simulator.manager.router.routes():
        assert isinstance(route, web.AbstractRoute)
        assert route.resource is not None
        if route.resource.canonical.startswith(API) and route.method != "HEAD":
            routes.add((route.method.lower(), route.resource.canonical))
    assert described == routes


async def test_the_document_is_openapi(control: Running) -> None:
    """Every schema of the document is a JSON schema, every reference leads somewhere, and every call has a name of its own."""
    _, api = control
    served = await api.get("/openapi.json")
    assert served["openapi"].startswith("3.1")
    schemas = served["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(served)))
    assert references <= set(schemas)
    names = [operation["operationId"] for methods in served["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


async def test_faults_answer_as_described(control: Running, publisher: MakePublisher) -> None:
    """Faults and recordings are as the document says; a fault that acts shows in its session; a reset switches it off."""
    simulator, api = control
    status, fault = await api.call("POST", "/faults", json={"fault": "publish-denied", "match": {"id": "cam-1"}})
    validate("/faults", "post", status, fault)
    for path in ("/faults", "/faults/kinds", "/recordings"):
        await api.get(path)
    with pytest.raises(PublishError):
        await publisher(simulator, "cam-1").publish()
    log = (await api.get("/faults/log"))["log"]
    view = await api.get("/sessions/{session}", session=log[-1]["session"])
    assert view["faults"] == ["publish-denied"]
    entries = (await api.get("/sessions/{session}/timeline", session=view["session"]))["entries"]
    assert [entry["title"] for entry in entries if entry["kind"] == "fault"] == ["publish-denied"]
    assert (await api.get("/reset", method="post"))["faults"] == 1
    assert (await api.get("/faults"))["faults"] == []
    assert (await api.get("/faults/log"))["log"] == []
    await api.get("/faults/{id}", 404, method="delete", id=fault["id"])
    await published(simulator, publisher(simulator, "cam-1", send_media=False))


async def test_hook_calls_answer_as_described(control: Running, publisher: MakePublisher) -> None:
    """Listings, single events, sinks, triggers and resends of hooks are as the document says."""
    simulator, api = control
    await published(simulator, publisher(simulator, "cam-1", send_media=False))
    events = (await api.get("/hooks"))["hooks"]
    await api.get("/hooks/{uuid}", uuid=events[0]["uuid"])
    await api.get("/hooks/{uuid}", 404, uuid="nothing")
    await api.get("/hooks/dead")
    await api.get("/hooks/sinks")
    await api.get("/hooks/dead/resend", method="post")
    await api.get("/hooks/{uuid}/resend", method="post", uuid=events[0]["uuid"])
    status, event = await api.call("POST", "/hooks/trigger", json={"event": "connected"})
    validate("/hooks/trigger", "post", status, event)
