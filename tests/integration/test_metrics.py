"""The metrics of real sessions over every transport, read by Prometheus' own parsers."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.helpers import eventually_reads
from tests.integration.conftest import StartSimulator

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def scrape(simulator: Simulator, accept: str = "text/plain") -> Samples:
    """Read the metrics as Prometheus does: a value by name and labels."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{simulator.rest_url}/metrics", headers={"Accept": accept}) as response,
    ):
        text = await response.text()
    families = list((read_openmetrics if accept == OPENMETRICS else read_text)(text))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(samples: Samples, metric: str, **labels: str) -> float:
    """Return a sample, 0 when there is none."""
    return samples.get((metric, tuple(sorted(labels.items()))), 0.0)


@pytest.mark.parametrize(("publish", "watch"), [("websocket", "websocket"), ("whip", "whep")])
async def test_media_are_counted_over_every_transport(
    receiver: WebhookReceiver, start_simulator: StartSimulator, tmp_path: Path, publish: str, watch: str
) -> None:
    """Publishers, subscribers, packets, bitrate, round-trip times and recordings are in the metrics."""
    simulator = await start_simulator(receiver, recordings=tmp_path)
    place = {"app": "live", "customer_scope": "acme"}
    async with (
        simulator.publisher("s1", transport=publish, recording=True, customerScope="acme"),
        simulator.subscriber("s1", transport=watch, customerScope="acme") as subscriber,
    ):
        await subscriber.wait_for_frames(5)

        def full(samples: Samples) -> bool:
            return all(
                value(samples, "smproxy_media_bits_per_second", role=role, **place) > 10_000
                and value(samples, "smproxy_media_packets_total", role=role, **place) > 5
                and value(samples, "smproxy_media_rtt_seconds_count", role=role) > 0
                for role in ("publisher", "subscriber")
            )

        live = await eventually_reads(lambda: scrape(simulator), full)
        assert value(live, "smproxy_publishers", transport=publish, **place) == 1
        assert value(live, "smproxy_subscribers", transport=watch, **place) == 1
        assert value(live, "smproxy_recordings") == 1
        for role in ("publisher", "subscriber"):  # over loopback
            times = value(live, "smproxy_media_rtt_seconds_count", role=role)
            assert 0 < value(live, "smproxy_media_rtt_seconds_sum", role=role) / times < 1
            assert value(live, "smproxy_media_rtt_seconds_bucket", role=role, le="+Inf") == times
        assert sum(count for (name, _), count in live.items() if name == "smproxy_connect_seconds_count") == 2

    def over(samples: Samples) -> bool:
        return value(samples, "smproxy_recordings_ended_total", result="saved") == 1 and all(
            value(samples, "smproxy_sessions_ended_total", reason=reason) == count
            for reason, count in (("user_action", 2),)
        )

    ended = await eventually_reads(lambda: scrape(simulator, OPENMETRICS), over)
    assert value(ended, "smproxy_media_bytes_total", role="publisher", **place) > 10_000
    assert value(ended, "smproxy_recordings") == 0
    assert value(ended, "smproxy_recorded_bytes_total") > 1_000
    assert value(ended, "smproxy_recorded_seconds_total") > 0
    assert await simulator.dispatcher.drained(10)
    hooks = await scrape(simulator, OPENMETRICS)
    delivered = value(hooks, "smproxy_hooks_delivered_total", sink=receiver.url)
    assert delivered == value(hooks, "smproxy_hooks_latency_seconds_bucket", sink=receiver.url, le="+Inf") >= 10
    assert value(hooks, "smproxy_hooks_latency_seconds_count", sink=receiver.url) == delivered
