/* What the browser says of its media, as rows: one per track, with the bitrate since the last look. */

/** Looks at a peer connection again and again; remembers the counters of the last time. */
export class Statistics {
  #peer;
  #last = new Map();

  constructor(peer) {
    this.#peer = peer;
  }

  /** Return `[{ kind, codec, bitrate, bytes, packets, lost, width, height, frames, rtt }]`. */
  async sample() {
    const report = await this.#peer.getStats();
    const rows = [];
    const far = new Map();
    report.forEach((entry) => {
      if (entry.type === "remote-inbound-rtp") far.set(entry.localId, entry);
    });
    report.forEach((entry) => {
      if (entry.type === "outbound-rtp" || entry.type === "inbound-rtp")
        rows.push(this.#row(entry, far.get(entry.id), report));
    });
    return rows.sort((a, b) => a.kind.localeCompare(b.kind));
  }

  #row(entry, remote, report) {
    const bytes = entry.bytesSent ?? entry.bytesReceived ?? 0;
    const last = this.#last.get(entry.id);
    this.#last.set(entry.id, { bytes, at: entry.timestamp });
    const seconds = last ? (entry.timestamp - last.at) / 1000 : 0;
    return {
      kind: entry.kind,
      codec: (report.get(entry.codecId)?.mimeType ?? "").split("/")[1] ?? "",
      bitrate: seconds > 0 ? (8 * (bytes - last.bytes)) / seconds : null,
      bytes,
      packets: entry.packetsSent ?? entry.packetsReceived ?? 0,
      lost: entry.packetsLost ?? remote?.packetsLost ?? 0,
      width: entry.frameWidth ?? 0,
      height: entry.frameHeight ?? 0,
      frames: entry.framesPerSecond ?? 0,
      rtt: remote?.roundTripTime ?? null,
    };
  }
}
