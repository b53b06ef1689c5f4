/* A peer connection whose signaling is HTTP: one POST with the offer, one DELETE at the end (RFC 9725, draft-ietf-wish-whep). */

import { SignalingError } from "./signaling.js";

/* How long candidates are gathered before the offer is sent: it has all of them, so that no PATCH is needed. */
const GATHER_MS = 2000;

/** The base of `WhipPublisher` and `WhepPlayer`. `onMessage({ sender, message })` gets each request and each answer. */
export class HttpPeer {
  #session = null;
  #live = false;
  #ended = false;
  options;
  peer = new RTCPeerConnection({ iceServers: [] });

  constructor(options) {
    this.options = options;
  }

  /** Resolve when media flows; reject with a reason. */
  async start() {
    const { onStep } = this.options;
    this.addMedia();
    onStep("negotiate");
    await this.peer.setLocalDescription();
    await this.#gathered();
    const answer = await this.#post(this.peer.localDescription.sdp);
    if (this.#ended) return;
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer });
    onStep("transport");
    await this.#connected();
    this.#live = true;
    onStep("live");
  }

  /** End the session; resolves when it is closed, whatever the server answers. */
  async stop() {
    this.#ended = true;
    if (this.#session) await this.#exchange("DELETE", this.#session).catch(() => {});
    this.peer.close();
  }

  #gathered() {
    return new Promise((resolve) => {
      setTimeout(resolve, GATHER_MS);
      const look = () => this.peer.iceGatheringState === "complete" && resolve();
      this.peer.addEventListener("icegatheringstatechange", look);
      look();
    });
  }

  async #post(offer) {
    const { url } = this.options;
    const { response, text } = await this.#exchange("POST", url, offer);
    if (!response.ok) {
      const { detail } = /json/.test(response.headers.get("Content-Type")) ? JSON.parse(text) : {};
      throw new SignalingError(detail ?? `The stream manager answered with HTTP ${response.status}.`);
    }
    this.#session = new URL(response.headers.get("Location"), url).href;
    if (this.#ended) await this.stop(); // meanwhile
    return text;
  }

  async #exchange(method, url, body) {
    const headers = body === undefined ? {} : { "Content-Type": "application/sdp" };
    this.#log("client", `${method} ${new URL(url).pathname}${new URL(url).search}`, headers, body);
    let response;
    try {
      response = await fetch(url, { method, headers, body, keepalive: method === "DELETE" });
    } catch {
      throw new SignalingError(`No stream manager answers at ${new URL(url).host}.`);
    }
    const text = await response.text();
    this.#log("server", response.status, Object.fromEntries(response.headers), text);
    return { response, text };
  }

  /* As exchanges stand in a session's transcript. */
  #log(sender, what, headers, body) {
    const message = sender === "client" ? { request: what } : { status: what };
    this.options.onMessage({ sender, message: { ...message, headers, body: body || undefined } });
  }

  async #connected() {
    await new Promise((resolve, reject) => {
      const look = () => {
        if (this.peer.connectionState === "connected") resolve();
        if (this.peer.connectionState !== "failed") return;
        if (this.#live) this.#end("The media connection was lost.");
        else reject(new SignalingError("The media connection to the origin did not come up: is UDP blocked?"));
      };
      this.peer.addEventListener("connectionstatechange", look);
      look();
    });
    // HTTP has no message for the end of a session: the server closes the media connection.
    const [{ sender, receiver }] = this.peer.getTransceivers();
    const transport = sender.transport ?? receiver.transport;
    transport.addEventListener("statechange", () => {
      if (transport.state === "closed") this.#end("The server ended the session.");
    });
  }

  #end(reason) {
    if (this.#ended || !this.#live) return;
    this.#ended = true;
    this.peer.close();
    this.options.onEnd(reason);
  }
}
