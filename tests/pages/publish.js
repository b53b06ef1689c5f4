/* What a publishing page does with the vendor's SDK, with handles for a test: window.publish(), unpublish(), events … */
(() => {
  "use strict";

  const DEFAULTS = {
    protocol: "ws",
    app: "streammanager",
    mediaElementId: "red5pro-publisher",
    // Without it the SDK asks a public STUN server.
    rtcConfiguration: { iceServers: [], iceTransportPolicy: "all" },
    iceServers: [],
    mediaConstraints: { audio: true, video: { width: 320, height: 240, frameRate: 15 } },
    streamMode: "live",
  };

  window.events = [];
  window.hooks = [];
  let publisher = null;
  let waiting = [];

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

  function record(event) {
    const data = event.type === "Publish.Status" || typeof event.data === "string" ? describe(event.data) : null;
    window.events.push({ type: event.type, data, ms: Math.round(performance.now()) });
    waiting = waiting.filter((wake) => !wake());
  }

  function within(promise, ms) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`still pending after ${ms} ms`)), ms));
    return Promise.race([promise, late]);
  }

  async function outcome(run) {
    const start = performance.now();
    const result = { resolved: false, value: null, reason: null };
    try {
      const value = await run();
      result.resolved = true;
      result.value = typeof value === "object" ? null : describe(value);
    } catch (reason) {
      result.reason = describe(reason);
    }
    result.ms = Math.round(performance.now() - start);
    result.events = window.events.map((event) => event.type);
    return result;
  }

  /* Resolves with {resolved, value, reason, ms, events}; never rejects. */
  window.publish = (config, timeoutMs = 15000) =>
    outcome(async () => {
      publisher = new red5prosdk.RTCPublisher();
      publisher.on("*", record);
      await within(publisher.init({ ...DEFAULTS, ...config }), timeoutMs);
      return within(publisher.publish(), timeoutMs);
    });

  window.unpublish = (timeoutMs = 10000) => outcome(() => within(publisher.unpublish(), timeoutMs));

  window.sdkPublisher = () => publisher;

  window.waitEvent = (type, timeoutMs) =>
    within(
      new Promise((resolve) => {
        const found = () => window.events.find((event) => event.type === type);
        const wake = () => {
          const event = found();
          if (event) resolve(event);
          return Boolean(event);
        };
        if (!wake()) waiting.push(wake);
      }),
      timeoutMs,
    );

  /* The hand-written sample pages ask the Stream Manager themselves: no extension, the status is not looked at. */
  window.autoscale = async (base, scope, stream, query = "") => {
    const response = await fetch(`${base}/streammanager/api/4.0/event/${scope}/${stream}?action=broadcast${query}`);
    if (!response.headers.get("content-type")?.includes("application/json")) {
      throw new TypeError("Could not properly parse response.");
    }
    return response.json();
  };

  window.autoscaleAndPublish = async (base, scope, config, timeoutMs) => {
    const node = await window.autoscale(base, scope, config.streamName);
    const connectionParams = { ...config.connectionParams, host: node.serverAddress, app: node.scope };
    return window.publish({ ...config, app: "streammanager", connectionParams }, timeoutMs);
  };

  /* The sample pages keep a socket of their own for hooks. */
  window.listen = (url) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.onmessage = (message) => window.hooks.push(message.data);
      socket.onopen = () => resolve(true);
      socket.onerror = () => reject(new Error(`no socket at ${url}`));
    });

  /* Makes the browser offer one video codec only, such as "video/H264". */
  window.onlyVideoCodec = (mimeType) => {
    const createOffer = RTCPeerConnection.prototype.createOffer;
    const codecs = RTCRtpSender.getCapabilities("video").codecs.filter((codec) => codec.mimeType === mimeType);
    RTCPeerConnection.prototype.createOffer = function (...args) {
      for (const transceiver of this.getTransceivers()) {
        if (transceiver.sender.track?.kind === "video") transceiver.setCodecPreferences(codecs);
      }
      return createOffer.apply(this, args);
    };
    return codecs.length;
  };

  window.stats = async () => {
    const totals = { bytesSent: 0, packetsSent: 0, framesEncoded: 0, codecs: [], ofKind: {} };
    const report = await publisher.getPeerConnection().getStats();
    report.forEach((entry) => {
      if (entry.type !== "outbound-rtp") return;
      totals.bytesSent += entry.bytesSent;
      totals.ofKind[entry.kind] = (totals.ofKind[entry.kind] ?? 0) + entry.bytesSent;
      totals.packetsSent += entry.packetsSent;
      totals.framesEncoded += entry.framesEncoded ?? 0;
      if (entry.codecId) totals.codecs.push(report.get(entry.codecId).mimeType);
    });
    return totals;
  };

  window.waitBytes = async (least, timeoutMs) => {
    const end = performance.now() + timeoutMs;
    for (;;) {
      // Of sound and picture both: the first picture comes later than the first sound.
      const { bytesSent, ofKind } = await window.stats();
      if (bytesSent > least && Object.values(ofKind).every((bytes) => bytes > 0)) return bytesSent;
      if (performance.now() > end) throw new Error(`${bytesSent} bytes sent after ${timeoutMs} ms, not more than ${least}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
})();
