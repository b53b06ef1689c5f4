/* The form that switches a fault on: its kind, its parameters, and the sessions that it matches. */

import { json } from "../shared/api.js";
import { h } from "../shared/dom.js";
import { ProblemLine } from "./problem-line.js";

/* Which sessions it matches, how often and how long. */
const MATCH = { id: "Id (* for anything)", customerScope: "Customer scope", app: "Application", role: "Role" };
const ROLES = ["publisher", "subscriber"];
const NUMBERS = { count: "At most so often", probability: "Probability, 0 to 1", ttl: "Ends after seconds" };

let fields = 0;

function field(label, control) {
  control.id = `fault-field-${(fields += 1)}`;
  return h("div", {}, h("label", { htmlFor: control.id }, label), control);
}

function control({ name, default: value, allowed, choices, help }) {
  // Numbers and free text are described, what there is to choose from is listed.
  const options = typeof value === "boolean" ? ["true", "false"] : choices.length ? choices : null;
  const element = options
    ? h("select", {}, ...options.map((option) => h("option", { value: option }, option)))
    : h("input", { type: "text", autocomplete: "off", inputmode: typeof value === "number" ? "decimal" : undefined });
  // A number that stands for something else is shown as that: "-1: the profile's".
  const meaning = value === -1 ? help.match(/-1: ([^;]+)/)?.[1] : null;
  element.value = meaning ? "" : String(value);
  element.placeholder = meaning ?? "";
  element.title = `${help || name}: ${allowed}`;
  return element;
}

/* Text with `code` in it. */
function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

/** The form; `onChange()` after a fault was switched on. */
export class FaultForm {
  #kinds = [];
  #kind = h("select");
  #effect = h("p", { class: "muted effect" });
  #parameters = new Map();
  #match = new Map();
  #fields = h("div", { class: "fault-form" });
  #problem = new ProblemLine();
  #onChange;
  element;

  constructor(onChange) {
    this.#onChange = onChange;
    this.#kind.addEventListener("change", () => this.#showKind());
    const submit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    const button = h("button", { type: "submit", class: "primary" }, "Switch on");
    this.element = h(
      "form",
      { class: "panel", onsubmit: submit, novalidate: true, "aria-label": "Switch a fault on" },
      h("h2", {}, "Switch a fault on"),
      h("div", { class: "kinds" }, field("Fault", this.#kind), this.#effect),
      this.#fields,
      h("p", { class: "buttons" }, button),
      this.#problem.element,
    );
    for (const [name, label] of Object.entries({ ...MATCH, ...NUMBERS })) {
      const placeholder = name === "ttl" ? "never" : "any";
      const input =
        name === "role"
          ? h("select", {}, h("option", { value: "" }, "any"), ...ROLES.map((role) => h("option", {}, role)))
          : h("input", { type: "text", autocomplete: "off", placeholder });
      this.#match.set(name, field(label, input));
    }
    this.#load();
  }

  /** Those of a fault's parameters that are not what they are by default. */
  given(fault, parameters) {
    const known = this.#kinds.find((kind) => kind.fault === fault)?.parameters ?? [];
    const defaults = new Map(known.map(({ name, default: value }) => [name, value]));
    return Object.fromEntries(Object.entries(parameters).filter(([name, value]) => defaults.get(name) !== value));
  }

  /** Load the kinds of faults unless they are known: without the token the server refused. */
  refresh() {
    if (this.#kinds.length === 0) this.#load();
  }

  async #load() {
    try {
      const { kinds } = await json("/api/v1/faults/kinds");
      this.#kinds = kinds;
      this.#onChange();
      const layers = Map.groupBy ? [...Map.groupBy(kinds, ({ layer }) => layer)] : [["Faults", kinds]];
      const groups = layers.map(([layer, group]) =>
        h("optgroup", { label: layer }, ...group.map(({ fault }) => h("option", { value: fault }, fault))),
      );
      this.#kind.replaceChildren(...groups);
      this.#showKind();
      this.#problem.show(null);
    } catch (error) {
      this.#problem.show(error);
    }
  }

  #showKind() {
    const kind = this.#kinds.find(({ fault }) => fault === this.#kind.value);
    if (!kind) return;
    this.#effect.replaceChildren(...withCode(kind.publish ? `${kind.effect} publish() ${kind.publish}.` : kind.effect));
    this.#parameters = new Map(kind.parameters.map((parameter) => [parameter.name, control(parameter)]));
    const own = [...this.#parameters].map(([name, element]) => field(name.replaceAll("_", " "), element));
    this.#fields.replaceChildren(...own, ...this.#match.values());
  }

  async #submit() {
    const body = { fault: this.#kind.value, parameters: {}, match: {} };
    for (const [name, element] of this.#parameters) {
      if (element.value || !element.placeholder) body.parameters[name] = element.value;
    }
    for (const [name, element] of this.#match) {
      const value = element.querySelector("input, select").value.trim();
      if (value && name in NUMBERS) body[name] = Number(value);
      else if (value) body.match[name] = value;
    }
    if (await this.#problem.run(() => json("/api/v1/faults", { method: "POST", body }))) this.#onChange();
  }
}
