/* The playing test page. */

import { askOrigin, endpointAddress, proxyAddress } from "../shared/address.js";
import { PictureCheck } from "../picture-check.js";
import { byId, h, setText } from "../shared/dom.js";
import { Subscriber } from "../shared/subscriber.js";
import { fields, testPage } from "../shared/test-page.js";
import { WhepPlayer } from "../shared/whep.js";

const STEPS = {
  origin: "Ask for the origin",
  connect: "Connect",
  negotiate: "Offer and answer",
  transport: "Media connection",
  live: "Playing",
};

/* WHEP needs neither an origin nor a connection of its own. */
function stepsOf(transport) {
  const { origin, connect, ...others } = STEPS;
  return transport === "whep" ? others : STEPS;
}

async function run({ progress, isCurrent, onStop, dial, onMessage, showMedia, showStatistics, onEnd }) {
  const { host, app, stream, credentials, customerScope, transport } = fields();
  const onStep = (step) => {
    progress.step(step);
    progress.setState(step === "live" ? `Playing ${stream}.` : `${STEPS[step]}…`, step === "live" ? "live" : "busy");
  };
  const options = { onStep, onMedia: showMedia, onMessage, onEnd };
  let player;
  if (transport === "whep") {
    const url = endpointAddress("whep", host, app, stream, { ...credentials, customerScope });
    player = new WhepPlayer({ ...options, url: dial(url) });
  } else {
    onStep("origin");
    const origin = await askOrigin(host, app, stream, "subscribe");
    if (!isCurrent()) return;
    const requestId = `subscriber-${Math.floor(Math.random() * 0x10000).toString(16)}`;
    const params = { id: requestId, ...credentials, customerScope, host: origin.host, app: origin.app };
    player = new Subscriber({ ...options, url: dial(proxyAddress(host, params)), stream, requestId });
  }
  const stopLatency = showLatency();
  onStop(() => {
    stopLatency();
    return player.stop();
  });
  await player.start();
  if (isCurrent()) showStatistics(player.peer);
}

/* Of a publisher with the pattern "clock"; others have no time in their pictures. */
function showLatency() {
  const check = new PictureCheck(byId("video"));
  const ms = (seconds) => `${Math.round(seconds * 1000)} ms`;
  const show = () => {
    const { latency } = check.report();
    if (latency) setText(byId("latency"), `From painted to seen: ${ms(latency.p50)}, 95 % within ${ms(latency.p95)}`);
  };
  const timer = setInterval(show, 500);
  return () => {
    clearInterval(timer);
    check.stop();
  };
}

/* Browsers play without a click only what is silent. */
function toggleSound() {
  const button = byId("sound");
  const video = byId("video");
  video.muted = !video.muted;
  button.setAttribute("aria-pressed", String(!video.muted));
}

async function offerStreams() {
  const response = await fetch("/streammanager/api/4.0/event/list");
  if (!response.ok) return;
  const streams = await response.json();
  byId("streams").replaceChildren(...streams.map(({ name, scope }) => h("option", { value: name }, scope)));
  if (streams.length && !byId("stream").value) byId("stream").value = streams[0].name;
}

testPage({ steps: stepsOf, idle: "Name a stream that is live and start.", stream: "", run });
byId("sound").addEventListener("click", toggleSound);
byId("stream").addEventListener("focus", () => offerStreams().catch(() => {}));
offerStreams().catch(() => {});
