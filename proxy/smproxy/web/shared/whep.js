/* Playing by WHEP. */

import { HttpPeer } from "./http-peer.js";

/** Plays from the endpoint `url`. `onMedia(stream)`, `onStep(step)`, `onMessage`, `onEnd(reason)` report its progress. */
export class WhepPlayer extends HttpPeer {
  addMedia() {
    const stream = new MediaStream();
    this.peer.addEventListener("track", ({ track }) => {
      stream.addTrack(track);
      this.options.onMedia(stream);
    });
    for (const kind of ["audio", "video"]) this.peer.addTransceiver(kind, { direction: "recvonly" });
  }
}
