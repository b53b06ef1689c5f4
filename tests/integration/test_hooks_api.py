"""``/api/v1/hooks`` and ``/metrics``, over HTTP, with a real dispatcher, journal and receiver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from smproxy.signaling.hook_names import NAMES, STATES
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually
from tests.hooks_support import hook_event
from tests.hooks_support import receiver as receiving
from tests.integration.hook_api import HookApi, hook_api


def body(event: dict[str, Any]) -> dict[str, Any]:
    """Return a listed event as it was published."""
    return {key: value for key, value in event.items() if key not in {"id", "deliveries"}}


async def trigger(api: HookApi, event: str, **params: Any) -> dict[str, Any]:
    status, answer = await api.call("POST", "/trigger", json={"event": event, "params": params})
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


async def test_list_and_filters(tmp_path: Path) -> None:
    """The journal's events are listed oldest first with their ids, narrowed by every filter alone and together."""
    async with hook_api(tmp_path) as api:
        events = [hook_event(7, 1), hook_event(7, 2, state="connected"), hook_event(8, 1, "other")]
        for event in events:
            api.dispatcher.publish(event)
        listed = (await api.get())["hooks"]
        assert [body(event)["uuid"] for event in listed] == [event.uuid for event in events]
        assert list(listed[0])[:2] == ["id", "uuid"]
        ids = [event["id"] for event in listed]
        assert ids == sorted(ids)
        at = listed[0]["ts"]
        for query, wanted in (
            ({"customerScope": "other"}, [2]), ({"customerscope": "other"}, [2]),
            ({"id": "cam-1"}, [0, 1, 2]), ({"id": "cam-2"}, []), ({"session": 7}, [0, 1]),
            ({"event": "session"}, [0, 1, 2]), ({"event": "peer"}, []), ({"state": "connected"}, [1]),
            ({"since": at}, [0, 1, 2]), ({"since": at + 1}, []), ({"until": at - 1}, []), ({"after": ids[0]}, [1, 2]),
            ({"before": ids[2]}, [0, 1]), ({"limit": 2}, [0, 1]), ({"limit": 1, "newest": "true"}, [2]),
            ({"session": 7, "state": "connected", "customerScope": "acme"}, [1]), ({"dead": "true"}, []),
        ):  # fmt: skip
            assert (await api.get(**query))["hooks"] == [listed[number] for number in wanted], query


async def test_show_tells_every_attempt(tmp_path: Path) -> None:
    """An event is shown with each sink, its state and each attempt in order."""
    async with WebhookReceiver([503, 204]) as receiver, hook_api(tmp_path, sinks=[receiver.url]) as api:
        event = await trigger(api, "connected")
        await receiver.wait_for_count(2)
        await eventually(lambda: api.dispatcher.status()[0].delivered == 1)
        shown = await api.get(f"/{event['uuid']}")
        assert body(shown) == event
        (delivery,) = shown["deliveries"]
        assert (delivery["sink"], delivery["state"], delivery["tries"]) == (receiver.url, "delivered", 2)
        first, second = delivery["attempts"]
        assert (first["outcome"], first["detail"], second["outcome"]) == ("retry", "HTTP 503", "delivered")
        assert all(attempt["tookMs"] >= 0 and attempt["at"] > 0 for attempt in delivery["attempts"])
        assert (await api.call("GET", "/00000000-0000-7000-8000-000000000000"))[0] == 404


async def test_dead_letters_are_listed_and_sent_again(tmp_path: Path) -> None:
    """What a receiver refused is listed as dead; sent again, one or all, it arrives with the same bytes and is dead no more."""
    async with WebhookReceiver(400) as receiver, hook_api(tmp_path, sinks=[receiver.url]) as api:
        events = [await trigger(api, state) for state in ("connected", "peer_joined", "disconnected")]
        await receiver.wait_for_count(3)
        await eventually(lambda: api.dispatcher.status()[0].dead == 3)
        dead = (await api.get("/dead"))["hooks"]
        assert [body(event) for event in dead] == events
        assert dead[0]["deliveries"][0]["state"] == "dead"
        assert dead[0]["deliveries"][0]["attempts"][0]["detail"] == "HTTP 400"
        assert (await api.get(dead="true", state="connected"))["hooks"] == [{"id": dead[0]["id"], **events[0]}]
        receiver.respond = 204
        assert await api.call("POST", f"/{events[0]['uuid']}/resend") == (200, {"resent": 1})
        await receiver.wait_for_count(4)
        assert receiver.hooks[3].body == receiver.hooks[0].body
        await eventually(lambda: api.dispatcher.status()[0].delivered == 1)
        assert len((await api.get("/dead"))["hooks"]) == 2
        assert await api.call("POST", "/dead/resend", params={"sink": receiver.url}) == (200, {"resent": 2})
        await receiver.wait_for_count(6)
        await eventually(lambda: api.dispatcher.status()[0].delivered == 3)
        assert await api.get("/dead") == {"hooks": []}
        assert (await api.call("POST", "/dead/resend")) == (200, {"resent": 0})


async def test_sinks(tmp_path: Path) -> None:
    """Each sink's state is told under a name without credentials."""
    async with WebhookReceiver() as receiver:
        uri = receiver.url.replace("//", "//ann:hush@")
        async with hook_api(tmp_path, sinks=[uri]) as api:
            await trigger(api, "session")
            await eventually(lambda: api.dispatcher.status()[0].delivered == 1)
            (sink,) = (await api.get("/sinks"))["sinks"]
            assert (sink["delivered"], sink["backlog"], sink["dead"], sink["disabled"]) == (1, 0, 0, False)
            assert "***@127.0.0.1" in sink["name"]


async def test_a_receiver_that_refuses_everything(tmp_path: Path) -> None:
    """Of two receivers on one host the one that refuses every event is failing, the other is not; each, and each dead letter,
    has the whole path and neither user, password nor a value of the query (T8)."""
    mended = False

    async def answer(request: web.Request, _count: int) -> web.Response:
        return web.Response(status=204 if mended and request.path.endswith("/two") else 422)

    async with receiving(answer) as receiver:
        base = receiver.url.replace("http://", "http://ann:hush@")
        uris = [f"{base}/one/bad?key=secret", f"{base}/two"]
        async with hook_api(tmp_path, sinks=uris) as api:
            event = await trigger(api, "connected")
            await eventually(lambda: [sink.state for sink in api.dispatcher.status()] == ["failing", "failing"])
            mended = True
            await api.call("POST", f"/{event['uuid']}/resend", params={"sink": api.dispatcher.status()[1].name})
            await eventually(lambda: [sink.state for sink in api.dispatcher.status()] == ["failing", "idle"])
            names = [sink["name"] for sink in (await api.get("/sinks"))["sinks"]]
            shown = receiver.url.replace("http://", "http://***@")
            assert names == [f"{shown}/one/bad?***", f"{shown}/two"]
            (dead,) = (await api.get("/dead"))["hooks"]
            assert [(each["sink"], each["state"]) for each in dead["deliveries"]] == [
                (names[0], "dead"),
                (names[1], "delivered"),
            ]
            assert "hush" not in json.dumps(dead)
            assert "secret" not in json.dumps(dead)


async def test_errors() -> None:
    """A bad parameter, body, uuid or sink is a 4xx that says what is right."""
    async with hook_api() as api:
        for method, path, status, part in (
            ("GET", "?scope=x", 400, "customerScope"),
            ("GET", "?limit=0", 400, "from 1 to 1000"), ("GET", "?limit=1001", 400, "1000"),
            ("GET", "?session=x", 400, "session"), ("GET", "?since=%C2%B2", 400, "since"),
            ("GET", "?after=99999999999999999999", 400, "after"), ("GET", "?dead=perhaps", 400, "true nor false"),
            ("GET", "/nothing", 404, "nothing"), ("POST", "/nothing/resend", 404, "nothing"),
            ("POST", "/dead/resend?sink=x", 404, "no sink x"), ("POST", "/trigger", 400, "JSON"), ("POST", "", 405, "POST"),
        ):  # fmt: skip
            answer = await api.call(method, path)
            assert answer[0] == status, answer
            assert part in answer[1]["errorMessage"]
            assert answer[1]["timestamp"] > 0
        for text in ("[]", '{"params":{}}', '{"event":1}', '{"event":"session","extra":1}', "\xff"):
            assert (await api.call("POST", "/trigger", data=text.encode("latin-1")))[0] == 400


async def test_token() -> None:
    """With a token every call needs it, in the query or as a bearer; without it nothing happens."""
    async with hook_api(token="hush") as api:
        for method, path in (
            ("GET", ""), ("GET", "/dead"), ("GET", "/sinks"), ("GET", "/x"), ("POST", "/trigger"), ("POST", "/x/resend"),
            ("POST", "/dead/resend"),
        ):  # fmt: skip
            for options in ({}, {"params": {"accessToken": "no"}}, {"headers": {"Authorization": "Basic hush"}}):
                status, answer = await api.call(method, path, **options)  # type: ignore[arg-type]
                assert status == 401, (method, path)
                assert "hush" not in json.dumps(answer)
        assert await api.get(accessToken="hush") == {"hooks": []}
        headers = {"Authorization": "Bearer hush"}
        assert (await api.call("POST", "/trigger", json={"event": "peer"}, headers=headers))[0] == 200
        assert len((await api.get(accessToken="hush"))["hooks"]) == 1


async def test_trigger_goes_to_everybody() -> None:
    """Every event and state can be triggered; sinks, journal and listeners get the bytes that the call answered with."""
    async with WebhookReceiver() as receiver, hook_api(sinks=[receiver.url]) as api:
        async with api.http.ws_connect(api.socket_url) as socket:
            for name in NAMES:
                event = await trigger(api, name)
                state = STATES[name][0] if name in STATES else name
                assert (event["payload"].get("state") or event["payload"]["event"]) == state
                assert event["seq"] == 1
                hook = await receiver.wait_for(lambda hook, uuid=event["uuid"]: hook.uuid == uuid)
                assert hook.event == event
                assert json.loads(await socket.receive_str(timeout=5)) == event
        assert [body(event) for event in (await api.get())["hooks"]] == receiver.events
        assert len({event["payload"]["session"] for event in receiver.events}) == len(NAMES)


async def test_a_triggered_life() -> None:
    """Naming a triggered session goes on with it; naming any other session of the journal is refused."""
    async with hook_api() as api:
        first = await trigger(api, "connecting", id="cam-9", customerScope="acme", meta='{"a":[1]}', recording="true")
        assert first["connection"]["meta"] == {"a": [1]}
        assert first["connection"]["recording"] is True
        session = first["payload"]["session"]
        second = await trigger(api, "peer_joined", session=session, id="cam-9")
        assert (second["seq"], second["payload"]["peer"], second["payload"]["room"]) == (2, "cam-9", "live")
        api.dispatcher.publish(hook_event(7, 1))
        status, answer = await api.call("POST", "/trigger", json={"event": "disconnected", "params": {"session": 7}})
        assert status == 400
        assert "session=7" in answer["errorMessage"]


async def test_metrics(tmp_path: Path) -> None:
    """``/metrics`` parses as Prometheus text and tells what was journalled, attempted, delivered, given up and how fast."""
    async with WebhookReceiver([503, 204, 400]) as receiver, hook_api(tmp_path, sinks=[receiver.url]) as api:
        await trigger(api, "connected")
        await receiver.wait_for_count(2)
        await trigger(api, "peer_joined")
        await receiver.wait_for_count(3)
        await eventually(lambda: api.dispatcher.status()[0].dead == 1 and api.dispatcher.status()[0].backlog == 0)
        async with api.http.ws_connect(api.socket_url), api.http.get(f"{api.url}/metrics") as response:
            assert response.status == 200
            assert response.content_type == "text/plain"
            text = await response.text()
        samples = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        sink = receiver.url
        assert samples["smproxy_hooks_journalled_total",] == 2
        assert samples["smproxy_hooks_delivered_total", sink] == 1
        assert samples["smproxy_hooks_dead_letters_total", sink] == 1
        assert samples["smproxy_hooks_backlog", sink] == 0
        for outcome in ("retry", "delivered", "dead"):
            assert samples[("smproxy_hooks_attempts_total", *sorted([sink, outcome]))] == 1
        assert samples["smproxy_hooks_latency_seconds_count", sink] == 1
        assert 0 < samples["smproxy_hooks_latency_seconds_sum", sink] < 60
        assert samples["smproxy_webhook_listeners",] == 1
        assert samples["smproxy_sessions",] == samples["smproxy_relays",] == 0
        assert samples["smproxy_hooks_journal_healthy",] == 1


async def test_metrics_twice() -> None:
    """Two instances in one process have each their own numbers."""
    async with hook_api() as one, hook_api() as other:
        await trigger(one, "session")
        for api, count in ((one, "1.0"), (other, "0.0")):
            async with api.http.get(f"{api.url}/metrics") as response:
                assert f"smproxy_hooks_journalled_total {count}" in await response.text()


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
async def test_metrics_in_the_format_asked_for(accept: str) -> None:
    """A scraper that asks for OpenMetrics gets it."""
    async with hook_api() as api, api.http.get(f"{api.url}/metrics", headers={"Accept": accept}) as response:
        assert (response.content_type == "application/openmetrics-text") == bool(accept)
        assert ("# EOF" in await response.text()) == bool(accept)
