/* Asks for the admin token, when the server has one. It is kept in the page's memory only. */

import { setToken } from "../shared/api.js";
import { h } from "../shared/dom.js";

/** The form; `onToken()` when one was given. */
export class TokenForm {
  #input = h("input", { id: "admin-token", type: "password", autocomplete: "off", required: true });
  #wrong = h("p", { class: "problem", role: "alert", hidden: true }, "This is not the token.");
  #given = false;
  element;

  constructor(onToken) {
    const submit = (event) => {
      event.preventDefault();
      if (!this.#input.value) return;
      setToken(this.#input.value);
      this.#input.value = "";
      this.#given = true;
      onToken();
    };
    this.element = h(
      "form",
      { class: "panel token", hidden: true, onsubmit: submit, novalidate: true },
      h("h2", {}, "This server has an admin token"),
      h(
        "p",
        { class: "muted" },
        "It was set with --admin-token. The page keeps it until it is closed, and stores it nowhere.",
      ),
      h("label", { htmlFor: "admin-token" }, "Admin token"),
      this.#input,
      this.#wrong,
      h("button", { type: "submit", class: "primary" }, "Unlock"),
    );
  }

  /** Ask. */
  show() {
    this.#wrong.hidden = !this.#given;
    this.element.hidden = false;
    this.#input.focus();
  }

  hide() {
    this.element.hidden = true;
  }
}
