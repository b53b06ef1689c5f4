/* The publishing test page. */

import { askOrigin, endpointAddress, proxyAddress } from "../shared/address.js";
import { byId, serverSetting, setText } from "../shared/dom.js";
import { openSource } from "../shared/media.js";
import { Publisher } from "../shared/publisher.js";
import { fields, testPage } from "../shared/test-page.js";
import { WhipPublisher } from "../shared/whip.js";
import { loadSdk, SdkPublisher } from "./sdk.js";

const STEPS = {
  source: "Open the source",
  origin: "Ask for an origin",
  connect: "Connect",
  negotiate: "Offer and answer",
  transport: "Media connection",
  live: "Live",
};

/* WHIP needs neither an origin nor a connection of its own. */
function stepsOf(transport) {
  const { origin, connect, ...others } = STEPS;
  return transport === "whip" ? others : STEPS;
}

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

async function run({ progress, isCurrent, onStop, dial, onMessage, showMedia, showStatistics, onEnd }) {
  const { host, app, stream, credentials, customerScope, transport } = fields();
  const recording = byId("recording").checked;
  const meta = metaOf(byId("meta").value);
  const onStep = (step) => {
    progress.step(step);
    progress.setState(
      step === "live" ? `Live: ${stream} is being published.` : `${STEPS[step]}…`,
      step === "live" ? "live" : "busy",
    );
  };
  onStep("source");
  const source = await openSource(byId("pattern").checked ? "pattern" : "camera", stream);
  let publisher = null;
  onStop(async () => {
    await publisher?.stop();
    source.stop();
  });
  if (!isCurrent()) return source.stop();
  if (source.note) progress.note(source.note);
  showMedia(source.media);
  const options = { stream, mode: recording ? "record" : "live", media: source.media, onStep, onMessage, onEnd };
  if (transport === "whip") {
    const url = endpointAddress("whip", host, app, stream, { ...credentials, customerScope, recording, meta });
    publisher = new WhipPublisher({ ...options, url: dial(url) });
  } else {
    onStep("origin");
    const origin = await askOrigin(host, app, stream, "broadcast");
    if (!isCurrent()) return undefined;
    const params = { ...credentials, customerScope, recording, meta, host: origin.host, app: origin.app };
    const url = dial(proxyAddress(host, { id: stream, ...params }));
    publisher = serverSetting("sdk")
      ? new SdkPublisher({ ...options, host, params })
      : new Publisher({ ...options, url });
  }
  await publisher.start();
  if (isCurrent()) showStatistics(publisher.peer);
  return undefined;
}

const name = `stream-${Math.random().toString(36).slice(2, 6)}`;
testPage({ steps: stepsOf, idle: "Fill in the form and start.", stream: name, run });
if (serverSetting("sdk")) {
  loadSdk(serverSetting("sdk")).then(
    () =>
      setText(
        byId("client"),
        `Published with the SDK that --sdk-file names: ${decodeURIComponent(serverSetting("sdk").slice("/sdk/".length))}.`,
      ),
    (error) => setText(byId("client"), error.message),
  );
} else {
  setText(
    byId("client"),
    "Published with the page’s own signaling client. With smproxy serve --sdk-file, the vendor’s SDK is used.",
  );
}
