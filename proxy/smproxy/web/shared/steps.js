/* How far it has come, as a list that says more than a spinner. */

import { by, h, setText } from "./dom.js";

/** Shows the steps of a start, the state in words, and what went wrong. */
export class Progress {
  #items;
  #names;

  constructor(steps) {
    this.#names = Object.keys(steps);
    this.#items = Object.values(steps).map((words) => h("li", {}, words));
    by("steps").replaceChildren(...this.#items);
  }

  /** A step is under way, or with `live` the last of them is done. */
  step(name) {
    const reached = this.#names.indexOf(name);
    this.#items.forEach((item, index) => {
      const done = index < reached || (index === reached && name === "live");
      item.dataset.step = done ? "done" : index === reached ? "now" : "";
      if (index === reached) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }

  /** Say the state; `kind` is idle, busy, live or failed. */
  say(words, kind) {
    by("state").dataset.state = kind;
    setText(by("state"), words);
    if (kind === "idle") this.#items.forEach((item) => (item.dataset.step = ""));
  }

  /** Say what went wrong; nothing takes it away. */
  problem(words) {
    by("problem").hidden = !words;
    setText(by("problem"), words);
  }

  /** Say what is good to know. */
  note(words) {
    by("note").hidden = !words;
    setText(by("note"), words);
  }
}
