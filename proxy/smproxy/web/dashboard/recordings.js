/* `#/recordings`: the recorded files, to play, to save and to delete. */

import { json } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { bytes, count, duration, moment } from "../shared/format.js";
import { copyButton } from "../shared/copy-button.js";
import { ProblemLine } from "./problem-line.js";
import { throttle } from "./throttle.js";
import { KeyedList } from "./keyed-list.js";
import { confirmButton } from "./confirm-button.js";

const COLUMNS = ["File", "Length", "Codecs", "Size", "Last written", ""];
const REFRESH_MS = 1500;
const SHOWN = 200;

/** The view. */
export class RecordingsView {
  #rows;
  #none = h("p", { class: "empty-line", hidden: true }, "Nothing was recorded yet: publish with recording=true.");
  #problem = new ProblemLine();
  #total = h("p", { class: "muted num" });
  #table;
  #video = h("video", { controls: true, playsinline: true });
  #name = h("h3", { class: "code" });
  #player = h("div", { class: "player", hidden: true }, this.#name, this.#video);
  #refresh = throttle(() => this.#load(), REFRESH_MS);
  element;

  constructor() {
    const header = h(
      "tr",
      {},
      ...COLUMNS.map((name) => h("th", { scope: "col" }, name || h("span", { class: "hidden" }, "Actions"))),
    );
    const body = h("tbody");
    this.#rows = new KeyedList(body, { make: (recording) => this.#row(recording), key: ({ file }) => file });
    this.#table = h("div", { class: "scroll" }, h("table", { class: "cards" }, h("thead", {}, header), body));
    const children = [h("h2", {}, "Recordings"), this.#player, this.#problem.element, this.#table, this.#total, this.#none];
    this.element = h("section", { class: "panel", "aria-label": "Recordings" }, ...children);
    this.#refresh.run();
  }

  update(topics) {
    if (topics.has("sessions") || topics.has("ready")) this.#refresh.run();
  }

  destroy() {
    this.#refresh.stop();
    this.#video.pause();
  }

  async #load() {
    try {
      this.#draw(await json("/api/v1/recordings"));
      this.#problem.show(null);
    } catch (error) {
      this.#problem.show(error.status === 404 ? "This server records nothing." : error);
    }
  }

  #draw({ recordings, total }) {
    this.#none.hidden = recordings.length > 0;
    this.#table.hidden = recordings.length === 0;
    const left = (total ?? recordings.length) - Math.min(recordings.length, SHOWN);
    setText(this.#total, left > 0 ? `and ${count(left)} older ones` : "");
    this.#rows.set(recordings.slice(0, SHOWN));
  }

  #row({ file, size, modifiedAt, url, durationMs, codecs }) {
    const play = h("button", { type: "button", onclick: () => this.#play(file, url) }, "Play");
    const save = h("a", { class: "button", href: url, download: file.split("/").pop() }, "Save");
    const remove = confirmButton("Delete", "Delete now", async () => {
      if (await this.#problem.run(() => json(url, { method: "DELETE" }))) this.#refresh.run();
    });
    return h(
      "tr",
      {},
      h("th", { scope: "row", class: "code" }, file),
      h("td", { class: "num" }, duration(durationMs)),
      h("td", {}, codecs.join(", ")),
      h("td", { class: "num" }, bytes(size)),
      h("td", { class: "num" }, moment(modifiedAt)),
      h("td", { class: "actions" }, play, save, copyButton("address", () => new URL(url, location.href).href), remove),
    );
  }

  #play(file, url) {
    this.#player.hidden = false;
    setText(this.#name, file);
    this.#video.src = url;
    this.#video.play().catch(() => {});
  }
}
