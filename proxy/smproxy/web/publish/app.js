/* The publishing test page. */

import { askOrigin } from "../shared/address.js";
import { by, fact, setText } from "../shared/dom.js";
import { openSource } from "../shared/media.js";
import { Publisher } from "../shared/publisher.js";
import { fields, testPage } from "../shared/test-page.js";
import { loadSdk, SdkPublisher } from "./sdk.js";

const STEPS = {
  source: "Open the source",
  origin: "Ask for an origin",
  connect: "Connect",
  negotiate: "Offer and answer",
  transport: "Media connection",
  live: "Live",
};

function metaOf(text) {
  let meta;
  try {
    meta = JSON.parse(text || "{}");
  } catch {
    meta = null;
  }
  if (meta === null || typeof meta !== "object" || Array.isArray(meta))
    throw new Error('Meta is not a JSON object such as {"room": "A"}.');
  return JSON.stringify(meta);
}

async function run({ progress, alive, onStop, opening, passed, show, measure, ended }) {
  const { host, app, stream, credentials, customerScope } = fields();
  const recording = by("recording").checked;
  const meta = metaOf(by("meta").value);
  const onStep = (step) => {
    progress.step(step);
    progress.say(
      step === "live" ? `Live: ${stream} is being published.` : `${STEPS[step]}…`,
      step === "live" ? "live" : "busy",
    );
  };
  onStep("source");
  const source = await openSource(by("pattern").checked ? "pattern" : "camera", stream);
  let publisher = null;
  onStop(async () => {
    await publisher?.stop();
    source.stop();
  });
  if (!alive()) return source.stop();
  if (source.note) progress.note(source.note);
  show(source.media);
  onStep("origin");
  const origin = await askOrigin(host, app, stream, "broadcast");
  if (!alive()) return undefined;
  const params = { ...credentials, customerScope, recording, meta, host: origin.host, app: origin.app };
  const options = {
    stream,
    mode: recording ? "record" : "live",
    media: source.media,
    onStep,
    onMessage: passed,
    onEnd: ended,
  };
  const url = opening({ id: stream, ...params });
  publisher = fact("sdk") ? new SdkPublisher({ ...options, host, params }) : new Publisher({ ...options, url });
  await publisher.start();
  if (alive()) measure(publisher.peer);
  return undefined;
}

const name = `stream-${Math.random().toString(36).slice(2, 6)}`;
testPage({ steps: STEPS, idle: "Fill in the form and start.", stream: name, run });
if (fact("sdk")) {
  loadSdk(fact("sdk")).then(
    () =>
      setText(
        by("client"),
        `Published with the SDK that --sdk-file names: ${decodeURIComponent(fact("sdk").slice("/sdk/".length))}.`,
      ),
    (error) => setText(by("client"), error.message),
  );
} else {
  setText(
    by("client"),
    "Published with the page’s own signaling client. With smproxy serve --sdk-file, the vendor’s SDK is used.",
  );
}
