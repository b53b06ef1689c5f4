/* A list of messages, the newest first, each with its content on click. What is old leaves. */

import { byId, h } from "./dom.js";
import { clock, count } from "./format.js";
import { payload } from "./payload.js";

/** The log in the list with this id; the paragraph `id-empty` is shown while there is nothing. */
export class MessageLog {
  #list;
  #empty;
  #limit;
  #dropped = 0;
  #last = null;

  constructor(id, limit = 200) {
    this.#list = byId(id);
    this.#empty = byId(`${id}-empty`);
    this.#limit = limit;
  }

  clear() {
    this.#list.replaceChildren();
    this.#empty.hidden = false;
    this.#dropped = 0;
  }

  /** Add an entry: who, what, a short summary, and the whole message. */
  add({ who, what, summary = "", message, kind = "", at = Date.now() }) {
    const details = h(
      "details",
      {},
      h(
        "summary",
        {},
        h("time", { class: "num muted" }, clock(at)),
        h("span", { class: "who" }, who),
        h("span", { class: "what" }, what),
        h("span", { class: "muted summary" }, summary),
      ),
    );
    // The content is made when it is asked for: most of it never is.
    details.addEventListener("toggle", () => details.append(payload(message)), { once: true });
    this.#list.prepend(h("li", { "data-kind": kind }, details));
    this.#empty.hidden = true;
    if (this.#list.childElementCount > this.#limit) {
      this.#last ??= h("li", { class: "muted" });
      this.#last.remove();
      this.#list.lastElementChild.remove();
      this.#last.textContent = `${count((this.#dropped += 1))} older messages are not shown.`;
      this.#list.append(this.#last);
    }
  }
}
