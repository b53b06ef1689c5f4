/* `#/nodes`: the nodes, their states and what each carries; adds and changes simulated ones. */

import { json } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { confirmButton } from "./confirm-button.js";
import { choiceField, textField } from "./form-fields.js";
import { LastingRows } from "./lasting-rows.js";
import { ProblemLine } from "./problem-line.js";

const COLUMNS = ["Node", "Address", "Dialled at", "Region", "Role", "State", "Publishers", "Subscribers", "Pulls", "Share", "Change"];

/* What can be done in which state, as `[label, action, asks for confirmation]`. */
const ACTIONS = {
  INSERVICE: [["Drain", "drain"], ["Take out", "sunset", true], ["Lose", "fault", true]],
  SOFT_SUNSET: [["Undrain", "undrain"], ["Take out", "sunset", true], ["Lose", "fault", true]],
  HARD_SUNSET: [["Lose", "fault", true]],
  FAULT: [["Recover", "recover"], ["Take out", "sunset", true]],
};
const STARTING = [["Take out", "sunset", true], ["Lose", "fault", true]];
for (const state of ["REQUESTED", "CREATING", "CREATED", "STARTED"]) ACTIONS[state] = STARTING;

/* What else can be done with nodes that are not simulated: the rest would be refused. */
const REAL = new Set(["drain", "undrain"]);

function share(node, all) {
  const meter = h("meter", { min: 0, max: Math.max(1, all), "aria-label": `Share of the sessions of ${node.id}` });
  meter.value = node.sessions;
  return meter;
}

/** The view. */
export class NodesView {
  #store;
  #body = h("tbody");
  #problem = new ProblemLine();
  #rows = new LastingRows(this.#body, { key: ({ id }) => id, make: (node) => this.#row(node) });
  #form;
  #fixed = h("p", { class: "muted" }, "Nodes are added, taken out and lost with ", h("code", {}, "smproxy serve --nodes N"), ".");
  element;

  constructor(store) {
    this.#store = store;
    const header = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    const table = h("div", { class: "scroll" }, h("table", { class: "cards" }, h("thead", {}, header), this.#body));
    const [region, regionField] = textField("Region", "region", { placeholder: "local", maxlength: 63 });
    const [role, roleField] = choiceField("Role", "role", ["origin", "edge"]);
    const button = h("button", { type: "submit" }, "Add a node");
    const form = h("form", { class: "row-form" }, regionField, roleField, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#call("", { region: region.value.trim() || null, role: role.value });
    });
    this.#form = form;
    const parts = [h("h2", {}, "Nodes"), table, form, this.#fixed, this.#problem.element];
    this.element = h("section", { class: "panel", "aria-label": "Nodes" }, ...parts);
    this.update(new Set(["nodes"]));
  }

  update(topics) {
    if (!topics.has("nodes")) return;
    const { nodes } = this.#store;
    const all = nodes.reduce((sum, { sessions }) => sum + sessions, 0);
    this.#rows.set(nodes, all);
    const simulated = nodes.some((node) => node.simulated);
    this.#form.hidden = !simulated;
    this.#fixed.hidden = simulated || nodes.length === 0;
  }

  #row(node) {
    const cells = Array.from({ length: 8 }, (_, at) =>
      h("td", { class: at > 4 ? "num" : at === 1 ? "code muted" : "", "data-label": at > 4 ? COLUMNS[at + 1] : undefined }),
    );
    const load = h("td");
    const actions = h("td", { class: "actions" });
    const element = h("tr", {}, h("th", { scope: "row" }, node.id), ...cells, load, actions);
    let state = null;
    const show = (now, all) => {
      const { address, host, port, region, role, publishers, subscribers, pulls } = now;
      const texts = [address, `${host}:${port}`, region, role, now.state, count(publishers), count(subscribers), count(pulls)];
      texts.forEach((text, at) => setText(cells[at], text));
      load.replaceChildren(share(now, all));
      if (now.state === state) return;
      state = now.state;
      element.dataset.state = state;
      const possible = (ACTIONS[state] ?? []).filter(([, action]) => node.simulated || REAL.has(action));
      actions.replaceChildren(...possible.map((action) => this.#button(node, ...action)));
    };
    return { element, show };
  }

  #button(node, label, action, confirm = false) {
    const act = () => this.#call(`/${encodeURIComponent(node.id)}/${action}`);
    if (confirm) return confirmButton(label, `${label} ${node.id}?`, act);
    return h("button", { type: "button", onclick: act }, label);
  }

  async #call(path, body) {
    await this.#problem.run(() => json(`/api/v1/nodes${path}`, { method: "POST", body }));
  }
}
