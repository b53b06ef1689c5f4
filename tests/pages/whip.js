/* Publishing and watching over HTTP with the vendor's SDK and with whip-whep, with handles for a test. */
import { WHIPClient } from "/whip-whep/whip.js";
import { WHEPClient } from "/whip-whep/whep.js";

const DEFAULTS = {
  protocol: "http",
  rtcConfiguration: { iceServers: [], iceTransportPolicy: "all" },
  iceServers: [],
  mediaConstraints: { audio: true, video: { width: 320, height: 240, frameRate: 15 } },
};

window.sdkEvents = [];
window.serverEvents = [];

function described(reason) {
  return reason instanceof Error ? reason.message : String(reason?.message ?? reason);
}

async function timed(run) {
  const start = performance.now();
  try {
    await run();
    return { resolved: true, reason: null, ms: Math.round(performance.now() - start) };
  } catch (reason) {
    return { resolved: false, reason: described(reason), ms: Math.round(performance.now() - start) };
  }
}

function listening(client) {
  client.on("*", (event) => window.sdkEvents.push(event.type));
  return client;
}

window.sdkPublish = (config) =>
  timed(async () => {
    window.publisher = listening(new red5prosdk.WHIPClient());
    await window.publisher.init({ ...DEFAULTS, mediaElementId: "red5pro-publisher", ...config });
    await window.publisher.publish();
  });

window.sdkUnpublish = () => timed(() => window.publisher.unpublish());

window.sdkSubscribe = (config) =>
  timed(async () => {
    window.subscriber = listening(new red5prosdk.WHEPClient());
    await window.subscriber.init({ ...DEFAULTS, mediaElementId: "red5pro-subscriber", ...config });
    await window.subscriber.subscribe();
  });

window.sdkUnsubscribe = () => timed(() => window.subscriber.unsubscribe());

window.publish = (url, token) =>
  timed(async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
    const pc = (window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    window.client = new WHIPClient();
    await window.client.publish(pc, url, token);
  });

window.view = (url, token) =>
  timed(async () => {
    const pc = (window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
    const stream = new MediaStream();
    pc.ontrack = (event) => stream.addTrack(event.track);
    document.getElementById("red5pro-subscriber").srcObject = stream;
    window.client = new WHEPClient();
    await window.client.view(pc, url, token);
  });

window.restart = () => timed(() => window.client.restart());

window.stop = () => timed(() => window.client.stop());

/* How many pictures a video element has shown. */
window.shown = (id) => document.getElementById(id).getVideoPlaybackQuality().totalVideoFrames;

/* Which local ICE credentials are in use. */
window.ufrag = () => /a=ice-ufrag:(\S+)/.exec(window.pc.remoteDescription.sdp)[1];

/* The client listens to events without a name only; those of the draft have names. */
window.EventSource = class extends EventSource {
  constructor(...given) {
    super(...given);
    for (const type of ["active", "inactive", "viewercount"]) {
      this.addEventListener(type, (event) => window.serverEvents.push([type, event.data]));
    }
  }
};

window.ready = true;
