"""Measures how smoothly the dashboard scrolls through thousands of sessions while they change: ``make bench-dashboard``.

Prints the times between frames in milliseconds. The browser draws in software here, so a desktop is faster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from pathlib import Path

from playwright.async_api import Page, async_playwright
from smproxy.settings import Settings
from smproxy.simulator import Simulator

from tests.browser.conftest import FLAGS
from tests.browser.web import DESK, many_sessions

#: Scrolls the list for so many milliseconds, up and down, a few rows a frame; returns the frames, the long tasks, and the rows.
SCROLL = """async (ms) => {
  const list = document.querySelector(".rows");
  const frames = [];
  const long = [];
  const observer = new PerformanceObserver((found) => found.getEntries().forEach(({ duration }) => long.push(duration)));
  observer.observe({ type: "longtask" });
  const start = performance.now();
  let last = start;
  let step = 180;
  await new Promise((resolve) => {
    const frame = (now) => {
      frames.push(now - last);
      last = now;
      if (list.scrollTop + list.clientHeight + step > list.scrollHeight || list.scrollTop + step < 0) step = -step;
      list.scrollTop += step;
      if (now - start < ms) requestAnimationFrame(frame);
      else resolve();
    };
    requestAnimationFrame(frame);
  });
  return { frames: frames.slice(1), long, rows: document.querySelectorAll(".space .row").length };
}"""


async def churn(simulator: Simulator) -> None:
    """Let sessions change, ten a second."""
    while True:
        for attempt in simulator.manager.sessions.attempts[:1]:
            simulator.manager.sessions.kick(attempt)
        await many_sessions(simulator, 1)
        await asyncio.sleep(0.1)


async def measure(page: Page, seconds: float) -> dict[str, float]:
    """Scroll; sum the frames up."""
    seen = await page.evaluate(SCROLL, seconds * 1000)
    frames = sorted(seen["frames"])

    def at(share: float) -> float:
        return round(frames[min(len(frames) - 1, int(share * len(frames)))], 1)

    return {
        "frames": len(frames),
        "p50": at(0.5),
        "p95": at(0.95),
        "p99": at(0.99),
        "max": at(1),
        "over_50": sum(frame > 50 for frame in frames),
        "long_tasks": len(seen["long"]),
        "rows_in_page": seen["rows"],
    }


async def main() -> None:
    """Run the measurement for some numbers of sessions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[100, 2_000, 4_000])
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for count in arguments.sessions:
            async with Simulator(Settings(port=0, tls_port=0, data_dir=Path(":memory:"))) as simulator:
                await many_sessions(simulator, count)
                page = await browser.new_page(viewport=DESK)
                await page.goto(simulator.rest_url)
                await page.wait_for_selector(f".space .row >> nth={min(10, count - 1)}")
                changing = asyncio.create_task(churn(simulator))
                print(json.dumps({"sessions": count} | await measure(page, arguments.seconds)), flush=True)
                changing.cancel()
                await page.close()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
