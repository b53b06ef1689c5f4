"""What a browser publishes is recorded so that a browser plays it."""

from __future__ import annotations

import time

import aiohttp
import pytest
from playwright.async_api import Browser
from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.conftest import OpenPage
from tests.browser.test_publish import config
from tests.helpers import eventually, scaled
from tests.unit.recording_media import watch

#: Plays a file, jumps to its middle and plays on; says what a viewer would notice.
PLAY = """
async url => {
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  const event = name => new Promise((done, fail) => {
    video.addEventListener(name, done, {once: true});
    video.addEventListener("error", () => fail(new Error(video.error.message)), {once: true});
  });
  const until = async condition => { while (!condition()) await event("timeupdate"); };
  const loaded = event("loadeddata");
  video.src = url;
  await loaded;
  const seekable = video.seekable.length ? video.seekable.end(0) : 0;
  await video.play();
  await until(() => video.currentTime > 0.3);
  const sought = event("seeked");
  video.currentTime = video.duration / 2;
  await sought;
  const from = video.currentTime;
  const ended = event("ended");
  await video.play();
  await ended;
  const {totalVideoFrames, corruptedVideoFrames} = video.getVideoPlaybackQuality();
  return {duration: video.duration, width: video.videoWidth, seekable, from, end: video.currentTime,
          sound: video.webkitAudioDecodedByteCount, frames: totalVideoFrames, corrupt: corruptedVideoFrames};
}
"""


@pytest.mark.parametrize(("codec", "name"), [("VP8", "camera-1.webm"), ("H264", "camera-1.mkv")])
async def test_a_recording_plays_in_the_browser(
    chromium: Browser, simulator: Simulator, receiver: WebhookReceiver, open_page: OpenPage, codec: str, name: str
) -> None:
    """Chromium plays the file of its own publish to the end, jumps in it, and finds no broken frame."""
    page = await open_page()
    assert await page.page.evaluate(f"onlyVideoCodec('video/{codec}')") > 0, f"this Chromium has no {codec} encoder"
    began = time.monotonic()
    outcome = await page.publish(config(simulator, connectionParams={"recording": True}, streamMode="record"))
    assert outcome.resolved, outcome
    published = time.monotonic()
    await eventually(lambda: time.monotonic() - published > 3, 10)
    ending = time.monotonic()
    await page.unpublish()
    gone = time.monotonic()
    saved = (await receiver.wait_for(lambda hook: hook.state == "recording_saved", scaled(10))).event["payload"]
    assert saved["file"] == f"live/{name}"
    assert simulator.settings.recordings_dir is not None
    found = watch(simulator.settings.recordings_dir / saved["file"])
    assert ending - published - 0.3 < found.duration < gone - began
    assert abs(found.video[-1] - found.audio[-1]) < scaled(0.3)
    async with aiohttp.ClientSession(simulator.rest_url) as http, http.get("/api/v1/recordings") as answer:
        (listed,) = (await answer.json())["recordings"]
    context = await chromium.new_context()
    try:
        viewer = await context.new_page()
        await viewer.goto(simulator.rest_url)  # pages of other sites, and such without one, may not see recordings
        seen = await viewer.evaluate(PLAY, simulator.rest_url + listed["url"])
    finally:
        await context.close()
    assert seen["duration"] == pytest.approx(found.duration, abs=0.1)
    assert seen["seekable"] == pytest.approx(seen["duration"], abs=0.01)
    assert seen["from"] == pytest.approx(seen["duration"] / 2, abs=0.2)
    assert seen["end"] == pytest.approx(seen["duration"], abs=0.3)
    assert seen["width"] > 0
    assert seen["sound"] > 0
    assert seen["corrupt"] == 0
    assert seen["frames"] > 10
