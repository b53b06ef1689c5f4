/* The hooks of one session, with their deliveries. */

import { h } from "../shared/dom.js";
import { shortMoment } from "../shared/format.js";
import { hookName, hookSummary } from "../shared/labels.js";
import { stateTag, deliverySummary } from "./state-tags.js";

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
      ...["", "Time", "Event", "Details", "Delivery"].map((name) => h("th", { scope: "col" }, name)),
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
    const text = JSON.stringify(hooks.map((hook) => [hook.uuid, deliverySummary(hook)]));
    if (text === this.#shown) return;
    this.#shown = text;
    this.#body.replaceChildren(...hooks.sort((a, b) => a.seq - b.seq).map((hook) => this.#row(hook)));
  }

  #row(hook) {
    const outcome = deliverySummary(hook);
    return h(
      "tr",
      {},
      h("td", { class: "num muted" }, `#${hook.seq}`),
      h("td", { class: "num" }, shortMoment(hook.ts)),
      h("th", { scope: "row" }, h("a", { href: `#/hooks/${hook.uuid}` }, hookName(hook))),
      h("td", { class: "muted wide" }, hookSummary(hook)),
      h("td", {}, outcome.state ? stateTag(outcome.state) : "", outcome.share),
    );
  }
}
