/* The playing test page. */

import { askOrigin } from "../shared/address.js";
import { by, h } from "../shared/dom.js";
import { Subscriber } from "../shared/subscriber.js";
import { fields, testPage } from "../shared/test-page.js";

const STEPS = {
  origin: "Ask for the origin",
  connect: "Connect",
  negotiate: "Offer and answer",
  transport: "Media connection",
  live: "Playing",
};

async function run({ progress, alive, onStop, opening, passed, show, measure, ended }) {
  const { host, app, stream, credentials, customerScope } = fields();
  const onStep = (step) => {
    progress.step(step);
    progress.say(step === "live" ? `Playing ${stream}.` : `${STEPS[step]}…`, step === "live" ? "live" : "busy");
  };
  onStep("origin");
  const origin = await askOrigin(host, app, stream, "subscribe");
  if (!alive()) return;
  const requestId = `subscriber-${Math.floor(Math.random() * 0x10000).toString(16)}`;
  const url = opening({ id: requestId, ...credentials, customerScope, host: origin.host, app: origin.app });
  const subscriber = new Subscriber({ url, stream, requestId, onStep, onMedia: show, onMessage: passed, onEnd: ended });
  onStop(() => subscriber.stop());
  await subscriber.start();
  if (alive()) measure(subscriber.peer);
}

/* Browsers play without a click only what is silent. */
function sound() {
  const button = by("sound");
  const video = by("video");
  video.muted = !video.muted;
  button.setAttribute("aria-pressed", String(!video.muted));
}

async function offerStreams() {
  const response = await fetch("/streammanager/api/4.0/event/list");
  if (!response.ok) return;
  const streams = await response.json();
  by("streams").replaceChildren(...streams.map(({ name, scope }) => h("option", { value: name }, scope)));
  if (streams.length && !by("stream").value) by("stream").value = streams[0].name;
}

testPage({ steps: STEPS, idle: "Name a stream that is live and start.", stream: "", run });
by("sound").addEventListener("click", sound);
by("stream").addEventListener("focus", () => offerStreams().catch(() => {}));
offerStreams().catch(() => {});
