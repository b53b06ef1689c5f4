/* The view of the sessions: the list, and the one that is chosen beside it. */

import { h } from "../shared/dom.js";
import { Empty } from "./empty.js";
import { SessionDetail } from "./session-detail.js";
import { SessionList } from "./session-list.js";

/** `#/sessions`, `#/sessions/NUMBER`. */
export class SessionsView {
  #store;
  #list;
  #detail = null;
  #empty;
  #split;
  element;

  constructor(store) {
    this.#store = store;
    this.#list = new SessionList(store, (session) => location.replace(`#/sessions/${session.session}`));
    this.#empty = new Empty(store);
    this.#split = h("div", { class: "split" }, this.#list.element);
    this.element = h("div", {}, this.#empty.element, this.#split);
    this.update(new Set(["sessions"]));
  }

  route(part) {
    const number = part ? Number(part) : null;
    if (this.#detail?.number === number) return;
    this.#detail?.destroy();
    this.#detail?.element.remove();
    this.#detail = number === null ? null : new SessionDetail(this.#store, number);
    if (this.#detail) this.#split.append(this.#detail.element);
    this.#split.classList.toggle("chosen", this.#detail !== null);
    this.#list.select(number);
  }

  update(topics) {
    const none = this.#store.sessions.size === 0 && this.#detail === null;
    this.#empty.element.hidden = !(none && this.#store.link === "live");
    this.#split.hidden = none;
    if (topics.has("sessions") || topics.has("stats") || topics.has("second")) this.#list.update();
    this.#detail?.update(topics);
  }

  destroy() {
    this.#list.destroy();
    this.#detail?.destroy();
  }
}
