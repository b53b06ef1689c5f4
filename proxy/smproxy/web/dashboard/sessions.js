/* The view of the sessions: the list, and the one that is chosen beside it. */

import { h } from "../shared/dom.js";
import { showDetail, openDetail } from "./split-view.js";
import { EmptyState } from "./empty-state.js";
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
    this.#list = new SessionList(store, (session) => openDetail("#/sessions", session.session));
    this.#empty = new EmptyState(store);
    this.#split = h("div", { class: "split" }, this.#list.element);
    this.element = h("div", {}, this.#empty.element, this.#split);
    this.update(new Set(["sessions"]));
  }

  route(part) {
    const number = /^\d+$/.test(part ?? "") ? Number(part) : null;
    if (this.#detail?.number === number) return;
    this.#detail?.destroy();
    this.#detail = number === null ? null : new SessionDetail(this.#store, number);
    this.update(new Set(["sessions"]));
    showDetail(this.#split, this.#list, this.#detail);
    this.#list.select(number);
  }

  update(topics) {
    const none = this.#store.sessions.size === 0 && this.#detail === null;
    this.#empty.element.hidden = !(none && this.#store.connection === "live");
    this.#split.hidden = none;
    if (topics.has("sessions") || topics.has("stats") || topics.has("second")) this.#list.update();
    this.#detail?.update(topics);
  }

  destroy() {
    this.#list.destroy();
    this.#detail?.destroy();
  }
}
