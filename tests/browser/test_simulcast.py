"""A page that edits simulcast into its offer publishes one track."""

from __future__ import annotations

import time

from smproxy.simulator import Simulator
from smproxy.testing import WebhookReceiver

from tests.browser.conftest import OpenPage
from tests.browser.test_publish import config
from tests.helpers import eventually, scaled
from tests.unit.recording_media import watch

#: Large enough for Chromium to send three sizes.
CAMERA = {"audio": True, "video": {"width": 1280, "height": 720, "frameRate": 15}}

#: Makes three sources of the video's one, with one payload type, as pages did before there was an API for it.
MUNGE = """
() => {
  const create = RTCPeerConnection.prototype.createOffer;
  RTCPeerConnection.prototype.createOffer = async function (...options) {
    const offer = await create.apply(this, options);
    const sections = offer.sdp.split(/(?=^m=)/m);
    const at = sections.findIndex(section => section.startsWith("m=video"));
    const video = sections[at].split("\\r\\n").filter(line => line);
    const [, media, repair] = /a=ssrc-group:FID (\\d+) (\\d+)/.exec(sections[at]);
    const own = video.filter(line => line.startsWith(`a=ssrc:${media} `));
    const sources = [0, 1, 2].map(number => String((Number(media) + number) >>> 0));
    const repairs = [0, 1, 2].map(number => String((Number(repair) + 100 + number) >>> 0));
    sections[at] = [
      ...video.filter(line => !line.startsWith("a=ssrc")),
      `a=ssrc-group:SIM ${sources.join(" ")}`,
      ...sources.map((ssrc, index) => `a=ssrc-group:FID ${ssrc} ${repairs[index]}`),
      ...[...sources, ...repairs].flatMap(ssrc => own.map(line => line.replace(`a=ssrc:${media} `, `a=ssrc:${ssrc} `))),
      "",
    ].join("\\r\\n");
    return {type: "offer", sdp: sections.join("")};
  };
}
"""


async def test_simulcast_of_a_page_is_one_track(
    simulator: Simulator, receiver: WebhookReceiver, open_page: OpenPage
) -> None:
    """Of three sizes that Chromium sends with one payload type the recording has the best, which grows at most, and every
    frame of it (M4).
    """
    page = await open_page()
    await page.page.evaluate(MUNGE)
    options = {"connectionParams": {"recording": True}, "streamMode": "record", "mediaConstraints": CAMERA}
    outcome = await page.publish(config(simulator, **options))
    assert outcome.resolved, outcome
    published = time.monotonic()
    await eventually(lambda: time.monotonic() - published > 5, 20)
    assert (await page.stats())["codecs"].count("video/VP8") == 3
    await page.unpublish()
    saved = (await receiver.wait_for(lambda hook: hook.state == "recording_saved", scaled(10))).event["payload"]
    assert simulator.settings.recordings_dir is not None
    found = watch(simulator.settings.recordings_dir / saved["file"])
    assert found.sizes == sorted(found.sizes)
    assert len(found.sizes) <= 3
    gaps = [after - before for before, after in zip(found.video, found.video[1:], strict=False)]
    assert sum(gap > 0.5 for gap in gaps) <= len(found.sizes)
    assert len(found.video) > 25
