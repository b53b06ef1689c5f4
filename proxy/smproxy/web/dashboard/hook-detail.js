/* One hook: its message, and each sink with every attempt to deliver it. */

import { json } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { count, moment } from "../shared/format.js";
import { copyButton } from "../shared/copy-button.js";
import { payload } from "../shared/payload.js";
import { hookName } from "../shared/labels.js";
import { ProblemLine } from "./problem-line.js";
import { stateTag } from "./state-tags.js";
import { throttle } from "./throttle.js";
import { KeyedList } from "./keyed-list.js";

const REFRESH_MS = 600;

function attempts(delivery) {
  const head = ["Time", "Outcome", "Answer", "Took"].map((name) => h("th", { scope: "col" }, name));
  const rows = delivery.attempts.map(({ at, outcome, detail, tookMs }) =>
    h(
      "tr",
      {},
      h("td", { class: "num" }, moment(at)),
      h("td", {}, stateTag(outcome)),
      h("td", { class: "wide" }, detail || (outcome === "delivered" ? "taken" : "–")),
      h("td", { class: "num" }, `${tookMs} ms`),
    ),
  );
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}

/** The panel of one hook; `back` leads to the list that it was chosen in. */
export class HookDetail {
  #store;
  #title = h("h2", { tabindex: "-1" }, "Loading…");
  #about = h("p", { class: "muted" });
  #problem = new ProblemLine();
  #done = h("p", { class: "muted", role: "status" });
  #message = h("div");
  #sinks = h("div");
  #rows = new KeyedList(this.#sinks, { make: (delivery) => this.#sink(delivery), key: ({ sink }) => sink });
  #resent = null;
  #refresh = throttle(() => this.#load(), REFRESH_MS);
  #shown = "";
  #session = null;
  element;

  constructor(store, uuid, back) {
    this.uuid = uuid;
    this.#store = store;
    this.element = h(
      "article",
      { class: "panel detail", "aria-label": "Hook" },
      h("a", { class: "back", href: back }, "All hooks"),
      h("header", {}, this.#title),
      this.#about,
      this.#problem.element,
      h("h3", {}, "Delivery"),
      this.#sinks,
      this.#done,
      h("h3", {}, "Message"),
      this.#message,
    );
    this.#refresh.run();
  }

  update(topics) {
    if (topics.has("ready") || (this.#session !== null && topics.has(this.#session))) this.#refresh.run();
  }

  destroy() {
    this.#refresh.stop();
  }

  async #load() {
    try {
      const hook = await json(`/api/v1/hooks/${encodeURIComponent(this.uuid)}`);
      this.#draw(hook);
      this.#problem.show(null);
    } catch (error) {
      if (!this.#message.firstChild) setText(this.#title, "This hook cannot be shown");
      this.#problem.show(error);
    }
  }

  #draw(hook) {
    this.#session = hook.payload.session;
    const { deliveries, ...message } = hook;
    delete message.id; // its place in the journal is no part of what is sent
    if (!this.#message.firstChild) {
      setText(this.#title, hookName(hook));
      const session =
        hook.event === "room"
          ? `room ${hook.payload.room}`
          : h("a", { href: `#/sessions/${hook.payload.session}` }, `session ${hook.payload.session}`);
      this.#about.replaceChildren(`${moment(hook.ts)} · number ${hook.seq} of `, session, " ", copyButton("uuid", () => this.uuid, "Copy uuid"));
      this.#message.append(copyButton("message", () => JSON.stringify(message, null, 2), "Copy message"), payload(message));
    }
    const text = JSON.stringify(deliveries);
    if (text === this.#shown) return;
    this.#shown = text;
    const none = h(
      "p",
      { class: "empty-line" },
      "No sink was there to take it. Give one with smproxy serve --hook-uri URL.",
    );
    if (deliveries.length === 0) this.#sinks.replaceChildren(none);
    else this.#rows.set(deliveries);
    if (deliveries.every(({ state }) => state !== "pending")) this.#settled();
  }

  #sink(delivery) {
    const settled = delivery.state !== "pending";
    const button = h("button", { type: "button", disabled: !settled }, "Resend");
    button.addEventListener("click", () => this.#resend(button, delivery.sink));
    return h(
      "section",
      { class: "sink" },
      h("header", {}, h("strong", { class: "code" }, delivery.sink), stateTag(delivery.state), button),
      h("p", { class: "muted num" }, delivery.tries === 1 ? "1 attempt" : `${count(delivery.tries)} attempts`),
      delivery.attempts.length ? attempts(delivery) : null,
    );
  }

  /* Nothing is under way: who has pressed Resend with the keyboard finds the button again, which was disabled meanwhile. */
  #settled() {
    setText(this.#done, "");
    const button = this.#resent === null ? null : this.#rows.element(this.#resent)?.querySelector("button");
    if (document.activeElement === document.body) button?.focus();
    this.#resent = null;
  }

  async #resend(button, sink) {
    button.disabled = true;
    this.#resent = sink;
    try {
      const path = `/api/v1/hooks/${encodeURIComponent(this.uuid)}/resend?sink=${encodeURIComponent(sink)}`;
      const { resent } = await json(path, { method: "POST" });
      setText(this.#done, resent ? "It is being sent again." : "There was nothing to send again.");
      this.#refresh.run();
    } catch (error) {
      button.disabled = false;
      this.#problem.show(error);
    }
  }
}
