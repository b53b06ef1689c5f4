/* The steps of a start, the state, and what went wrong. */

import { byId, h, setText } from "./dom.js";

/** Shows the progress of a page. */
export class Progress {
  #items;
  #names;

  /** Show these steps, none of them done. */
  setSteps(steps) {
    this.#names = Object.keys(steps);
    this.#items = Object.values(steps).map((text) => h("li", {}, text));
    byId("steps").replaceChildren(...this.#items);
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

  /** Show the state; `kind` is idle, busy, live or failed. */
  setState(text, kind) {
    byId("state").dataset.state = kind;
    setText(byId("state"), text);
    if (kind === "idle") this.#items.forEach((item) => (item.dataset.step = ""));
  }

  /** Show what went wrong, until the next start. */
  problem(text) {
    byId("problem").hidden = !text;
    setText(byId("problem"), text);
  }

  /** Show a note. */
  note(text) {
    byId("note").hidden = !text;
    setText(byId("note"), text);
  }
}
