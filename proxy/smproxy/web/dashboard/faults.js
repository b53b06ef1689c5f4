/* `#/faults`: faults that are on, a form to switch one on, and the log of what faults did. */

import { json } from "../shared/api.js";
import { h } from "../shared/dom.js";
import { count, moment } from "../shared/format.js";
import { ProblemLine } from "./problem-line.js";
import { stateTag } from "./state-tags.js";
import { FaultForm } from "./fault-form.js";
import { throttle } from "./throttle.js";
import { KeyedList } from "./keyed-list.js";

const REFRESH_MS = 700;
const SHOWN = 200;

function table(label, columns, body) {
  const header = h(
    "tr",
    {},
    ...columns.map((name) => h("th", { scope: "col" }, name || h("span", { class: "hidden" }, "Actions"))),
  );
  return h(
    "div",
    { class: "scroll" },
    h("table", { class: "cards", "aria-label": label }, h("thead", {}, header), body),
  );
}

function keyValues(values) {
  return Object.entries(values ?? {})
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");
}

/** The view. */
export class FaultsView {
  #store;
  #on;
  #log;
  #none = h("p", { class: "empty-line" }, "No fault is on: everything goes as it should.");
  #noneLogged = h("p", { class: "empty-line" }, "No fault has done anything yet.");
  #problem = new ProblemLine();
  #refresh = throttle(() => this.#load(), REFRESH_MS);
  #form = new FaultForm(() => this.#refresh.run());
  #tables;
  element;

  constructor(store) {
    this.#store = store;
    const [on, log] = [h("tbody"), h("tbody")];
    this.#on = new KeyedList(on, { make: (fault) => this.#row(fault), key: ({ id }) => id });
    this.#log = new KeyedList(log, { make: (entry) => this.#entry(entry), key: ({ at, number }) => `${at} ${number}` });
    this.#tables = [
      table("Faults that are on", ["Fault", "Parameters", "For", "Acted", "State", ""], on),
      table("What faults did", ["Time", "Fault", "Session", "Customer scope", "What it did"], log),
    ];
    const off = h(
      "button",
      { type: "button", class: "danger", onclick: () => this.#change("/api/v1/faults") },
      "All off",
    );
    this.element = h(
      "div",
      {},
      this.#problem.element,
      this.#form.element,
      h(
        "section",
        { class: "panel" },
        h("header", { class: "heading" }, h("h2", {}, "On"), off),
        this.#tables[0],
        this.#none,
      ),
      h("section", { class: "panel" }, h("h2", {}, "What they did"), this.#tables[1], this.#noneLogged),
    );
    this.#refresh.run();
  }

  update(topics) {
    if (topics.has("faults") || topics.has("ready")) this.#refresh.run();
    if (topics.has("ready")) this.#form.refresh();
  }

  destroy() {
    this.#refresh.stop();
  }

  async #load() {
    try {
      const [{ faults }, { log }] = await Promise.all([json("/api/v1/faults"), json("/api/v1/faults/log")]);
      const now = Date.now();
      // What is left of its time becomes the time of its end, to a second, so that a row does not change by itself.
      const until = ({ left }) => (left === null ? null : Math.round((now + 1000 * left) / 1000) * 1000);
      this.#on.set(
        faults.map((fault) => ({
          ...fault,
          parameters: this.#form.given(fault.fault, fault.parameters),
          left: null,
          until: until(fault),
        })),
      );
      // Two equal entries of one millisecond differ in their number.
      const skipped = Math.max(0, log.length - SHOWN);
      this.#log.set(
        log
          .slice(skipped)
          .map((entry, index) => ({ ...entry, number: skipped + index }))
          .reverse(),
      );
      [faults, log].forEach((rows, index) => (this.#tables[index].hidden = rows.length === 0));
      this.#none.hidden = faults.length > 0;
      this.#noneLogged.hidden = log.length > 0;
      this.#problem.show(null);
    } catch (error) {
      this.#problem.show(error);
    }
  }

  #row({ id, fault, parameters, match, injected, active, probability, count: times, until }) {
    const chance = probability < 1 ? ` in ${Math.round(probability * 100)} % of the cases` : "";
    const limit = times ? ` at most ${count(times)} times` : "";
    const end = until ? `, until ${moment(until).replace(/\.\d+$/, "")}` : "";
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, fault),
      h("td", { class: "code wide" }, keyValues(parameters)),
      h("td", { class: "wide" }, (keyValues(match) || "every connection") + chance + limit + end),
      h("td", { class: "num", "data-label": "Acted" }, count(injected)),
      h("td", {}, stateTag(active ? "on" : "used up")),
      h(
        "td",
        { class: "actions" },
        h("button", { type: "button", onclick: () => this.#change(`/api/v1/faults/${id}`) }, "Off"),
      ),
    );
  }

  #entry({ at, fault, session, customerScope, detail }) {
    const link = session === null ? "" : h("a", { href: `#/sessions/${session}` }, String(session));
    return h(
      "tr",
      {},
      h("td", { class: "num" }, moment(at)),
      h("th", { scope: "row" }, fault),
      h("td", { class: "num" }, link),
      h("td", {}, customerScope ?? ""),
      h("td", { class: "muted wide" }, detail || "–"),
    );
  }

  async #change(path) {
    if (await this.#problem.run(() => json(path, { method: "DELETE" }))) this.#refresh.run();
  }
}
