/* Fields of a form, each with its label around it. */

import { h } from "../shared/dom.js";

function labelled(label, control) {
  return [control, h("label", {}, `${label} `, control)];
}

/** Make a field for a text; return the control and its label. */
export function textField(label, name, attributes = {}) {
  return labelled(label, h("input", { name, type: "text", autocomplete: "off", ...attributes }));
}

/** Make a field for one of these values; return the control and its label. */
export function choiceField(label, name, values = []) {
  return labelled(label, h("select", { name }, ...values.map((value) => h("option", {}, value))));
}
