"""A page that reaches the origin through a TURN server only, and what happens when it cannot."""

from __future__ import annotations

from typing import Any

from smproxy.simulator import Simulator
from smproxy.turn_server import LOCAL_RELAY

from tests.browser.conftest import OpenPage, StartSimulator
from tests.browser.sdk_page import SdkPage
from tests.browser.test_publish import config
from tests.helpers import eventually, scaled

#: Publishes over WHIP with the servers of the Link headers; returns a field of the candidate in use, or "failed".
WHIP = """async ([url, policy, ms, field]) => {
  const options = await fetch(url, { method: "OPTIONS" });
  const link = options.headers.get("Link") ?? "";
  const iceServers = [...link.matchAll(/<((?:turn|stun)[^>]*)>([^,]*)/g)].map(([, urls, rest]) => ({
    urls, username: /username="([^"]*)"/.exec(rest)?.[1], credential: /credential="([^"]*)"/.exec(rest)?.[1],
  }));
  const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: policy });
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  for (const track of media.getTracks()) pc.addTransceiver(track, { direction: "sendonly" });
  await pc.setLocalDescription();
  await new Promise((done) => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    setTimeout(done, ms);
  });
  const headers = { "Content-Type": "application/sdp" };
  const answer = await fetch(url, { method: "POST", headers, body: pc.localDescription.sdp });
  const over = new Promise((done) => {
    pc.onconnectionstatechange = () => ["connected", "failed"].includes(pc.connectionState) && done();
    setTimeout(done, ms);
  });
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await over;
  if (pc.connectionState !== "connected") return "failed";
  const all = [...(await pc.getStats()).values()];
  const pair = all.find((each) => each.type === "candidate-pair" && each.nominated && each.state === "succeeded");
  return all.find((each) => each.id === pair.localCandidateId)[field];
}"""


async def publish(
    page: SdkPage, simulator: Simulator, policy: str, seconds: float = 15, field: str = "candidateType"
) -> str:
    """Publish over WHIP with the ICE servers of the answer; return a field of the local candidate."""
    url = f"{simulator.rest_url}/live/whip/endpoint/cam"
    kind = await page.page.evaluate(WHIP, [url, policy, scaled(seconds) * 1000, field])
    assert isinstance(kind, str)
    return kind


async def test_relay_only(start_simulator: StartSimulator, open_page: OpenPage) -> None:
    """With ``iceTransportPolicy: relay`` a page publishes through the TURN server that WHIP's Link headers name."""
    simulator = await start_simulator(turn=True)
    assert await publish(await open_page(), simulator, "relay") == "relay"
    await eventually(lambda: len(simulator.manager.sessions.publishing()) == 1, 10)


async def test_blocked_udp(start_simulator: StartSimulator, open_page: OpenPage) -> None:
    """Where UDP is blocked a page falls back to the relay by itself; the SDK on the WebSocket is given it by the API."""
    simulator = await start_simulator(turn=True)
    simulator.faults.add("udp-blocked", relay=LOCAL_RELAY)
    page = await open_page()
    assert await publish(page, simulator, "all") == "relay"
    given: dict[str, Any] = await page.page.evaluate(
        "async (url) => (await fetch(url)).json()", f"{simulator.rest_url}/api/v1/ice-servers"
    )
    assert [server["urls"].partition(":")[0] for server in given["iceServers"]] == ["turn"]
    outcome = await page.publish(config(simulator, rtcConfiguration={**given, "iceTransportPolicy": "all"}))
    assert outcome.resolved, outcome


async def test_a_wrong_password_for_the_relay(start_simulator: StartSimulator, open_page: OpenPage) -> None:
    """With the fault ``turn-auth-failed`` there is no relay, and a page that needs one does not connect."""
    simulator = await start_simulator(turn=True)
    fault = simulator.faults.add("turn-auth-failed")
    assert await publish(await open_page(), simulator, "relay", seconds=2) == "failed"
    assert fault.injected > 0
