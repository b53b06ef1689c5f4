/* Publishing over the signaling socket, with one peer connection and no SDK. */

import { SignalingError, SignalingSocket } from "./signaling.js";

const STOP_MS = 5000;

/** Publishes `media` at `url`. `onStep(step)`, `onMessage({ sender, message })`, `onEnd(reason)` report its progress. */
export class Publisher {
  #options;
  #socket = null;
  #live = false;
  #ended = false;
  peer = new RTCPeerConnection({ iceServers: [] });

  constructor(options) {
    this.#options = options;
  }

  /** Resolve when the stream is live; reject with a reason as a sentence. */
  async start() {
    const { url, stream, mode, media, onStep, onMessage } = this.#options;
    this.#socket = new SignalingSocket(url, { onMessage, onClose: (reason) => this.#end(reason) });
    onStep("connect");
    await this.#socket.waitStatus("NetConnection.Connect.Success");
    const available = this.#socket.wait((message) => "isAvailable" in message, "the answer to isAvailable");
    this.#socket.send({ isAvailable: stream, bundle: true });
    if ((await available).isAvailable === true) throw new SignalingError(`The stream name ${stream} is in use.`);
    onStep("negotiate");
    const trickled = this.#socket.waitStatus("NetConnection.ICE.TrickleCompleted");
    trickled.catch(() => {});
    await this.#negotiate(stream, media);
    await trickled;
    onStep("transport");
    await this.#connected();
    const wanted = `${stream} starting`;
    const started = this.#socket.wait((message) => message.data?.message === wanted, wanted);
    this.#socket.send({ publish: stream, mode, keyFramerate: 3000 });
    await started;
    this.#live = true;
    onStep("live");
  }

  /** Unpublish; resolves when all is closed, whatever the server says. */
  async stop() {
    const { stream } = this.#options;
    this.#ended = true;
    if (this.#live) {
      const stopped = this.#socket.wait(
        (message) => message.data?.message === `${stream} stopping`,
        "stopping",
        STOP_MS,
      );
      this.#socket.send({ unpublish: stream });
      await stopped.catch(() => {});
    }
    this.#socket?.close();
    this.peer.close();
  }

  async #negotiate(stream, media) {
    for (const track of media.getTracks()) this.peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
    this.peer.addEventListener("icecandidate", ({ candidate }) => {
      const value = candidate?.candidate ? candidate.toJSON() : { type: "candidate", candidate: "" };
      this.#socket.send({ handleCandidate: stream, data: { candidate: value } });
    });
    const answered = this.#socket.wait((message) => message.data?.sdp?.type === "answer", "the answer to the offer");
    answered.catch(() => {});
    const offer = await this.peer.createOffer();
    this.#socket.send({ handleOffer: stream, transport: "udp", data: { sdp: { type: offer.type, sdp: offer.sdp } } });
    await this.peer.setLocalDescription(offer);
    await this.peer.setRemoteDescription((await answered).data.sdp);
  }

  async #connected() {
    const failed = () => new SignalingError("The media connection to the origin did not come up: is UDP blocked?");
    await new Promise((resolve, reject) => {
      const look = () => {
        if (this.peer.connectionState === "connected") resolve();
        if (this.peer.connectionState === "failed")
          this.#live ? this.#end("The media connection was lost.") : reject(failed());
      };
      this.peer.addEventListener("connectionstatechange", look);
      look();
    });
  }

  #end(reason) {
    if (this.#ended || !this.#live) return;
    this.#ended = true;
    this.#socket.close();
    this.peer.close();
    this.#options.onEnd(reason);
  }
}
