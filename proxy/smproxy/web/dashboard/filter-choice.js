/* A filter by one of the values that there are. */

import { h } from "../shared/dom.js";

/** A choice of `name`; `changed()` is called when another is taken, `label(value)` is what is shown of a value. */
export class FilterChoice {
  #values = "";
  #name;
  #label;
  element;

  constructor(name, changed, label = (value) => value) {
    this.#name = name;
    this.#label = label;
    this.element = h("select", { "aria-label": name, onchange: changed }, h("option", { value: "" }, `any ${name}`));
  }

  /** The value that was chosen, empty for all. */
  get wanted() {
    return this.element.value;
  }

  /** Offer these values; what was chosen stays, also when it is not among them any more. */
  offer(values) {
    const { wanted } = this;
    const all = [...new Set([...values, ...(wanted ? [wanted] : [])])].sort();
    const text = JSON.stringify(all);
    if (text === this.#values) return;
    this.#values = text;
    const options = all.map((value) => h("option", { value }, this.#label(value)));
    this.element.replaceChildren(h("option", { value: "" }, `any ${this.#name}`), ...options);
    this.element.value = wanted;
  }
}
