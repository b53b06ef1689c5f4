/* The receivers of hooks and the state of each; adds and removes them while the server runs. */

import { json, request } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { confirmButton } from "./confirm-button.js";
import { choiceField, textField } from "./form-fields.js";
import { LastingRows } from "./lasting-rows.js";
import { ProblemLine } from "./problem-line.js";
import { setStateTag, stateTag } from "./state-tags.js";

const SINKS = "/api/v1/hooks/sinks";
const COLUMNS = ["Receiver", "State", "Delivered", "Waiting", "Attempts", "Dead", "Latency", "Last error", "Change"];

/* States in which the last error is what somebody looks for. */
const BROKEN = new Set(["failing", "disabled"]);

/** The table of receivers, and the form that adds one. */
export class ReceiverTable {
  #store;
  #body = h("tbody");
  #rows = new LastingRows(this.#body, { key: ({ name, node }) => `${node ?? ""} ${name}`, make: (sink) => this.#row(sink) });
  #none = h(
    "p",
    { class: "empty-line" },
    "Hooks go to the webhook socket only. To have them posted to a receiver, add one, or start with ",
    h("code", {}, "smproxy serve --hook-uri http://127.0.0.1:9000/hooks"),
  );
  #format;
  #problem = new ProblemLine();
  #table;
  element;

  constructor(store) {
    this.#store = store;
    const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    this.#table = h("div", { class: "scroll" }, h("table", { class: "cards" }, h("thead", {}, header), this.#body));
    const parts = [h("h2", {}, "Receivers"), this.#table, this.#none, this.#form(), this.#problem.element];
    this.element = h("section", { class: "panel", "aria-label": "Receivers" }, ...parts);
    this.update();
  }

  update() {
    const { sinks, facts } = this.#store;
    this.#table.hidden = sinks.length === 0;
    this.#none.hidden = sinks.length > 0;
    this.#rows.set(sinks);
    if (this.#format.options.length === 0) {
      this.#format.append(...(facts.hookFormats ?? []).map((name) => h("option", {}, name)));
    }
  }

  #row({ name, node }) {
    const tag = stateTag();
    const cells = COLUMNS.slice(2, 7).map((label) => h("td", { class: "num", "data-label": label }));
    const error = h("td");
    const remove = confirmButton("Remove", "Remove it?", () =>
      this.#problem.run(() => request(`${SINKS}/${encodeURIComponent(name)}`, { method: "DELETE" })),
    );
    remove.title = "What it has not got by now it never gets; one of the command line is back after a restart";
    // Those of another node of a cluster are removed there.
    const far = node !== undefined && node !== this.#store.cluster?.node;
    const actions = h("td", { class: "actions" }, far ? "" : remove);
    const place = node === undefined ? "" : h("span", { class: "muted" }, ` at ${node}`);
    const element = h("tr", {}, h("th", { scope: "row", class: "code" }, name, place), h("td", {}, tag), ...cells, error, actions);
    const show = (sink) => {
      const latency = sink.latencyCount ? `${Math.round((1000 * sink.latencySum) / sink.latencyCount)} ms` : "–";
      const numbers = [sink.delivered, sink.backlog, sink.attempts, sink.dead].map((value) => count(value));
      [...numbers, latency].forEach((value, at) => setText(cells[at], value));
      setStateTag(tag, sink.state === "idle" && sink.delivered ? "up to date" : sink.state);
      setText(error, sink.lastError ?? "");
      error.className = BROKEN.has(sink.state) ? "wide bad" : "muted wide";
    };
    return { element, show };
  }

  #form() {
    const [format, formatField] = choiceField("Format", "format");
    this.#format = format;
    const [uri, uriField] = textField("URL", "uri", { required: true, placeholder: "http://127.0.0.1:9000/hooks" });
    const [name, nameField] = textField("Name", "name", { placeholder: "the URL" });
    const [scope, scopeField] = textField("Customer scope", "customerScope", { placeholder: "any" });
    const [secret, secretField] = textField("Secret", "secret", { type: "password", autocomplete: "new-password", placeholder: "none" });
    const fields = [uriField, formatField, nameField, scopeField, secretField];
    const form = h("form", { class: "row-form" }, ...fields, h("button", { type: "submit" }, "Add"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const body = { uri: uri.value.trim(), format: format.value || undefined, secret: secret.value || undefined };
      body.name = name.value.trim() || undefined;
      body.customerScope = scope.value.trim() || undefined;
      if (await this.#problem.run(() => json(SINKS, { method: "POST", body }))) {
        for (const field of [uri, name, scope, secret]) field.value = "";
      }
    });
    return h("details", {}, h("summary", {}, "Add a receiver"), form);
  }
}
