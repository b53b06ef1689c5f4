/* Playing a stream over the signaling socket: the server offers, the page answers. */

import { SignalingError, SignalingSocket } from "./signaling.js";

/** Plays `stream` from `url`. `onMedia(stream)`, `onStep(step)`, `onMessage`, `onEnd(reason)` report its progress. */
export class Subscriber {
  #options;
  #socket = null;
  #live = false;
  #ended = false;
  peer = new RTCPeerConnection({ iceServers: [] });

  constructor(options) {
    this.#options = options;
  }

  /** Resolve when the stream plays; reject with a reason as a sentence. */
  async start() {
    const { url, stream, requestId, onStep, onMedia } = this.#options;
    this.#socket = new SignalingSocket(url, {
      onMessage: (passed) => this.#passed(passed),
      onClose: (reason) => this.#end(reason),
    });
    this.peer.addEventListener("track", ({ streams, track }) => onMedia(streams[0] ?? new MediaStream([track])));
    this.peer.addEventListener("connectionstatechange", () => {
      if (this.peer.connectionState === "failed") this.#end("The media connection was lost.");
    });
    onStep("connect");
    await this.#socket.waitStatus("NetConnection.Connect.Success");
    const available = this.#socket.wait((message) => "isAvailable" in message, "the answer to isAvailable");
    this.#socket.send({ isAvailable: stream });
    if ((await available).isAvailable !== true) throw new SignalingError(`The stream ${stream} is not live.`);
    onStep("negotiate");
    const trickled = this.#socket.waitStatus("NetConnection.ICE.TrickleCompleted");
    trickled.catch(() => {});
    await this.#negotiate(stream, requestId);
    await trickled;
    onStep("transport");
    const started = this.#socket.wait(
      (message) => message.data?.message === `${stream} starting`,
      `${stream} starting`,
    );
    this.#socket.send({ subscribe: stream, requestId });
    await started;
    this.#live = true;
    onStep("live");
  }

  /** Leave: the signaling has no word for it, the socket just closes. */
  async stop() {
    this.#ended = true;
    this.#socket?.close();
    this.peer.close();
  }

  async #negotiate(stream, requestId) {
    const early = [];
    let answeredAlready = false;
    this.peer.addEventListener("icecandidate", ({ candidate }) => {
      const message = candidate?.candidate
        ? { handleCandidate: stream, requestId, data: { candidate: candidate.toJSON() } }
        : { handleCandidate: stream, data: { candidate: { type: "candidate", candidate: "" } } };
      if (answeredAlready) this.#socket.send(message);
      else early.push(message);
    });
    const offered = this.#socket.wait((message) => message.data?.sdp?.type === "offer", "the offer");
    this.#socket.send({ requestOffer: stream, requestId, transport: "udp", datachannel: false, doNotSwitch: true });
    await this.peer.setRemoteDescription((await offered).data.sdp);
    const answer = await this.peer.createAnswer();
    await this.peer.setLocalDescription(answer);
    this.#socket.send({ handleAnswer: stream, requestId, data: { sdp: { type: answer.type, sdp: answer.sdp } } });
    answeredAlready = true;
    early.forEach((message) => this.#socket.send(message));
  }

  #passed({ sender, message }) {
    this.#options.onMessage({ sender, message });
    if (sender === "client") return;
    const code = message.data?.code ?? message.data?.status;
    if (code === "NetStream.Play.UnpublishNotify") this.#end("The publisher has stopped.");
    if (code === "NetConnection.Connect.Closed") this.#end("The server ended the session.");
    const candidate = message.data?.candidate;
    if (candidate?.candidate) this.peer.addIceCandidate(candidate).catch(() => {});
  }

  #end(reason) {
    if (this.#ended || !this.#live) return;
    this.#ended = true;
    this.#socket.close();
    this.peer.close();
    this.#options.onEnd(reason);
  }
}
