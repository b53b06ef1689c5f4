/* `#/clients`: the headless publishers and subscribers that the server runs; starts and ends them. */

import { json, request } from "../shared/api.js";
import { h, setChildren, setText } from "../shared/dom.js";
import { bytes, count } from "../shared/format.js";
import { confirmButton } from "./confirm-button.js";
import { choiceField, textField } from "./form-fields.js";
import { LastingRows } from "./lasting-rows.js";
import { ProblemLine } from "./problem-line.js";
import { setStateTag, stateTag } from "./state-tags.js";
import { throttle } from "./throttle.js";

const COLUMNS = ["Client", "Stream", "Customer scope", "Over", "State", "Session", "Media", "Error", "Change"];
const REFRESH_MS = 900;
const OVER = new Set(["ended", "failed"]);
/* The transports of each role, as the API calls them. */
const TRANSPORTS = { publisher: ["websocket", "whip"], subscriber: ["websocket", "whep"] };

function media({ role, bytes: amount, decoded, lost, width, height, missing }) {
  if (role === "publisher") return `${bytes(amount)} sent`;
  const parts = [bytes(amount), `${count(decoded)} pictures`, width ? `${width} × ${height}` : null];
  return [...parts, lost ? `${count(lost)} lost` : null, missing ? `${count(missing)} missing` : null].filter(Boolean).join(", ");
}

/** The view. */
export class ClientsView {
  #body = h("tbody");
  #rows = new LastingRows(this.#body, { key: ({ id }) => id, make: (client) => this.#row(client) });
  #table;
  #none = h("p", { class: "empty-line" }, "The server runs no clients. One that is started here publishes or watches with real media.");
  #problem = new ProblemLine();
  #refresh = throttle(() => this.#load(), REFRESH_MS);
  element;

  constructor() {
    const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    const table = h("table", { class: "cards" }, h("thead", {}, header), this.#body);
    this.#table = h("div", { class: "scroll", hidden: true }, table);
    const parts = [h("h2", {}, "Clients of the server"), this.#table, this.#none, this.#form(), this.#problem.element];
    this.element = h("section", { class: "panel", "aria-label": "Clients" }, ...parts);
    this.#refresh.run();
  }

  update(topics) {
    if (topics.has("ready") || topics.has("sessions") || (topics.has("second") && !document.hidden)) this.#refresh.run();
  }

  destroy() {
    this.#refresh.stop();
  }

  async #load() {
    const lists = await Promise.all(Object.keys(TRANSPORTS).map((role) => this.#list(role))).catch(() => null);
    if (!lists) return; // the page's head says that there is no connection
    const clients = lists.flat().sort((a, b) => a.createdAt - b.createdAt);
    this.#table.hidden = clients.length === 0;
    this.#none.hidden = clients.length > 0;
    this.#rows.set(clients);
  }

  async #list(role) {
    const lists = await json(`/api/v1/${role}s`);
    return lists[`${role}s`].map((client) => ({ ...client, role }));
  }

  #row({ id, role }) {
    const [stream, scope, over, session, figures] = ["", "Customer scope", "Over", "Session", "Media"].map((label) =>
      h("td", { "data-label": label || undefined }),
    );
    const tag = stateTag();
    const error = h("td", { class: "bad wide" });
    const end = (how) => () => this.#call(() => request(`/api/v1/${role}s/${encodeURIComponent(id)}?how=${how}`, { method: "DELETE" }));
    const ends = [
      confirmButton("End", `End ${id}?`, end("leave")),
      confirmButton("Close", `Close ${id}?`, end("close")),
      confirmButton("Lose", `Lose ${id}?`, end("vanish")),
    ];
    const titles = ["As a page that ends its stream", "As a tab that is closed", "As a machine that is lost"];
    titles.forEach((title, at) => (ends[at].title = title));
    const forget = h("button", { type: "button", onclick: end("leave") }, "Forget");
    const actions = h("td", { class: "actions" });
    const element = h("tr", {}, h("th", { scope: "row" }, id), stream, scope, over, h("td", {}, tag), session, figures, error, actions);
    let link = null;
    const show = (client) => {
      setText(stream, client.app ? `${client.app}/${client.name}` : client.name);
      setText(scope, client.customerScope ?? "");
      setText(over, client.transport);
      setText(figures, media(client));
      setText(error, client.error ?? "");
      setStateTag(tag, client.state);
      if (client.session !== null && !link) {
        link = h("a", { href: `#/sessions/${client.session}` }, String(client.session));
        session.append(link);
      }
      setChildren(actions, OVER.has(client.state) ? [forget] : ends);
    };
    return { element, show };
  }

  #form() {
    const [role, roleField] = choiceField("Role", "role", Object.keys(TRANSPORTS));
    const [name, nameField] = textField("Stream name", "name", { required: true });
    const [app, appField] = textField("Application", "app", { placeholder: "live" });
    const [scope, scopeField] = textField("Customer scope", "customerScope");
    const [transport, transportField] = choiceField("Transport", "transport", TRANSPORTS.publisher);
    const [pattern, patternField] = choiceField("Pattern", "pattern", ["test", "counter", "clock"]);
    const fields = [roleField, nameField, appField, scopeField, transportField, patternField];
    const form = h("form", { class: "row-form" }, ...fields, h("button", { type: "submit" }, "Start a client"));
    role.addEventListener("change", () => {
      transport.replaceChildren(...TRANSPORTS[role.value].map((value) => h("option", {}, value)));
      patternField.hidden = role.value !== "publisher";
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = { name: name.value.trim(), transport: transport.value, wait: false };
      if (app.value.trim()) body.app = app.value.trim();
      if (scope.value.trim()) body.customerScope = scope.value.trim();
      if (role.value === "publisher") body.pattern = pattern.value;
      this.#call(() => json(`/api/v1/${role.value}s`, { method: "POST", body }));
    });
    return form;
  }

  async #call(action) {
    await this.#problem.run(action);
    this.#refresh.run();
  }
}
