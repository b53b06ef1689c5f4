"""How long ``publish()`` of the vendor's SDK takes in a real browser; prints a JSON list of milliseconds.

    python -m bench.browser [--rounds 5] [--whip]

``init()``, which opens the camera, is not counted. The SDK looks every 500 ms whether its socket is open, so that half a second
is its own, whatever the server does. Over WHIP it waits for its own candidates, up to a second, and then for its requests: with
``--whip`` the time of the requests is printed, which is all that a server adds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Error, async_playwright
from smproxy.settings import Settings
from smproxy.simulator import Simulator

from tests.browser.conftest import FLAGS
from tests.browser.page_server import PageServer
from tests.browser.sdk import SdkMissing

PUBLISH = """async (config) => {
  const publisher = new red5prosdk.RTCPublisher();
  await publisher.init({
    protocol: "ws", host: "localhost", app: "streammanager", mediaElementId: "red5pro-publisher", streamMode: "live",
    rtcConfiguration: { iceServers: [], iceTransportPolicy: "all" }, iceServers: [],
    mediaConstraints: { audio: true, video: { width: 640, height: 480, frameRate: 30 } }, ...config,
  });
  const start = performance.now();
  await publisher.publish();
  const took = performance.now() - start;
  await publisher.unpublish();
  return took;
}"""


PUBLISH_WHIP = """async (config) => {
  let took = 0;
  const request = window.fetch;
  window.fetch = async (...more) => {
    const start = performance.now();
    try {
      return await request(...more);
    } finally {
      took += performance.now() - start;
    }
  };
  const publisher = new red5prosdk.WHIPClient();
  await publisher.init({
    protocol: "http", host: "localhost", app: "live", mediaElementId: "red5pro-publisher",
    rtcConfiguration: { iceServers: [], iceTransportPolicy: "all" }, iceServers: [],
    mediaConstraints: { audio: true, video: { width: 640, height: 480, frameRate: 30 } }, ...config,
  });
  await publisher.publish();
  const needed = took;
  await publisher.unpublish();
  window.fetch = request;
  return needed;
}"""


async def measure(rounds: int, publish: str = PUBLISH) -> list[float]:
    """Publish so many times, after once to warm up."""
    chromium = shutil.which(os.environ.get("CHROMIUM") or "chromium")
    if chromium is None:
        raise SystemExit("Chromium: apt-get install chromium")
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=0, tls_port=0, data_dir=Path(folder))
        async with async_playwright() as playwright, Simulator(settings) as simulator:
            pages = await PageServer.start()
            browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = await browser.new_page()
            for number in range(rounds + 1):
                await page.goto(f"{pages.url}/publish.html")
                params = {"customerScope": "acme", "host": "127.0.0.1", "app": "live"}
                config = {"port": simulator.port, "streamName": f"camera-{number}", "connectionParams": params}
                took.append(await page.evaluate(publish, config))
            await browser.close()
            await pages.stop()
    return took[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whip", action="store_true")
    arguments = parser.parse_args()
    try:
        print(json.dumps(asyncio.run(measure(arguments.rounds, PUBLISH_WHIP if arguments.whip else PUBLISH))))
    except (SdkMissing, Error) as missing:
        raise SystemExit(str(missing).splitlines()[0]) from None


if __name__ == "__main__":
    main()
