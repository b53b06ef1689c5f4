/* What a watching page does with the vendor's SDK, with handles for a test. Each subscriber has a number, from 0, and a video. */
(() => {
  "use strict";

  const DEFAULTS = {
    protocol: "ws",
    app: "streammanager",
    // Without it the SDK asks a public STUN server, and shows nothing before that has answered.
    rtcConfiguration: { iceServers: [], iceTransportPolicy: "all" },
    iceServers: [],
  };
  const KEPT = 5000;

  const subscribers = [];

  function describe(value) {
    if (value === undefined || value === null || ["string", "number", "boolean"].includes(typeof value)) return value ?? null;
    if (value instanceof Error) return value.message;
    if (value instanceof Event) return `event ${value.type}`;
    try {
      return JSON.parse(JSON.stringify(value));
    } catch {
      return String(value);
    }
  }

  function within(promise, ms) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`still pending after ${ms} ms`)), ms));
    return Promise.race([promise, late]);
  }

  function make() {
    const video = document.createElement("video");
    video.id = `subscriber-${subscribers.length}`;
    video.autoplay = video.muted = video.playsInline = true;
    document.body.append(video);
    const subscriber = { sdk: new red5prosdk.RTCSubscriber(), video, events: [], numbers: [], peer: null };
    subscribers.push(subscriber);
    subscriber.sdk.on("*", (event) => {
      if (event.type === "Subscribe.Time.Update") return;
      const told = /Metadata|Invoke|Status|Mode|Fail|InvalidName/.test(event.type);
      subscriber.events.push({ type: event.type, data: told ? describe(event.data) : null });
    });
    const look = () => {
      const code = window.readCode(video);
      if (code && subscriber.numbers.length < KEPT) subscriber.numbers.push(code.number);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    return subscriber;
  }

  /* Resolves with {index, resolved, value, reason, ms, events}; never rejects. */
  window.subscribe = async (config, timeoutMs) => {
    const index = subscribers.length;
    const subscriber = make();
    const start = performance.now();
    const result = { index, resolved: false, value: null, reason: null };
    try {
      await within(subscriber.sdk.init({ ...DEFAULTS, mediaElementId: subscriber.video.id, ...config }), timeoutMs);
      await within(subscriber.sdk.subscribe(), timeoutMs);
      result.resolved = true;
    } catch (reason) {
      result.reason = describe(reason);
    }
    result.ms = Math.round(performance.now() - start);
    result.events = subscriber.events.map((event) => event.type);
    return result;
  };

  window.unsubscribe = (index, timeoutMs) => within(subscribers[index].sdk.unsubscribe(), timeoutMs).then(() => true);

  window.eventsOf = (index) => subscribers[index].events;

  /* The code in the picture that is shown now, or null. */
  window.shown = (index) => {
    const { video } = subscribers[index];
    return video.videoWidth ? window.readCode(video) : null;
  };

  window.numbersOf = (index) => subscribers[index].numbers;

  window.videoOf = (index) => {
    const { currentTime, videoWidth, videoHeight } = subscribers[index].video;
    return { currentTime, videoWidth, videoHeight };
  };

  /* Sums of the browser's inbound-rtp statistics; zeros when there is no peer connection any more. */
  window.received = async (index) => {
    const totals = { bytes: 0, packets: 0, lost: 0, framesDecoded: 0, keyFramesDecoded: 0, audioSamples: 0, codecs: [] };
    const peer = subscribers[index].sdk.getPeerConnection();
    if (!peer) return totals;
    const report = await peer.getStats();
    report.forEach((entry) => {
      if (entry.type !== "inbound-rtp") return;
      totals.bytes += entry.bytesReceived;
      totals.packets += entry.packetsReceived;
      totals.lost += entry.packetsLost;
      totals.framesDecoded += entry.framesDecoded ?? 0;
      totals.keyFramesDecoded += entry.keyFramesDecoded ?? 0;
      if (entry.kind === "audio") totals.audioSamples += entry.totalSamplesReceived ?? 0;
      if (entry.codecId) totals.codecs.push(report.get(entry.codecId).mimeType);
    });
    return totals;
  };

  window.callServer = (index, method, argument, timeoutMs) =>
    within(subscribers[index].sdk.callServer(method, argument), timeoutMs).then(describe);

  /* Resolves with the value of an expression, which may use await, once it is true. */
  window.until = async (expression, timeoutMs) => {
    const value = new Function(`return (async () => (${expression}))()`);
    const end = performance.now() + timeoutMs;
    for (;;) {
      const found = await value();
      if (found) return found;
      if (performance.now() > end) return null;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  window.sdkSubscriber = (index) => subscribers[index].sdk;
})();
