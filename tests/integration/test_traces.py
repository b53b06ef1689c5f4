"""Traces of real sessions, read by an OTLP receiver."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from smproxy.otel import OtelTracer
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import TransportTimes
from smproxy.testing import StreamError, WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd

from tests.integration.conftest import StartSimulator
from tests.integration.otlp_receiver import OtlpReceiver, SpanRecord

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PAIRS = [("websocket", "websocket"), ("whip", "whep")]


@pytest.fixture
async def otlp() -> AsyncIterator[OtlpReceiver]:
    """A receiver of traces."""
    async with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """An authentication back end."""
    async with AuthBackEnd() as back_end:
        yield back_end


def named(spans: list[SpanRecord], name: str) -> SpanRecord:
    """Return the one span with a name."""
    (span,) = [each for each in spans if each.name == name]
    return span


@pytest.mark.parametrize(("publish", "watch"), PAIRS)
async def test_a_session_is_one_trace(
    otlp: OtlpReceiver,
    receiver: WebhookReceiver,
    start_simulator: StartSimulator,
    back_end: AuthBackEnd,
    publish: str,
    watch: str,
) -> None:
    """From the page's own context on: admission, authentication, dial, offer, ICE, DTLS, hooks with every attempt."""
    failures = iter([503])
    receiver.respond = lambda _: next(failures, 204)
    simulator = await start_simulator(receiver, otel_endpoint=otlp.url, auth_uri=back_end.url)
    user: dict[str, Any] = {"customerScope": "acme", "username": "ann", "password": "secret-7"}
    async with simulator.publisher("cam", transport=publish, params={"traceparent": TRACEPARENT}, **user):
        async with simulator.subscriber("cam", transport=watch, **user) as subscriber:
            await subscriber.wait_for_frames(1)
        watching = simulator.manager.history.newest()
        (viewer,) = [view for view in watching if view.role == "subscriber"]
    await simulator.stop()
    spans = otlp.of(TRACE)
    root = named(spans, "publish")
    assert root.parent == CALLER
    assert otlp.services == {"stream-manager-proxy"}
    assert root.attributes["smproxy.customerScope"] == "acme"
    assert root.attributes["smproxy.id"] == "cam"
    assert root.attributes["smproxy.transport"] == publish
    steps = [named(spans, name) for name in ("admission", "authentication", "dial", "offer/answer", "ICE", "DTLS")]
    for step in steps:
        assert step.parent == root.span, step
        assert step.failed is None, step
        assert root.start <= step.start <= step.end <= root.end, step
    assert [step.start for step in steps[-3:]] == sorted(step.start for step in steps[-3:])
    # Each hook has a span, which its receiver was given as parent; each attempt is one below it.
    published = [hook for hook in receiver.hooks if hook.event["connection"]["role"] == "publisher"]
    for hook in published:
        version, trace, parent, flags = hook.headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", TRACE, "01")
        (event,) = [span for span in spans if span.span == parent]
        assert event.name.startswith("hook ")
        assert (event.parent, event.attributes["smproxy.uuid"]) == (root.span, hook.uuid)
    attempts = [span for span in spans if span.name == "deliver"]
    assert len(attempts) == len(published)
    assert [span.failed for span in attempts if span.failed] == ["HTTP 503"]
    assert "secret-7" not in repr(otlp.spans)
    # Who watches has a trace of its own.
    (other,) = [span for span in otlp.spans if span.name == "subscribe"]
    assert other.trace != TRACE
    assert other.attributes["smproxy.session"] == str(viewer.session)
    for name in ("ICE", "DTLS", "offer/answer"):
        assert named(otlp.of(other.trace), name).failed is None


async def test_the_header_of_a_whip_request_is_the_parent(otlp: OtlpReceiver, start_simulator: StartSimulator) -> None:
    """What a WHIP client sends as ``traceparent`` comes before what is in its URL; nonsense begins a trace of its own."""
    simulator = await start_simulator(None, otel_endpoint=otlp.url)
    for value in (TRACEPARENT, "00-zz-1-01"):
        url = f"{simulator.rest_url}/live/whip/endpoint/cam?customerScope=acme&traceparent=00-{'1' * 32}-{'2' * 16}-01"
        await post(url, value)
    await simulator.stop()
    roots = [span for span in otlp.spans if span.name == "publish"]
    assert [(span.trace == TRACE, span.parent) for span in roots] == [(True, CALLER), (False, "")]
    assert all(span.failed for span in roots)


async def post(url: str, traceparent: str) -> None:
    """Send an offer that is none."""
    headers = {"Content-Type": "application/sdp", "traceparent": traceparent}
    async with aiohttp.ClientSession() as http, http.post(url, data="v=0", headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize(("publish", "watch"), PAIRS)
async def test_a_refusal_is_a_trace_that_failed(
    otlp: OtlpReceiver, start_simulator: StartSimulator, back_end: AuthBackEnd, publish: str, watch: str
) -> None:
    """The trace of a client that is not let in says so where it happened, and ends there."""
    simulator = await start_simulator(None, otel_endpoint=otlp.url, auth_uri=back_end.url)
    back_end.deny()
    for client in (
        simulator.publisher("cam", transport=publish, username="ann", password="p"),
        simulator.subscriber("cam", transport=watch, username="ann", password="p"),
    ):
        with pytest.raises(StreamError):
            async with client:
                pass
    await simulator.stop()
    for root in ("publish", "subscribe"):
        spans = otlp.of(named(otlp.spans, root).trace)
        assert named(spans, root).failed
        assert named(spans, "authentication").failed
        assert [span.name for span in spans if span.name in ("dial", "ICE")] == []
        assert any(span.name == "hook connect_error" for span in spans)


async def test_an_exporter_that_fails_hurts_no_session(
    otlp: OtlpReceiver, receiver: WebhookReceiver, start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions, hooks and the stop go on when the receiver refuses all, and the log says that spans are lost."""
    otlp.status = 400
    simulator = await start_simulator(receiver, otel_endpoint=otlp.url)
    async with simulator.publisher("cam", customerScope="acme"):
        pass
    await simulator.stop()
    assert receiver.events[-1]["payload"]["state"] == "disconnected"
    assert "spans are lost" in caplog.text
    assert otlp.spans == []


async def test_what_never_came_about_failed_where_it_stopped(otlp: OtlpReceiver) -> None:
    """Of a client whose ICE never completes, the offer is fine, ICE has failed, and there is no DTLS."""
    tracer = OtelTracer(otlp.url, clock=Clock())
    trace = tracer.begin("websocket", "127.0.0.1", TRACEPARENT)
    trace.step("dial")
    trace.transport(TransportTimes(offered=0.3, described=0.2, answered=0.1), "timeout")
    trace.end("timeout")
    await tracer.stop()
    assert named(otlp.spans, "offer/answer").failed is None
    assert named(otlp.spans, "ICE").failed == "timeout"
    assert named(otlp.spans, "dial").failed == "timeout"
    assert not [span for span in otlp.spans if span.name == "DTLS"]


def test_nothing_is_imported_that_nobody_asked_for() -> None:
    """Without the option, OpenTelemetry and its dependencies are not imported."""
    code = (
        "import asyncio, sys; from smproxy.simulator import Simulator\n"
        "async def main():\n    async with Simulator(): pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('opentelemetry', 'google', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
