"""What the unmodified SDK makes of faults: the column of docs/faults.md that says what ``publish()`` does, checked.

All publishers live in one page, side by side: what is slow here is a promise that stays pending.
"""

from __future__ import annotations

import re
from typing import Any

from smproxy.faults import Layer
from smproxy.faults.catalog import KINDS
from smproxy.simulator import Simulator

from tests.browser.conftest import OpenPage
from tests.browser.sdk_page import SdkPage
from tests.browser.test_publish import config
from tests.helpers import scaled

#: So long a promise must stay unsettled to count as pending; every other one settles sooner.
PENDING = 4.0

#: Publishes once for each configuration, at the same time; then does what the configuration says about the end.
PUBLISH = """([configs, ms]) => Promise.all(configs.map(async ({ unpublish, wait, ...config }) => {
  const publisher = new red5prosdk.RTCPublisher();
  const events = [];
  publisher.on("*", (event) => events.push(event.type));
  const timer = (after) => new Promise((resolve) => setTimeout(resolve, after));
  const within = (promise) => Promise.race([promise, timer(ms).then(() => "pending")]);
  const settle = async (run) => {
    try {
      return (await within(run())) === "pending" ? ["stays pending", ""] : ["resolves", ""];
    } catch (reason) {
      return ["rejects", reason instanceof Event ? `event ${reason.type}` : String(reason.message || reason)];
    }
  };
  const [outcome, reason] = await settle(async () => {
    const started = await within(publisher.init(config));
    return started === "pending" ? started : publisher.publish();
  });
  let unpublished = "";
  if (wait) for (let i = 0; i < ms / 50 && !events.includes(wait); i++) await timer(50);
  if (unpublish) [unpublished] = await settle(() => publisher.unpublish());
  return { outcome, reason, events, unpublished };
}))"""

BASE = {
    "mediaElementId": "red5pro-publisher",
    "rtcConfiguration": {"iceServers": [], "iceTransportPolicy": "all"},
    "iceServers": [],
    "mediaConstraints": {"audio": True, "video": {"width": 320, "height": 240, "frameRate": 10}},
    "streamMode": "live",
}

CLOSED = "Publisher.Connection.Closed"


async def publish(page: SdkPage, simulator: Simulator, asked: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Publish once for each ``simulate``, and return what became of each."""
    configs = [
        {**BASE, **config(simulator, streamName=re.sub(r"\W+", "-", text), connectionParams={"simulate": text}), **more}
        for text, more in asked.items()
    ]
    outcomes = await page.page.evaluate(PUBLISH, [configs, scaled(PENDING) * 1000])
    return dict(zip(asked, outcomes, strict=True))


def promised(text: str) -> tuple[str, str]:
    """Return what the documentation says of a fault: the outcome, and what the reason has in it."""
    told = KINDS[text.partition(":")[0]].publish
    outcome = re.match("rejects|stays pending|resolves", told)
    assert outcome is not None, told
    quoted = re.match(r"rejects with (?:an event of type )?`([^`…]*)", told)
    return outcome[0], quoted[1].strip() if quoted else ""


async def test_publish_does_what_the_documentation_says(simulator: Simulator, open_page: OpenPage) -> None:
    """With every fault of signaling, media and origin ``publish()`` rejects, resolves or stays pending as documented."""
    page = await open_page()
    kinds = [kind.name for kind in KINDS.values() if kind.layer not in (Layer.HTTP, Layer.HOOKS)]
    # Those that stay pending wait for one another only.
    kinds.sort(key=lambda name: promised(name)[0] == "stays pending")
    for begin in range(0, len(kinds), 6):
        for text, got in (await publish(page, simulator, {name: {} for name in kinds[begin : begin + 6]})).items():
            outcome, reason = promised(text)
            assert got["outcome"] == outcome, (text, got)
            assert reason in got["reason"], (text, got)
    assert {entry.fault for entry in simulator.faults.log()} >= set(kinds) - LATER


#: Faults that act only on what follows ``publish()``, and on simulated nodes (tests/integration/test_nodes.py).
LATER = {"unpublish-unanswered", "node-fault", "node-sunset"}


async def test_what_follows_is_as_documented(simulator: Simulator, open_page: OpenPage) -> None:
    """What the documentation says beside ``publish()``: pending unpublishes, notices, lost connections, words of a refusal."""
    page = await open_page()
    asked: dict[str, dict[str, Any]] = {
        "unpublish-unanswered": {"unpublish": True},
        "bandwidth:after=0.1:every=0.1": {"wait": "Publish.SufficientBW"},
        "close:stage=live:after=0.3": {"wait": CLOSED},
        "origin-crash:after=2": {"wait": CLOSED, "signalingSocketOnly": False},
        "close:stage=starting": {"wait": CLOSED},
        "publish-denied:message=Not for you.": {},
        "peer-dies:after=0.5": {"wait": "WebRTC.DataChannel.Close"},
        "candidates-reordered": {"wait": "Publish.Available"},
        "candidates-reordered:early=true": {"wait": "Publish.Available"},
    }
    got = await publish(page, simulator, asked)
    first, bandwidth, live, crash, starting, denied, dies, mixed, early = got.values()
    assert (first["outcome"], first["unpublished"]) == ("resolves", "stays pending")
    notices = [event for event in bandwidth["events"] if event.endswith("BW")]
    assert notices == ["Publish.InsufficientBW", "Publish.RecoveringBW", "Publish.SufficientBW"]
    for each, outcome in ((live, "resolves"), (crash, "resolves"), (starting, "stays pending")):
        assert each["outcome"] == outcome, each
        assert CLOSED in each["events"], each
    assert "WebRTC.DataChannel.Close" in dies["events"]
    assert ["Publish.Available" in each["events"] for each in (mixed, early)] == [True, False]
    assert (denied["outcome"], denied["reason"]) == ("rejects", "Not for you.")


async def test_page_beside_a_fault(simulator: Simulator, open_page: OpenPage) -> None:
    """A page that no fault matches publishes and unpublishes while its neighbour is refused."""
    simulator.faults.add("offer-error", id="bad")
    page = await open_page()
    refused = await page.publish(config(simulator, streamName="bad"))
    assert not refused.resolved
    good = await open_page()
    assert (await good.publish(config(simulator))).resolved
    assert (await good.unpublish()).resolved
    assert good.errors == []
