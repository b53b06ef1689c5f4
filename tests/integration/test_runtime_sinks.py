"""``/api/v1/hooks/sinks``: receivers that are added and removed while the stream manager runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from smproxy.commands.verifier import Verifier
from smproxy.hooks.formats.registry import FORMATS
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.integration.conftest import StartSimulator
from tests.integration.test_control_api import Control, validate

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Running = tuple[Simulator, Control]


@pytest.fixture
async def control(start_simulator: StartSimulator) -> AsyncIterator[Running]:
    """A simulator without sinks, and a client of its control API."""
    simulator = await start_simulator()
    async with aiohttp.ClientSession() as http:
        yield simulator, Control(http, simulator.rest_url)


async def trigger(api: Control, state: str, **params: object) -> str:
    """Have an event sent; return its uuid."""
    status, event = await api.call("POST", "/hooks/trigger", json={"event": state, "params": params})
    assert status == 200, event
    return str(event["uuid"])


async def test_from_adding_to_removing(control: Running, receiver: WebhookReceiver) -> None:
    """A sink gets what comes after it was added, under the name that it was given, until it is removed."""
    _, api = control
    await trigger(api, "connected")
    status, sink = await api.call("POST", "/hooks/sinks", json={"uri": receiver.url, "name": "mine"})
    assert (status, sink["name"], sink["state"]) == (201, "mine", "idle")
    validate("/hooks/sinks", "post", 201, sink)
    uuid = await trigger(api, "connected")
    await receiver.wait_for_count(1)
    assert [hook.event["uuid"] for hook in receiver.hooks] == [uuid]
    assert [each["name"] for each in (await api.get("/hooks/sinks"))["sinks"]] == ["mine"]
    shown = await api.get("/hooks/{uuid}", uuid=uuid)
    assert [each["sink"] for each in shown["deliveries"]] == ["mine"]
    assert (await api.call("DELETE", "/hooks/sinks/mine"))[0] == 204
    await trigger(api, "connected")
    assert (await api.get("/hooks/sinks"))["sinks"] == []
    await api.get("/hooks/sinks/{sink}", 404, method="delete", sink="mine")
    assert len(receiver.hooks) == 1


async def test_every_option(control: Running) -> None:
    """Format, secret and customer scope act as the options of the start; a name that is a URL is percent-encoded to remove."""
    _, api = control
    async with WebhookReceiver() as signed, WebhookReceiver() as events:
        asked = {"uri": signed.url, "secret": SECRET, "customerScope": "acme"}
        status, sink = await api.call("POST", "/hooks/sinks", json=asked)
        assert (status, sink["name"]) == (201, f"{signed.url} (scope acme)")
        assert SECRET not in json.dumps(sink)
        status, other = await api.call("POST", "/hooks/sinks", json={"uri": events.url, "format": "cloudevents"})
        assert status == 201
        await trigger(api, "connected", customerScope="other")
        mine = await trigger(api, "connected", customerScope="acme")
        await signed.wait_for_count(1)
        await events.wait_for_count(2)
        assert [hook.event["uuid"] for hook in signed.hooks] == [mine]
        assert Verifier(SECRET).problem(signed.hooks[0].body, signed.hooks[0].headers) is None
        assert json.loads(events.hooks[0].body)["specversion"] == "1.0"
        for name in (sink["name"], other["name"]):
            assert (await api.call("DELETE", f"/hooks/sinks/{quote(name, safe='')}"))[0] == 204
    assert (await api.get("/hooks/sinks"))["sinks"] == []


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({}, 400, "uri"), ({"uri": "ftp://x/"}, 400, "unknown scheme"),
        ({"uri": "http://x/", "format": "x"}, 400, ", ".join(FORMATS)),
        ({"uri": "http://x/", "name": ""}, 400, "name"), ({"uri": "http://x/", "customerScope": ""}, 400, "customerScope"),
        ({"uri": "http://x/", "sink": 1}, 400, "sink"), ({"uri": "http://ann:hush@[x/"}, 400, "hook URI"),
    ],
)  # fmt: skip
async def test_what_is_refused(control: Running, asked: dict[str, object], status: int, said: str) -> None:
    """What cannot be a sink is refused in a sentence without secrets."""
    _, api = control
    got, answer = await api.call("POST", "/hooks/sinks", json=asked)
    assert got == status
    validate("/hooks/sinks", "post", status, answer)
    assert said in answer["errorMessage"]
    assert "hush" not in answer["errorMessage"]


async def test_a_name_that_is_taken(control: Running, receiver: WebhookReceiver) -> None:
    """A second sink of one name is a conflict; with another name the same receiver gets each event twice."""
    _, api = control
    assert (await api.call("POST", "/hooks/sinks", json={"uri": receiver.url}))[0] == 201
    status, answer = await api.call("POST", "/hooks/sinks", json={"uri": receiver.url})
    assert (status, "already" in answer["errorMessage"]) == (409, True)
    assert (await api.call("POST", "/hooks/sinks", json={"uri": receiver.url, "name": "twice"}))[0] == 201
    await trigger(api, "connected")
    await receiver.wait_for_count(2)


async def test_a_reset_removes_what_was_added(start_simulator: StartSimulator, receiver: WebhookReceiver) -> None:
    """A reset removes the sinks that were added, and delivers to them first; ``sinks=keep`` spares them."""
    simulator = await start_simulator(receiver)
    async with aiohttp.ClientSession() as http, WebhookReceiver() as added:
        api = Control(http, simulator.rest_url)
        assert (await api.call("POST", "/hooks/sinks", json={"uri": added.url}))[0] == 201
        await trigger(api, "connected")
        assert (await api.get("/reset", method="post", sinks="keep"))["sinks"] == 0
        assert len(added.hooks) == 1
        await trigger(api, "connected")
        assert (await api.get("/reset", method="post"))["sinks"] == 1
        assert len(added.hooks) == 2
        assert [each["name"] for each in (await api.get("/hooks/sinks"))["sinks"]] == [receiver.url]
        await trigger(api, "connected")
        await eventually(lambda: len(receiver.hooks) == 3)
        assert len(added.hooks) == 2
