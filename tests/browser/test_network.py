"""A bad network as Chromium sees it: the fault ``network``, changed while the session lives."""

from __future__ import annotations

from typing import Any

from smproxy.simulator import Simulator

from tests.browser.conftest import OpenPage
from tests.browser.sdk_page import SdkPage
from tests.browser.test_publish import config
from tests.helpers import scaled

#: What the browser's own statistics say of its publisher's path: seconds of a round trip, bits per second that it may send.
STATS = """async () => {
  const report = await sdkPublisher().getPeerConnection().getStats();
  const all = [...report.values()];
  const pair = all.find((each) => each.type === "candidate-pair" && each.nominated && each.state === "succeeded");
  const video = all.find((each) => each.type === "outbound-rtp" && each.kind === "video");
  return { rtt: pair?.currentRoundTripTime ?? 0, may: pair?.availableOutgoingBitrate ?? 0, target: video?.targetBitrate ?? 0,
    nacks: video?.nackCount ?? 0 };
}"""


async def wait_stats(page: SdkPage, condition: str, timeout: float = 20) -> dict[str, Any]:
    """Wait until the browser's statistics ``s`` fulfil a JavaScript condition; return them."""
    script = f"""async (ms) => {{
      for (const end = performance.now() + ms; ; ) {{
        const s = await ({STATS})();
        if ({condition}) return s;
        if (performance.now() > end) throw new Error(`never: {condition}; at last ${{JSON.stringify(s)}}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }}
    }}"""
    return await page.page.evaluate(script, scaled(timeout) * 1000)


async def test_round_trip_time_changes_while_the_session_lives(simulator: Simulator, open_page: OpenPage) -> None:
    """Chromium measures the delay that was asked for, of both directions, and its end when the fault is removed."""
    page = await open_page()
    assert (await page.publish(config(simulator))).resolved
    assert (await wait_stats(page, "s.rtt > 0"))["rtt"] < 0.15
    fault = simulator.faults.add("network", id="camera-1", delay=150)
    assert 0.3 <= (await wait_stats(page, "s.rtt >= 0.3"))["rtt"] < 0.6
    fault.remove()
    await wait_stats(page, "s.rtt < 0.15")
    assert page.errors == []


async def test_a_narrow_path_makes_the_browser_send_less(simulator: Simulator, open_page: OpenPage) -> None:
    """RTCP shares the path: with 200 kbit/s up Chromium lowers what it sends below that; with loss it is asked for packets."""
    page = await open_page()
    simulate = "network:direction=up:rate=200:queue=200:loss=8"
    assert (await page.publish(config(simulator, connectionParams={"simulate": simulate}))).resolved
    assert (await wait_stats(page, "s.may > 0 && s.may < 220e3 && s.nacks > 0", 40))["may"] < 220_000
    assert page.errors == []
