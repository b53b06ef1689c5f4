/* WHIP and WHEP as the vendor's SDK 15 puts them on the wire, and REST as its pages call it, with handles for a test. */
(() => {
  "use strict";

  const SDP = "application/sdp";
  const FRAGMENT = "application/trickle-ice-sdpfrag";

  window.events = [];

  /* The URL of an endpoint with the query that the SDK adds: nothing in it is escaped. */
  function withQuery(url, query) {
    const pairs = Object.entries(query).map(([name, value]) => `${name}=${value}`);
    return pairs.length ? `${url}${url.includes("?") ? "&" : "?"}${pairs.join("&")}` : url;
  }

  /* Of a relative Location only the path counts, on the endpoint's origin; without one the endpoint's own path does. */
  function resourceOf(endpoint, location) {
    if (location?.startsWith("http")) return location;
    const { origin, pathname } = new URL(endpoint);
    return origin + (location ?? pathname).split("?")[0].replace("/endpoint/", "/resource/");
  }

  /* One request; what was answered is kept for the test. */
  async function send(method, url, type, body) {
    const response = await fetch(url, { method, mode: "cors", headers: type ? { "Content-Type": type } : {}, body });
    window.exchanges.push([method, new URL(url).pathname, response.status]);
    return response;
  }

  window.exchanges = [];

  /* What every trickle PATCH of the SDK looks like: all candidates under one media line, whatever section they are of. */
  function fragmentOf(sdp) {
    const lines = sdp.split("\r\n");
    const last = (start) => lines.filter((line) => line.startsWith(start)).at(-1);
    return [
      last("a=ice-ufrag:"),
      last("a=ice-pwd:"),
      lines.find((line) => line.startsWith("m=")),
      "a=mid:0",
      ...lines.filter((line) => line.startsWith("a=candidate:")),
      "a=end-of-candidates",
    ].join("\r\n");
  }

  function gathered(pc) {
    return new Promise((resolve) => {
      const look = () => pc.iceGatheringState === "complete" && resolve();
      pc.addEventListener("icegatheringstatechange", look);
      look();
    });
  }

  /* The SDK writes the bandwidth right below the media line, before c=. */
  function munged(sdp) {
    return sdp.replace(/^(m=audio .*\r\n)/m, "$1b=AS:56\r\n").replace(/^(m=video .*\r\n)/m, "$1b=AS:750\r\n");
  }

  class Client {
    constructor(endpoint, query, params) {
      this.endpoint = endpoint;
      this.query = query;
      this.params = params;
      this.hosted = {};
      this.pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
    }

    channel(start) {
      this.messages = [];
      const channel = this.pc.createDataChannel("red5pro", { ordered: true });
      channel.onopen = () => window.events.push(start);
      channel.onmessage = ({ data }) => this.messages.push(JSON.parse(data));
      this.dataChannel = channel;
    }

    async options() {
      const response = await send("OPTIONS", withQuery(this.endpoint, { ...this.query, signal: true, ...this.params }));
      if (![200, 204].includes(response.status)) throw new Error(`Failed to get options: ${response.status}`);
      const host = response.headers.get("Session-Host");
      if (host) this.hosted = { host };
      this.link = response.headers.get("Link");
    }

    async post(more, sdp, invalid) {
      const query = { ...this.query, signal: true, ...this.params, ...more, ...this.hosted };
      const response = await send("POST", withQuery(this.endpoint, query), SDP, sdp);
      if ([404, 409].includes(response.status)) window.events.push(invalid);
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
      this.resource = resourceOf(this.endpoint, response.headers.get("Location"));
      return response.text();
    }

    async patch(type, body) {
      const url = withQuery(this.resource, { ...this.query, ...this.params, ...this.hosted });
      const response = await send("PATCH", url, type, body);
      if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    }

    async trickle() {
      await gathered(this.pc);
      await this.patch(FRAGMENT, fragmentOf(this.pc.localDescription.sdp));
    }

    async close() {
      await send("DELETE", withQuery(this.resource, { ...this.query, ...this.hosted }));
      this.pc.close();
    }
  }

  const clients = [];

  window.whip = async (endpoint, params = {}) => {
    const client = new Client(endpoint, {}, params);
    clients.push(client);
    await client.options();
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
    document.getElementById("publisher").srcObject = media;
    client.channel("Publish.Start");
    for (const track of media.getTracks()) client.pc.addTrack(track, media);
    const offer = await client.pc.createOffer();
    await client.pc.setLocalDescription(offer);
    const { transcode, ...kept } = params;
    client.params = kept;
    const more = { mode: "live", transport: "udp", keyFramerate: 3000 };
    const sdp = await client.post(more, munged(offer.sdp), "Publish.InvalidName");
    await client.pc.setRemoteDescription({ type: "answer", sdp });
    await client.trickle();
    return clients.length - 1;
  };

  window.whep = async (endpoint, params = {}) => {
    const requestId = `subscriber-${Math.floor(Math.random() * 0x10000).toString(16)}`;
    const client = new Client(endpoint, { requestId }, params);
    clients.push(client);
    await client.options();
    client.channel("Subscribe.Start");
    const media = new MediaStream();
    client.pc.ontrack = ({ track }) => media.addTrack(track);
    document.getElementById("subscriber").srcObject = media;
    // Thrown away: the answer to it is the server's own offer.
    const thrown = new RTCPeerConnection({ iceServers: [] });
    for (const kind of ["audio", "video"]) thrown.addTransceiver(kind, { direction: "recvonly" });
    thrown.createDataChannel("red5pro");
    const { sdp } = await thrown.createOffer();
    thrown.close();
    const offer = await client.post({ transport: "udp", doNotSwitch: false }, sdp, "Subscribe.InvalidName");
    await client.pc.setRemoteDescription({ type: "offer", sdp: offer });
    await client.pc.setLocalDescription(await client.pc.createAnswer());
    await client.patch(SDP, client.pc.localDescription.sdp);
    await client.trickle();
    return clients.length - 1;
  };

  /* The retry page: once more a second until the stream is there. */
  window.whepWithRetries = async (endpoint, attempts) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await window.whep(endpoint);
      } catch (error) {
        if (attempt === attempts || window.events.at(-1) !== "Subscribe.InvalidName") throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  };

  window.close15 = (index) => clients[index].close();

  window.messagesOf = (index) => clients[index].messages;

  window.sendOn = (index, message) => clients[index].dataChannel.send(JSON.stringify(message));

  window.linkOf = (index) => clients[index].link;

  /* How many pictures the player has shown. */
  window.shown = () => document.getElementById("subscriber").getVideoPlaybackQuality().totalVideoFrames;

  /* The REST helpers of the pages: with credentials, the body read as JSON whatever the status is. */
  window.rest = async (method, url, { token, basic, body } = {}) => {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (basic) headers.Authorization = `Basic ${btoa(basic)}`;
    if (body !== undefined || basic) headers["Content-Type"] = "application/json";
    const response = await fetch(url, {
      method,
      mode: "cors",
      credentials: "include",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch {
      json = null;
    }
    return { status: response.status, type: response.headers.get("Content-Type"), json, text };
  };

  window.ready = true;
})();
