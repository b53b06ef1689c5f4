/* `#/origins`: the origins and what each carries. */

import { h } from "../shared/dom.js";
import { count } from "../shared/format.js";

const COLUMNS = ["Origin", "Dialled at", "Region", "Publishers", "Subscribers", "Sessions", "Share"];

function row(origin, most) {
  const load = h("meter", {
    min: 0,
    max: Math.max(1, most),
    "aria-label": `Share of the sessions of ${origin.address}`,
  });
  load.value = origin.sessions;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, origin.address),
    h("td", { class: "code muted" }, `${origin.host}:${origin.port}`),
    h("td", {}, origin.region),
    ...[origin.publishers, origin.subscribers, origin.sessions].map((value) => h("td", { class: "num" }, count(value))),
    h("td", {}, load),
  );
}

/** The view. */
export class OriginsView {
  #store;
  #body = h("tbody");
  #none = h("p", { class: "empty-line" }, "No origin is registered. Give one with smproxy serve --origin HOST:PORT.");
  element;

  constructor(store) {
    this.#store = store;
    const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    const table = h("div", { class: "scroll" }, h("table", {}, h("thead", {}, header), this.#body));
    this.element = h("section", { class: "panel", "aria-label": "Origins" }, h("h2", {}, "Origins"), table, this.#none);
    this.update(new Set(["origins"]));
  }

  update(topics) {
    if (!topics.has("origins")) return;
    const { origins } = this.#store;
    const all = origins.reduce((sum, { sessions }) => sum + sessions, 0);
    this.#none.hidden = origins.length > 0;
    this.#body.replaceChildren(...origins.map((origin) => row(origin, all)));
  }
}
