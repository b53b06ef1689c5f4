/* The hooks of one session, with what became of each. */

import { h } from "../shared/dom.js";
import { clock } from "../shared/format.js";
import { happened, told } from "../shared/words.js";
import { chip, delivered } from "./chips.js";

const SHOWN = 100;

/** The section of the hooks. */
export class SessionHooks {
  #store;
  #number;
  #body = h("tbody");
  #shown = "";
  element;

  constructor(store, number) {
    this.#store = store;
    this.#number = number;
    const header = h(
      "tr",
      {},
      ...["", "Time", "Event", "Told", "Delivery"].map((name) => h("th", { scope: "col" }, name)),
    );
    this.element = h(
      "section",
      {},
      h("h3", {}, "Hooks"),
      h("div", { class: "scroll" }, h("table", { class: "hooks" }, h("thead", {}, header), this.#body)),
    );
  }

  update() {
    const hooks = this.#store.newestHooks.filter(({ payload }) => payload.session === this.#number).slice(0, SHOWN);
    this.element.hidden = hooks.length === 0;
    const text = JSON.stringify(hooks.map((hook) => [hook.uuid, delivered(hook)]));
    if (text === this.#shown) return;
    this.#shown = text;
    this.#body.replaceChildren(...hooks.sort((a, b) => a.seq - b.seq).map((hook) => this.#row(hook)));
  }

  #row(hook) {
    const outcome = delivered(hook);
    return h(
      "tr",
      {},
      h("td", { class: "num muted" }, `#${hook.seq}`),
      h("td", { class: "num" }, clock(hook.ts)),
      h("th", { scope: "row" }, h("a", { href: `#/hooks/${hook.uuid}` }, happened(hook))),
      h("td", { class: "muted wide" }, told(hook)),
      h("td", {}, outcome.state ? chip(outcome.state) : "", outcome.words),
    );
  }
}
