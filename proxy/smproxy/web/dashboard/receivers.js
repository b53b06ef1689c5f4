/* The state of each receiver of hooks. */

import { h } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { stateTag } from "./state-tags.js";

const COLUMNS = ["Receiver", "State", "Delivered", "Waiting", "Attempts", "Dead", "Latency", "Last error"];

/* States in which the last error is what somebody looks for. */
const BROKEN = new Set(["failing", "disabled"]);

function row(sink) {
  const latency = sink.latencyCount ? `${Math.round((1000 * sink.latencySum) / sink.latencyCount)} ms` : "–";
  const numbers = [sink.delivered, sink.backlog, sink.attempts, sink.dead].map((value, at) =>
    h("td", { class: "num", "data-label": COLUMNS[at + 2] }, count(value)),
  );
  return h(
    "tr",
    {},
    h("th", { scope: "row", class: "code" }, sink.name),
    h("td", {}, stateTag(sink.state === "idle" && sink.delivered ? "up to date" : sink.state)),
    ...numbers,
    h("td", { class: "num", "data-label": "Latency" }, latency),
    h("td", { class: BROKEN.has(sink.state) ? "wide bad" : "muted wide" }, sink.lastError ?? ""),
  );
}

/** The table of receivers. */
export class ReceiverTable {
  #store;
  #body = h("tbody");
  #none = h(
    "p",
    { class: "empty-line" },
    "Hooks go to the webhook socket only. To have them posted to a receiver: ",
    h("code", {}, "smproxy serve --hook-uri http://127.0.0.1:9000/hooks"),
  );
  #table;
  element;

  constructor(store) {
    this.#store = store;
    const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    this.#table = h("div", { class: "scroll" }, h("table", { class: "cards" }, h("thead", {}, header), this.#body));
    this.element = h(
      "section",
      { class: "panel", "aria-label": "Receivers" },
      h("h2", {}, "Receivers"),
      this.#table,
      this.#none,
    );
    this.update();
  }

  update() {
    const { sinks } = this.#store;
    this.#table.hidden = sinks.length === 0;
    this.#none.hidden = sinks.length > 0;
    this.#body.replaceChildren(...sinks.map(row));
  }
}
