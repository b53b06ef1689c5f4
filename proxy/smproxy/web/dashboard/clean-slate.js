/* Clear and reset: an empty page, and an empty server. */

import { json } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { confirmButton } from "./confirm-button.js";

/** The buttons, for the whole page. */
export class CleanSlate {
  element;

  constructor(store) {
    const result = h("span", { class: "muted", role: "status" });
    const clear = h("button", { type: "button", title: "Take ended sessions and all hooks off this page; the server keeps them" }, "Clear");
    clear.addEventListener("click", () => {
      store.clear();
      setText(result, "");
    });
    const reset = confirmButton("Reset", "Reset the server", async () => {
      try {
        const { sessions, hooks } = await json("/api/v1/reset", { method: "POST" });
        setText(result, `${count(sessions)} sessions ended, ${count(hooks)} hooks forgotten.`);
      } catch (error) {
        setText(result, error.message);
      }
    });
    reset.title = "End all sessions, switch faults off, forget sessions and hooks";
    this.element = h("div", { class: "clean-slate" }, result, clear, reset);
  }
}
