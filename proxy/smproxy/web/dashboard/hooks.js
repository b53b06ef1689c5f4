/* The views of the hooks: all of them, and the dead letters. */

import { json } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { receiverLabel } from "../shared/labels.js";
import { showDetail } from "./split-view.js";
import { HookDetail } from "./hook-detail.js";
import { HookList } from "./hook-list.js";
import { ReceiverTable } from "./receivers.js";

class HooksBase {
  #store;
  #base;
  #detail = null;
  #empty;
  list;
  split;
  element;

  constructor(store, { empty, ...list }) {
    this.#store = store;
    this.#base = list.base;
    this.list = new HookList(list);
    this.#empty = h("p", { class: "panel empty-line", hidden: true }, empty);
    this.split = h("div", { class: "split" }, this.list.element);
    this.hooks = list.hooks;
    this.element = h("div", {}, this.#empty, this.split);
    this.update(new Set(["hooks"]));
  }

  route(uuid) {
    if (this.#detail?.uuid === uuid) return;
    this.#detail?.destroy();
    this.#detail = uuid ? new HookDetail(this.#store, uuid, this.#base) : null;
    this.update(new Set(["hooks"]));
    showDetail(this.split, this.list, this.#detail);
    this.list.select(uuid);
  }

  update(topics) {
    if (topics.has("hooks") || topics.has("connection")) {
      const none = this.hooks().length === 0 && this.#detail === null;
      this.#empty.hidden = !(none && this.#store.connection === "live");
      this.split.hidden = none;
      this.list.update();
    }
    this.#detail?.update(topics);
  }

  destroy() {
    this.#detail?.destroy();
    this.list.destroy();
  }
}

/** `#/hooks`, `#/hooks/UUID`. */
export class HooksView extends HooksBase {
  #sinks;

  constructor(store) {
    super(store, {
      base: "#/hooks",
      label: "Hooks",
      hooks: () => store.newestHooks,
      empty: "No hooks yet: they come when sessions begin, change and end.",
    });
    this.#sinks = new ReceiverTable(store);
    this.element.prepend(this.#sinks.element);
  }

  update(topics) {
    super.update(topics);
    if (topics.has("sinks") || topics.has("connection")) this.#sinks.update();
  }
}

/* The last answer to a dead letter, and at which receivers it is one. */
function deadAt({ deliveries }) {
  const dead = [...deliveries.values()].filter(({ state }) => state === "dead");
  return dead
    .map(({ sink, attempts }) => [attempts.at(-1)?.detail.replace(/; gave up after.*/, ""), receiverLabel(sink)])
    .map((parts) => parts.filter(Boolean).join(" at "))
    .join(", ");
}

/** `#/dead`, `#/dead/UUID`. */
export class DeadLettersView extends HooksBase {
  constructor(store) {
    const result = h("span", { class: "muted", role: "status" });
    const button = h("button", { type: "button" }, "Resend all");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const { resent } = await json("/api/v1/hooks/dead/resend", { method: "POST" });
        setText(result, `${count(resent)} on their way.`);
      } catch (error) {
        setText(result, error.message);
      }
      button.disabled = false;
    });
    super(store, {
      base: "#/dead",
      label: "Dead letters",
      kind: "dead-letters",
      hooks: () => store.dead,
      details: { title: "Answer and receiver", of: deadAt },
      top: [button, result],
      empty: "No dead letters: no hook was given up at any receiver.",
    });
  }
}
