/* The media of a session: one row per track with its bitrate over time, and a picture of the stream. */

import { request } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { bitrate, bytes, count, percent } from "../shared/format.js";
import { Sparkline } from "../shared/sparkline.js";
import { LIVE } from "./store.js";

const COLUMNS = ["Track", "Codec", "Size", "Bitrate", "In 2 minutes", "Loss", "RTT", "Bytes"];
const THUMBNAIL_MS = 4000;

function roundTrip(ms) {
  return ms === null || ms === undefined ? "–" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/* All tracks of a session in one line. */
function summary(tracks) {
  const sum = (name) => tracks.reduce((total, track) => total + track[name], 0);
  const [lost, packets] = [sum("lost"), sum("packets")];
  const rtt = tracks.find(({ rttMs }) => rttMs !== null && rttMs !== undefined)?.rttMs;
  return [bitrate(sum("bitrate")), `loss ${percent(lost, packets + lost)}`, `round trip ${roundTrip(rtt)}`].join(" · ");
}

function texts(track) {
  const video = track.kind === "video";
  return [
    track.codec || "–",
    video && track.width ? `${track.width} × ${track.height}` : "",
    bitrate(track.bitrate),
    null,
    percent(track.lost, track.packets + track.lost),
    roundTrip(track.rttMs),
    bytes(track.bytes),
  ];
}

/** The section of the tracks. */
export class Tracks {
  #store;
  #number;
  #rows = new Map();
  #body = h("tbody");
  #table;
  #none = h("p", { class: "empty-line" }, "No media yet.");
  #picture = h("img", { class: "thumbnail", alt: "The latest key frame of the stream", hidden: true });
  #summary = h("p", { class: "muted num summary", hidden: true });
  #timer;
  #source = "";
  element;

  constructor(store, number) {
    this.#store = store;
    this.#number = number;
    const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    this.#table = h("div", { class: "scroll" }, h("table", { class: "tracks" }, h("thead", {}, header), this.#body));
    const media = h("div", { class: "media" }, this.#picture, this.#table);
    this.element = h("section", {}, h("h3", {}, "Media"), this.#summary, this.#none, media);
    this.#timer = setInterval(() => this.#refresh(), THUMBNAIL_MS);
  }

  update() {
    const session = this.#store.sessions.get(this.#number);
    this.#none.hidden = session.tracks.length > 0;
    setText(this.#none, LIVE.has(session.state) ? "No media yet." : "No media came.");
    this.#table.hidden = session.tracks.length === 0;
    this.#summary.hidden = this.#table.hidden;
    setText(this.#summary, summary(session.tracks));
    for (const track of session.tracks) {
      const { cells, plot } = this.#row(track);
      texts(track).forEach((text, index) => text !== null && setText(cells[index], text));
      cells[1].title = track.kind === "video" ? `${count(track.keyFrames)} key frames` : "";
      cells[4].title = `${count(track.lost)} of ${count(track.packets + track.lost)} packets`;
      const title = `Bitrate of ${track.track} in the last two minutes, now ${bitrate(track.bitrate)}`;
      plot.draw(this.#store.bitrates(this.#number, track.track), title);
    }
    if (this.#source === "" && session.tracks.some(({ kind, keyFrames }) => kind === "video" && keyFrames))
      this.#refresh();
  }

  destroy() {
    clearInterval(this.#timer);
    URL.revokeObjectURL(this.#source);
  }

  #row({ track }) {
    if (!this.#rows.has(track)) {
      const plot = new Sparkline();
      const cells = COLUMNS.slice(1).map(() => h("td", { class: "num" }));
      cells[3].append(plot.element);
      this.#body.append(h("tr", {}, h("th", { scope: "row" }, track), ...cells));
      this.#rows.set(track, { cells, plot });
    }
    return this.#rows.get(track);
  }

  async #refresh() {
    const session = this.#store.sessions.get(this.#number);
    const video = session?.tracks.some(({ kind, keyFrames }) => kind === "video" && keyFrames);
    const stream = session?.stream ?? session?.id;
    if (document.hidden || !video || !LIVE.has(session.state) || !stream) return;
    const path = (session.scope ?? session.app).split("/").map(encodeURIComponent).join("/");
    try {
      const response = await request(`/api/v1/streams/${path}/${encodeURIComponent(stream)}/thumbnail.png`);
      const next = URL.createObjectURL(await response.blob());
      URL.revokeObjectURL(this.#source);
      this.#source = this.#picture.src = next;
      this.#picture.hidden = false;
    } catch {
      this.#source ||= "none";
    }
  }
}
