/* Publishing by WHIP. */

import { HttpPeer } from "./http-peer.js";

/** Publishes `media` at the endpoint `url`. `onStep(step)`, `onMessage({ sender, message })`, `onEnd(reason)` report its progress. */
export class WhipPublisher extends HttpPeer {
  addMedia() {
    const { media } = this.options;
    for (const track of media.getTracks()) this.peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
  }
}
