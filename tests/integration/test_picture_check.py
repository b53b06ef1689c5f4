"""Latency and freezes through real media: what the expectations of a subscriber pass and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from smproxy.testing import SubscribeError, SubscribeTimeout

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator


@pytest.mark.parametrize("options", [{}, {"transport": "http", "codec": "H264"}], ids=["websocket", "http"])
async def test_latency_and_freezes(start_simulator: StartSimulator, options: dict[str, Any]) -> None:
    """What a bad network adds is measured, a frozen picture is found, and sound and picture stay together."""
    simulator = await start_simulator()
    http = options.pop("transport", None) == "http"
    publishes, subscribes = ({"transport": "whip"}, {"transport": "whep"}) if http else ({}, {})
    async with (
        simulator.publisher("cam", pattern="clock", timeout=scaled(10), **publishes, **options),
        simulator.subscriber("cam", timeout=scaled(10), **subscribes) as watching,
    ):
        straight = await watching.expect_latency(p95=scaled(0.4))
        fault = simulator.faults.add("network", role="subscriber", delay=300)
        await watching.wait_for_frames(10)
        later = await watching.expect_latency(p50=straight.p50 + 0.3 + scaled(0.2))
        assert later.p50 > straight.p50 + 0.25
        with pytest.raises(AssertionError, match=r"p95 of the latency is 0\.\d+ s, and was to be 0\.2 s"):
            await watching.expect_latency(p95=0.2, pictures=5)
        fault.remove()
        await watching.wait_for_frames(10)
        await watching.expect_no_freeze(scaled(0.8), seconds=1.0)
        simulator.faults.add("network", role="subscriber", outage=3_600_000)
        with pytest.raises(AssertionError, match=r"stood still for more than 0\.4 s"):
            await watching.expect_no_freeze(0.4, seconds=scaled(20))
        report = watching.picture_report
        assert report.black == 0
        assert report.freezes
        assert report.offset is not None
        assert abs(report.offset) < scaled(0.15)


async def test_pictures_without_a_time(start_simulator: StartSimulator) -> None:
    """Of another pattern no latency can be told, and a subscriber that does not decode says so."""
    simulator = await start_simulator()
    async with (
        simulator.publisher("cam", pattern="counter"),
        simulator.subscriber("cam") as watching,
        simulator.subscriber("cam", decode=False) as blind,
    ):
        await watching.wait_for_frames(5)
        with pytest.raises(SubscribeTimeout, match="0 of 3 pictures with a time came"):
            await watching.expect_latency(pictures=3, timeout=0.3)
        await eventually(lambda: watching.picture_report.pictures > 5, 10)
        with pytest.raises(SubscribeError, match="does not decode"):
            _ = blind.picture_report
